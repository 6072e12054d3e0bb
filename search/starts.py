"""What runs before anything is drawn: the points that are known to be worth a trial."""

from collections.abc import Mapping
from typing import Any

import optuna


def enqueue(study: optuna.Study, points: Mapping[str, dict[str, Any]]) -> None:
    """Put each point in the study's queue, unless it has been there before.

    Args:
        points: name to parameters as the space draws them.
    """
    # One by one, so that a driver that died between two is made good.
    queued = {trial.user_attrs.get("known_point") for trial in study.get_trials(deepcopy=False)}
    for name, point in points.items():
        if name not in queued:
            study.enqueue_trial(point, user_attrs={"known_point": name})
