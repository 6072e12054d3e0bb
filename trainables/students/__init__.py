"""The students, one a module of its own name: a new student is one new file here."""

from trainables.students.base import Student, build_student, register_student, student_names

__all__ = ["Student", "build_student", "register_student", "student_names"]
