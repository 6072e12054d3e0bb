"""The students. Each module of this package registers its own: a new student is one new file here."""

import importlib
import pkgutil

from trainables.students.base import STUDENTS, Student, build_student, register_student

__all__ = ["STUDENTS", "Student", "build_student", "register_student"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
