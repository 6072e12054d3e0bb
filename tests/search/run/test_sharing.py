"""Drivers that keep to their parts of a cluster: real locks, claims on disk, no cluster."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from search.driver import be_driver
from search.run.concurrency import SECONDS_BETWEEN_LOOKS, Concurrency
from search.run.nodes import Node
from search.run.rooms import Rooms
from search.run.shares import Shares
from search.run.sharing import CLAIM, Claim, Sharing, apportion
from spaces.sections import Resources

CLUSTER = "192.0.2.1:6379"


def claim(name: str, priority: int = 1, slots: int = 9, wanted: int = 100) -> Claim:
    return Claim(name, CLUSTER, priority, slots, wanted)


def test_equals_share_equally_and_nothing_idles():
    assert apportion([claim("a"), claim("b")]) == {"a": 5, "b": 4}
    assert apportion([claim("a"), claim("b"), claim("c")]) == {"a": 3, "b": 3, "c": 3}


def test_parts_follow_priority():
    assert apportion([claim("a", 2), claim("b")]) == {"a": 6, "b": 3}
    assert apportion([claim("a", 4, slots=10), claim("b", slots=10)]) == {"a": 8, "b": 2}


def test_what_one_does_not_want_goes_to_the_others():
    assert apportion([claim("a", 2, wanted=1), claim("b"), claim("c")]) == {"a": 1, "b": 4, "c": 4}


def test_a_sweep_of_larger_trials_has_fewer_of_them():
    # Of one, ten fit; of the other, four. Half of the cluster each.
    assert apportion([claim("a", slots=10), claim("b", slots=4)]) == {"a": 5, "b": 2}


def test_no_sweep_stands_still():
    assert apportion([claim(name, slots=2) for name in "abc"]) == dict.fromkeys("abc", 1)


@pytest.fixture
def drivers(tmp_path: Path) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def sharing(tmp_path: Path, name: str, drivers: ExitStack, priority: int = 1, cluster: str = CLUSTER) -> Sharing:
    drivers.enter_context(be_driver(tmp_path / name))
    return Sharing(tmp_path / name, cluster, priority)


def test_a_sweep_alone_has_the_whole_cluster(tmp_path, drivers):
    assert sharing(tmp_path, "a", drivers).part(8, wanted=20, used={}) == 8


def test_drivers_reckon_the_same_parts_from_each_other_s_claims(tmp_path, drivers):
    first, second = sharing(tmp_path, "a", drivers, priority=3), sharing(tmp_path, "b", drivers)
    first.part(8, 20, {})
    assert second.part(8, 20, {"node": (2.0, 0.5)}) == 2
    assert first.part(8, 20, {}) == 6
    assert first.used_by_others == {"node": (2.0, 0.5)}
    second.close()
    assert first.part(8, 20, {}) == 8 and not first.used_by_others


def test_a_dead_driver_claims_nothing(tmp_path, drivers):
    killed = be_driver(tmp_path / "b")
    killed.__enter__()
    other = Sharing(tmp_path / "b", CLUSTER, priority=1)
    other.part(8, 20, {})
    first = sharing(tmp_path, "a", drivers)
    assert first.part(8, 20, {}) == 4
    killed.__exit__(None, None, None)
    assert (tmp_path / "b" / CLAIM).exists(), "it did not tidy up"
    assert first.part(8, 20, {}) == 8


def test_other_clusters_are_none_of_its_business(tmp_path, drivers):
    sharing(tmp_path, "b", drivers, cluster="192.0.2.2:6379").part(8, 20, {})
    assert sharing(tmp_path, "a", drivers).part(8, 20, {}) == 8


def test_a_claim_that_cannot_be_read_is_none(tmp_path, drivers):
    sharing(tmp_path, "b", drivers)
    (tmp_path / "b" / CLAIM).write_text('{"name": "b"')
    assert sharing(tmp_path, "a", drivers).part(8, 20, {}) == 8


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def concurrency(tmp_path: Path, drivers: ExitStack, nodes: list[Node], at_start: int, clock: Clock, **resources: int):
    rooms = Rooms(Shares(1, {None: {("tiny_conv", 32): 0.0}}), "pack", lambda: nodes)
    return Concurrency(Resources(**resources), rooms, sharing(tmp_path, "a", drivers), at_start, clock)


def test_concurrency_follows_the_nodes(tmp_path, drivers):
    nodes, clock = [Node("1", "one", cpus=4, gpus=0)], Clock()
    found = concurrency(tmp_path, drivers, nodes, at_start=4, clock=clock)
    assert found.allowed(lambda: 20) == 4
    nodes.append(Node("2", "two", cpus=4, gpus=0))
    assert found.allowed(lambda: 20) == 4, "it looks now and then"
    clock.now += SECONDS_BETWEEN_LOOKS
    assert found.allowed(lambda: 20) == 8
    nodes.clear()
    clock.now += SECONDS_BETWEEN_LOOKS
    assert found.allowed(lambda: 20) == 1, "which waits for a node"


def test_concurrency_is_what_the_file_says_at_most(tmp_path, drivers):
    nodes = [Node("1", "one", cpus=4, gpus=0)]
    found = concurrency(tmp_path, drivers, nodes, at_start=2, clock=Clock(), max_concurrent_trials=2)
    assert found.allowed(lambda: 20) == 2


def test_a_cluster_that_grows_is_asked_for_all_trials_at_once(tmp_path, drivers):
    found = concurrency(tmp_path, drivers, [], at_start=6, clock=Clock(), max_concurrent_trials=6)
    assert found.allowed(lambda: 20) == 6
