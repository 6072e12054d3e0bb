"""Which trials are at work, and where, read from a record while its driver runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import optuna

WHERE = "where"
"""The attribute of a trial at work that says on which ``host`` and ``gpus`` it is, and on which ``node`` of Ray."""
Running = optuna.trial.TrialState.RUNNING


@dataclass(frozen=True)
class AtWork:
    """A trial that reports from somewhere.

    Args:
        stage: whether it belongs to the search or to confirming.
        epoch: that it has behind it, of ``epochs``.
        objective: of that epoch.
        gpus: Ray's numbers of those on ``host`` that it shares.
    """

    student: str
    number: int
    stage: Literal["search", "confirm"]
    epoch: int
    epochs: int
    objective: float | None
    host: str | None
    gpus: tuple[str, ...]
    node: str | None


def trials_at_work(studies: Mapping[str, optuna.Study], stage: Literal["search", "confirm"]) -> Iterator[AtWork]:
    """Of each student's study; where no driver runs, what the last one left."""
    for student, study in studies.items():
        for trial in study.get_trials(deepcopy=False, states=(Running,)):
            if where := trial.user_attrs.get(WHERE):
                epoch = max(trial.intermediate_values, default=0)
                yield AtWork(
                    student,
                    trial.number,
                    stage,
                    epoch,
                    trial.user_attrs["config"]["training.epochs"],
                    trial.intermediate_values.get(epoch),
                    where["host"],
                    tuple(where["gpus"]),
                    where["node"],
                )


def where_in(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial's result says of the place that it comes from, as a record keeps it."""
    gpus = [str(gpu) for gpu in result.get("gpus", ())]
    return {"host": result.get("hostname"), "gpus": gpus, "node": result.get("node")}
