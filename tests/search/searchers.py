"""A searcher over a record, as a run makes it."""

from search.record.sweep import SweepRecord
from search.run.profile import Profile
from search.run.searcher import SweepSearcher
from search.run.shares import Shares

SHARED = {"corpus": "corpora/1", "head": "head", "objective": {"metric": "val_pauc"}, "checkpoint_epochs": 5}
RESOURCES = {"cpu": 1, "gpu": 0.25}


def searcher_of(record: SweepRecord) -> SweepSearcher:
    shares = Shares(1, {(student, 16): 0.25 for student in record.studies})
    return SweepSearcher(record, SHARED, shares, Profile())
