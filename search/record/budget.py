"""What a sweep has spent, as its record says, and which limit that reaches: wall hours, GPU hours, money."""

from dataclasses import dataclass
from typing import Self

from optuna.storages import BaseStorage

from spaces.sections import Budget

HOUR = 3600.0  # seconds
WALL_SECONDS = "wall_seconds"
"""The attribute of a study that says for how long the sweep ran; the sweep's time is their sum."""


@dataclass(frozen=True)
class Spent:
    """What a sweep has spent, all its runs and students together.

    Args:
        wall_seconds: while trials ran, at least one; the teacher's pass is not in it.
        gpu_seconds: of all trials, seconds times the share of a GPU that each held.
    """

    wall_seconds: float = 0.0
    gpu_seconds: float = 0.0

    @classmethod
    def recorded(cls, storage: BaseStorage, sweep_name: str) -> Self:
        """What the studies of a sweep say.

        A trial that was given more of a GPU after running out of memory counts as if it had had that from the start.
        """
        studies = [study for study in storage.get_all_studies() if study.study_name.startswith(f"{sweep_name}/")]
        notes = [
            trial.user_attrs for study in studies for trial in storage.get_all_trials(study._study_id, deepcopy=False)
        ]
        return cls(
            sum(study.user_attrs.get(WALL_SECONDS, 0.0) for study in studies),
            sum(attrs.get("seconds", 0.0) * attrs.get("gpu", 0.0) for attrs in notes),
        )

    def cost(self, budget: Budget) -> float | None:
        """In the currency of the price; ``None`` where there is no price."""
        return None if budget.price_per_hour is None else self.wall_seconds / HOUR * budget.price_per_hour

    def reached(self, budget: Budget) -> str | None:
        """The key of the first limit that is reached, e.g. ``budget.hours``."""
        spent = {"hours": self.wall_seconds / HOUR, "gpu_hours": self.gpu_seconds / HOUR, "cost": self.cost(budget)}
        for key, amount in spent.items():
            limit = getattr(budget, key)
            if limit is not None and amount is not None and amount >= limit:
                return f"budget.{key}"
        return None
