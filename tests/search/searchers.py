"""A searcher over a record, as a run makes it."""

from itertools import count

from search.record.sweep import SweepRecord
from search.run.concurrency import SECONDS_BETWEEN_LOOKS, Concurrency
from search.run.nodes import Node
from search.run.profile import Profile
from search.run.rooms import Rooms
from search.run.searcher import SweepSearcher
from search.run.shares import Shares
from search.run.sharing import Sharing

TICKS = count(step=SECONDS_BETWEEN_LOOKS)  # so that every question is answered anew
SHARED = {"corpus": "corpora/1", "head": "head", "objective": {"metric": "val_pauc"}, "checkpoint_epochs": 5}
RESOURCES = {"cpu": 1, "gpu": 0.25}


def searcher_of(record: SweepRecord, sharing: Sharing | None = None) -> SweepSearcher:
    """Without ``sharing``, any number of trials may be at work; with it, as many as fit a node of four cores."""
    shares = Shares(1, {None: {(student, 16): 0.25 for student in record.studies}})
    rooms = Rooms(shares, "pack", lambda: [Node("1", "one", cpus=4, gpus=1)] if sharing else [])
    concurrency = (
        Concurrency(record.sweep.resources, rooms, sharing, 4, lambda: float(next(TICKS))) if sharing else None
    )
    return SweepSearcher(record, SHARED, rooms, Profile(), concurrency=concurrency)
