"""Keeping what confirmed runs leave: their students and what these said, before Ray's folder is thrown away."""

import logging
from collections.abc import Iterable
from pathlib import Path

from search.confirm.results import Confirmation
from search.home import SweepFolder
from trainables.kept import has_scores, keep

log = logging.getLogger(__name__)


def keep_students(found: Iterable[Confirmation], folder: SweepFolder) -> None:
    """Take weights and scores of every confirmed run out of its last checkpoint, where that is still to be done.

    A run whose checkpoint is gone, or is of a distune that kept no scores, is left out.
    """
    for confirmation in found:
        for arm in confirmation.arms:
            for seed, number in arm.numbers.items():
                _keep(arm.checkpoints.get(seed), folder.confirmed_run(confirmation.student, number))


def _keep(checkpoint: str | None, kept: Path) -> None:
    if kept.exists() or not checkpoint:
        return
    if has_scores(checkpoint):
        keep(checkpoint, kept)
    else:
        log.info("%s: its checkpoint %s holds no scores any more, so its student is not kept", kept.name, checkpoint)
