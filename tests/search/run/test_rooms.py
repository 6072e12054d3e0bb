import pytest

from search.run.nodes import Node
from search.run.rooms import Rooms
from search.run.shares import Shares
from spaces.trial import TrialConfig

TRIAL = TrialConfig.from_flat({"model.architecture": "tiny_conv", "training.batch_size": 32})
BATCH = ("tiny_conv", 32)
PAIR = [Node("1", "one", cpus=4, gpus=0), Node("2", "two", cpus=4, gpus=0)]
MIXED = [
    Node("1", "one", cpus=8, gpus=1, gpu_type="A100"),
    Node("2", "two", cpus=8, gpus=2, gpu_type="T4"),
    Node("3", "three", cpus=8, gpus=0),
]


def cpu_rooms(placement, nodes=PAIR, **settings) -> Rooms:
    return Rooms(Shares(1, {None: {BATCH: 0.0}}), placement, lambda: nodes, **settings)


def mixed_rooms(shares=None) -> Rooms:
    return Rooms(Shares(1, shares or {"A100": {BATCH: 0.25}, "T4": {BATCH: 0.5}}), "pack", lambda: MIXED)


def given(rooms: Rooms, n: int) -> list:
    return [rooms.give(f"tune-{index}", TRIAL) for index in range(n)]


@pytest.mark.parametrize(("placement", "nodes"), [("pack", "111122"), ("spread", "121212")])
def test_trials_are_packed_or_spread(placement, nodes):
    assert "".join(wants["node"] for wants in given(cpu_rooms(placement), 6)) == nodes


def test_a_trial_takes_the_room_of_the_one_that_ended():
    rooms = cpu_rooms("pack")
    given(rooms, 8)
    rooms.leave("tune-6")
    assert rooms.give("tune-8", TRIAL)["node"] == "2"


def test_packed_trials_go_where_the_corpus_is():
    rooms = cpu_rooms("pack")
    assert rooms.give("tune-0", TRIAL)["node"] == "1"
    rooms.seen("tune-0", "2")  # Ray knew better
    assert rooms.give("tune-1", TRIAL)["node"] == "2"
    assert rooms.used == {"2": (2, 0)}


def test_what_other_sweeps_use_is_no_room():
    rooms = cpu_rooms("pack", others=lambda: {"1": (3.0, 0.0)})
    assert "".join(wants["node"] for wants in given(rooms, 3)) == "122"


def test_a_trial_without_room_waits_for_any_node():
    wants = given(cpu_rooms("pack"), 9)[-1]
    assert wants == {"cpu": 1, "gpu": 0.0}


def test_each_type_of_gpu_has_its_own_share_and_so_many_trials():
    rooms = mixed_rooms()
    assert rooms.n_slots == 4 + 4, "and none on the node without a GPU"
    types = [(wants["gpu_type"], wants["gpu"], wants["node"]) for wants in given(rooms, 8)]
    assert types == [("A100", 0.25, "1")] * 4 + [("T4", 0.5, "2")] * 4
    assert rooms.give("tune-8", TRIAL)["gpu_type"] in ("A100", "T4")


def test_types_that_are_not_named_are_left_alone():
    rooms = mixed_rooms({"T4": {BATCH: 0.25}})
    assert rooms.n_slots == 8
    assert {wants["node"] for wants in given(rooms, 8)} == {"2"}


def test_cores_bound_trials_as_gpus_do():
    node = Node("1", "one", cpus=3, gpus=1)
    assert node.fits(cpus=1, gpus=0.25) == 3
    assert node.fits(cpus=0.5, gpus=0.25) == 4
    assert Node("1", "one", cpus=8, gpus=4).fits(cpus=1, gpus=2) == 2, "more than one each"


def test_a_share_that_failed_is_doubled_on_its_type_alone():
    shares = Shares(1, {"A100": {BATCH: 0.25}, "T4": {BATCH: 0.5}})
    assert shares.enlarge(TRIAL, 0.5, "T4")
    assert [shares.of(TRIAL, name)["gpu"] for name in ("A100", "T4")] == [0.25, 1.0]
