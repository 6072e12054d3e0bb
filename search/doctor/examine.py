"""All that is looked at before one wonders why a sweep fails, the quick first."""

from collections.abc import Iterator

from search.doctor.cluster import check_cluster
from search.doctor.finding import Finding, Subject
from search.doctor.machine import check_disks, check_gpus, check_memory, check_ports
from search.doctor.storage import check_storage
from search.doctor.store import check_store
from search.doctor.teacher import check_teacher, check_voices
from search.doctor.versions import check_versions
from search.home import Home
from spaces.sections import Resources, Teacher
from spaces.sweep import SweepConfig


def subject_of(home: Home, sweep: SweepConfig | None) -> Subject:
    """What ``sweep`` would be run with; what a sweep file that names nothing would be, where there is none."""
    if sweep is None:
        return Subject(home, home.tracking_uri, Teacher(), Resources())
    return Subject(home, sweep.tracking.uri or home.tracking_uri, sweep.teacher, sweep.resources)


def examine(subject: Subject) -> Iterator[Finding]:
    """Every finding, as it is made."""
    yield from check_disks(subject)
    yield from check_memory()
    yield from check_ports()
    yield from check_store(subject)
    yield from check_storage(subject)
    yield from check_teacher(subject)
    yield from check_cluster(subject)
    yield from check_voices()
    yield from check_gpus()
    yield from check_versions()
