"""What makes a sweep the one that was recorded under its name: only comparable trials stand in one record.

Comparable are trials on the same data, by the same teacher, of the same objective, length and search space. A space
may become narrower, since what it draws could have been drawn before. Sampler, seed, early stopping, budgets and
resources decide which trials there are, not what one of them comes to, and so may change.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import optuna
from optuna.storages import BaseStorage

from search.record.narrowing import Change, changes_of
from search.record.origin import Origin, Part
from spaces.errors import Fault, refuse
from spaces.space import Space
from spaces.sweep import SweepConfig

ATTRIBUTE = "identity"
ABSENT = Part("", {})._asdict()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """What all trials of a student's study have in common.

    Args:
        origin: see `search.record.origin`, as JSON.
        objective: the sweep's, as JSON; which stream it is of stands in the origin, by its content.
        epochs: of a trial that runs to its end.
        space: with the sweep's fixed keys, as JSON.
    """

    origin: dict[str, Any]
    objective: dict[str, Any]
    epochs: int
    space: dict[str, Any]

    @classmethod
    def of(cls, sweep: SweepConfig, student: str, space: Space, origin: Origin) -> Self:
        parts = {name: part._asdict() for name, part in origin.items()}
        objective = sweep.objective.model_dump(mode="json", exclude={"stream"})
        # As it would be read from the record, where a tuple is a list.
        return cls(*json.loads(json.dumps([parts, objective, sweep.epochs_of(student), space.model_dump(mode="json")])))

    def changes(self, recorded: Self) -> list[Change]:
        """What is otherwise than recorded, of all students."""
        return [*_of_origin(recorded.origin, self.origin), *_of_keys("objective.", recorded.objective, self.objective)]

    def own_changes(self, recorded: Self) -> list[Change]:
        """What is otherwise than recorded, of this student alone."""
        spaces = (Space.model_validate(tree) for tree in (recorded.space, self.space))
        return [*_of_keys("", {"epochs": recorded.epochs}, {"epochs": self.epochs}), *changes_of(*spaces)]


def claim(
    storage: BaseStorage, studies: Mapping[str, optuna.Study], identities: Mapping[str, Identity]
) -> dict[str, Space]:
    """Note each study's identity, or compare it with the one noted, which stands for good.

    Returns:
        Each student's space as it was recorded first.

    Raises:
        InputError: what changed, of all students, each key with its recorded and its current value.
    """
    sweep = next(iter(studies.values())).study_name.split("/")[0]
    recorded = {student: _recorded(storage, study, identities[student]) for student, study in studies.items()}
    found: dict[tuple[str, str], bool] = {}
    for student, identity in identities.items():
        found |= {(change.key, change.told): change.allowed for change in identity.changes(recorded[student])}
        own = identity.own_changes(recorded[student])
        found |= {(f"{student}: {change.key}", change.told): change.allowed for change in own}
    remedy = "since this sweep began; undo that, or take another name with --name"
    refuse([Fault(sweep, key, None, f"{told} {remedy}") for (key, told), allowed in found.items() if not allowed])
    for key, told in found:
        log.info("%s is narrower than when the sweep began: %s", key, told)
    for student, study in studies.items():
        study.set_user_attr(ATTRIBUTE, asdict(recorded[student]))
    return {student: Space.model_validate(identity.space) for student, identity in recorded.items()}


def _recorded(storage: BaseStorage, study: optuna.Study, current: Identity) -> Identity:
    """What was noted of a study; of a new one, its own, but from what the sweep's other students come from."""
    if noted := study.user_attrs.get(ATTRIBUTE):
        return Identity(**noted)
    sweep = study.study_name.split("/")[0]
    siblings = [other for other in storage.get_all_studies() if other.study_name.startswith(f"{sweep}/")]
    noted = next((other.user_attrs[ATTRIBUTE] for other in siblings if ATTRIBUTE in other.user_attrs), None)
    return replace(current, origin=noted["origin"], objective=noted["objective"]) if noted else current


def _of_origin(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Change]:
    """Of each part whose content changed, the settings that differ; where none does, the part itself."""
    for name in {**recorded, **current}:
        before, part = (origin.get(name) or ABSENT for origin in (recorded, current))
        if part["fingerprint"] != before["fingerprint"]:
            differing = [*_of_keys("", before["settings"], part["settings"])]
            yield from differing or [Change(name, before["fingerprint"][:12], part["fingerprint"][:12])]


def _of_keys(prefix: str, recorded: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Change]:
    for key in {**recorded, **current}:
        if recorded.get(key) != current.get(key):
            yield Change(f"{prefix}{key}", recorded.get(key), current.get(key))
