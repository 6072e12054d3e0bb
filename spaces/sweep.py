"""A sweep file, whole: its sections put together, read, overlaid with changes, its paths made absolute."""

import re
from pathlib import Path
from typing import Any, Self

import pydantic
from pydantic import Field, ValidationInfo, field_validator, model_validator

from spaces.documents import NotPlainError, parse_yaml, read_yaml, secret_faults
from spaces.errors import COMMAND_LINE, Fault, InputError, faults_of, refuse
from spaces.secrets import has_password
from spaces.sections import (
    NAME_PATTERN,
    Budget,
    Confirm,
    Data,
    EarlyStopping,
    Location,
    Objective,
    Resources,
    Search,
    Student,
    Teacher,
    Tracking,
)
from spaces.space import SHIPPED_SPACES
from spaces.trial import Section, TrialConfig, nested


class SweepConfig(Section):
    """One sweep, whole."""

    name: str = Field(
        description="of the sweep, its studies and its MLflow experiment; left out of a file: the file's own name"
    )
    data: Data
    teacher: Teacher = Field(default_factory=Teacher)
    students: dict[str, Student] = Field(min_length=1)
    budget: Budget = Field(default_factory=Budget)
    objective: Objective = Field(default_factory=Objective)
    search: Search = Field(default_factory=Search)
    early_stopping: EarlyStopping = Field(default_factory=EarlyStopping)
    confirm: Confirm = Field(default_factory=Confirm)
    resources: Resources = Field(default_factory=Resources)
    tracking: Tracking = Field(default_factory=Tracking)

    @model_validator(mode="after")
    def _sampler_knows_two_objectives(self) -> Self:
        if self.search.sampler == "cmaes" and self.objective.size:
            raise ValueError(
                "search.sampler=cmaes optimises one objective alone; choose another sampler, such as tpe, "
                "or leave objective.size out"
            )
        return self

    @field_validator("name")
    @classmethod
    def _names_a_folder_and_a_study(cls, name: str) -> str:
        if not re.fullmatch(NAME_PATTERN, name):
            raise ValueError("is no name of a sweep; use up to 64 letters, digits, dots, dashes and underscores")
        return name

    @field_validator("students", mode="before")
    @classmethod
    def _a_list_of_students_will_do(cls, students: Any) -> Any:
        return _by_name(students)

    @field_validator("confirm")
    @classmethod
    def _confirmed_students_are_searched(cls, confirm: Confirm, info: ValidationInfo) -> Confirm:
        searched = info.data.get("students", confirm.students or ())
        unknown = [student for student in confirm.students or () if student not in searched]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not searched here; choose students among {', '.join(searched)}")
        return confirm

    @classmethod
    def load(cls, path: Path, overrides: dict[str, Any] | None = None) -> Self:
        """Read a sweep file; relative paths in it are relative to its folder.

        Args:
            overrides: dotted keys to values, laid over the file, as by ``--set budget.trials=40``.

        Raises:
            InputError: every fault of the file at once.
        """
        return cls.as_written(path, overrides).rooted(Path(path).resolve().parent)

    @classmethod
    def as_written(cls, path: Path, overrides: dict[str, Any] | None = None) -> Self:
        """As `load`, with paths as the file has them."""
        path = Path(path)
        tree = {"name": path.stem, **read_yaml(path)}
        # As a list, students would be replaced by an override of one of them.
        tree |= {"students": _by_name(tree["students"])} if "students" in tree else {}
        faults = _open_secrets(tree, path)
        try:
            sweep = cls.model_validate(_overlaid(tree, nested(overrides or {})))
        except pydantic.ValidationError as error:
            raise InputError(faults + faults_of(error, path)) from None
        refuse(faults)
        return sweep

    def overlaid(self, overrides: dict[str, Any]) -> Self:
        """The same sweep with dotted keys changed; relative paths are relative to the current folder.

        Raises:
            InputError: every fault at once.
        """
        try:
            changed = self.model_validate(_overlaid(self.model_dump(mode="json"), nested(overrides)))
        except pydantic.ValidationError as error:
            raise InputError(faults_of(error, self.name)) from None
        return changed.rooted(Path.cwd())

    def rooted(self, folder: Path) -> Self:
        """The same sweep with its relative paths made absolute under ``folder``."""

        def absolute(path: Path) -> Path:
            return (folder / path.expanduser()).resolve()

        def placed(location: Location) -> Location:
            return absolute(location) if isinstance(location, Path) else location

        def local(name: str | None) -> str | None:
            # A hub id looks like a relative path; it is one only where that path exists.
            is_path = name and name not in SHIPPED_SPACES and absolute(Path(name)).exists()
            return str(absolute(Path(name))) if name and is_path else name

        views = self.data.views.model_copy(
            update={key: tuple(map(placed, getattr(self.data.views, key))) for key in ("noise", "rir")}
        )
        data = self.data.model_copy(update={"path": placed(self.data.path), "views": views})
        teacher = self.teacher.model_copy(
            update={key: local(getattr(self.teacher, key)) for key in ("model", "secondary_model")}
        )
        students = {
            name: student.model_copy(update={"space": local(student.space)}) for name, student in self.students.items()
        }
        stream, storage = self.objective.stream, self.resources.storage
        changed = {
            "data": data,
            "teacher": teacher,
            "students": students,
            "objective": self.objective.model_copy(update={"stream": stream and absolute(stream)}),
            "resources": self.resources.model_copy(update={"storage": storage and placed(storage)}),
            "tracking": Tracking(uri=_rooted_uri(self.tracking.uri, folder)),
        }
        return self.model_copy(update=changed)

    def trials_of(self, student: str) -> int:
        return self.students[student].trials or self.budget.trials

    def grace_epochs_of(self, student: str) -> int:
        return self.students[student].grace_epochs or self.early_stopping.grace_epochs

    def epochs_of(self, student: str) -> int:
        return self.students[student].epochs or self.budget.epochs

    def trial_config(self, student: str, drawn: dict[str, Any], number: int) -> TrialConfig:
        """Trial ``number`` of a student: what its space drew, and what the sweep decides.

        Raises:
            pydantic.ValidationError: the two do not go together.
        """
        n_epochs = self.epochs_of(student)
        return TrialConfig.from_flat(
            {
                "optimizer.warmup_epochs": min(TrialConfig().optimizer.warmup_epochs, n_epochs - 1),
                **drawn,
                "model.architecture": student,
                "training.epochs": n_epochs,
                # Seeds differ, so that no configuration wins by one lucky seed shared by all.
                "seed": 1000 * self.search.seed + number,
            }
        )


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """``["budget.trials=40"]`` as ``{"budget.trials": 40}``, values read as YAML.

    Raises:
        InputError: every pair without ``=``, whose value is not YAML, or whose key is part of another's.
    """
    overrides: dict[str, Any] = {}
    faults = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            faults.append(Fault(COMMAND_LINE, "--set", pair, "write it as key=value"))
            continue
        clash = [other for other in overrides if f"{other}.".startswith(f"{key}.") or key.startswith(f"{other}.")]
        if clash and clash != [key]:
            faults.append(Fault(COMMAND_LINE, "--set", pair, f"contradicts {clash[0]}; keep one"))
        try:
            overrides[key] = parse_yaml(value)
        except NotPlainError as error:
            faults.append(Fault(COMMAND_LINE, "--set", pair, f"its value {str(error).partition(':')[0]}; quote it"))
    if faults:
        raise InputError(faults)
    return overrides


def _open_secrets(tree: dict[str, Any], path: Path) -> list[Fault]:
    """What is wrong with the mode of a sweep file that has a password in it."""
    tracking = tree.get("tracking")
    uri = tracking.get("uri") if isinstance(tracking, dict) else None
    if not isinstance(uri, str) or not has_password(uri):
        return []
    instead = "or leave it out and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return secret_faults(path, "tracking.uri", instead)


def _by_name(students: Any) -> Any:
    """A list of student names, or names without settings, as the mapping they stand for; anything else as it is."""
    if isinstance(students, list) and all(isinstance(name, str) for name in students):
        return {name: {} for name in students}
    if isinstance(students, dict):
        return {name: {} if settings is None else settings for name, settings in students.items()}
    return students


def _rooted_uri(uri: str | None, folder: Path) -> str | None:
    """A relative SQLite file, ``sqlite:///mlflow.db``, as an absolute one; any other store as it is."""
    prefix = "sqlite:///"
    if uri is None or not uri.startswith(prefix) or uri.startswith(f"{prefix}/"):
        return uri
    return f"{prefix}{(folder / uri.removeprefix(prefix)).resolve()}"


def _overlaid(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlaid(merged[key], value) if both else value
    return merged
