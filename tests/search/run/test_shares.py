import pytest
import ray
from ray.tune import PlacementGroupFactory

from search.run.placed import requested
from search.run.shares import Shares, batch_sizes, heaviest_trial, measured_shares, share_of, whole_share
from search.run.starting import started
from spaces.space import SHIPPED_SPACES, Space
from spaces.trial import TrialConfig
from tests.search.conftest import SPACE
from tests.trainables.conftest import HEAD, ONE_TEACHER, write_corpus
from trainables.memory import MemoryNeed


def trial(student: str = "tiny_conv", batch_size: int = 32) -> TrialConfig:
    return TrialConfig.from_flat({"model.architecture": student, "training.batch_size": batch_size})


@pytest.mark.parametrize(("share", "whole"), [(0.25, 0.25), (0.3, 0.3333), (0.5, 0.5), (0.51, 1.0), (0.06, 0.0625)])
def test_shares_fill_a_gpu_with_a_whole_number_of_trials(share, whole):
    assert whole_share(share) == whole


def test_a_trial_gets_what_it_took_and_a_fifth_more():
    # 1.2 * 20 of 80 are .3 of the GPU, of which three fit.
    assert share_of(MemoryNeed(peak_bytes=20, device_bytes=80)) == 0.3333


def test_tiny_trials_do_not_crowd_a_gpu():
    assert share_of(MemoryNeed(peak_bytes=1, device_bytes=80_000)) == 1 / 16


def test_a_trial_that_needs_nearly_all_gets_all():
    assert share_of(MemoryNeed(peak_bytes=75, device_bytes=80)) == 1.0


def test_a_batch_size_between_two_gets_the_share_of_the_larger():
    shares = Shares(1, {None: {("tiny_conv", 32): 0.1, ("tiny_conv", 128): 0.5, ("resnet18", 32): 1.0}})
    found = [shares.of(trial(batch_size=size))["gpu"] for size in (16, 32, 33, 128, 200)]
    assert found == [0.1, 0.1, 0.5, 0.5, 0.5]
    assert shares.smallest == {"cpu": 1, "gpu": 0.1}


def test_out_of_memory_doubles_the_share_of_such_trials_alone():
    shares = Shares(1, {None: {("tiny_conv", 32): 0.125, ("resnet18", 32): 0.125}})
    assert shares.enlarge(trial(), failed=0.125)
    assert (shares.of(trial())["gpu"], shares.of(trial("resnet18"))["gpu"]) == (0.25, 0.125)
    # A second trial that failed on the old share asks for no more than the first did.
    assert shares.enlarge(trial(), failed=0.125)
    assert shares.of(trial())["gpu"] == 0.25


def test_there_is_no_more_than_a_whole_gpu():
    shares = Shares(1, {None: {("tiny_conv", 32): 1.0}})
    assert not shares.enlarge(trial(), failed=1.0)
    assert not Shares(1, {None: {("tiny_conv", 32): 0.0}}).enlarge(trial(), failed=0.0)


def test_tune_is_asked_for_what_the_config_names():
    both = requested({"resources": {"cpu": 2, "gpu": 0.25}})
    assert both == PlacementGroupFactory([{"CPU": 2, "GPU": 0.25}], "STRICT_PACK")
    assert requested({"resources": {"cpu": 1, "gpu": 0}}) == PlacementGroupFactory([{"CPU": 1}], "STRICT_PACK")
    (typed,) = requested({"resources": {"cpu": 1, "gpu": 0.5, "gpu_type": "A100"}}).bundles
    assert typed == {"CPU": 1, "GPU": 0.5, "accelerator_type:A100": 0.001}


def test_a_worker_serves_trials_that_would_have_gone_to_another_node():
    here, there = (requested({"resources": {"cpu": 1, "gpu": 0, "node": node}}) for node in ("1", "2"))
    assert here == there and hash(here) == hash(there), "Tune keeps idle workers by this"


def test_every_batch_size_that_may_be_drawn_is_measured():
    def space(**batch_size: object) -> Space:
        tree = SPACE.model_dump()
        return Space.model_validate(tree | {"parameters": {"training.batch_size": batch_size}, "known_points": {},
                                            "fixed": {}})  # fmt: skip

    assert batch_sizes(space(choices=[64, 16], default=16)) == [16, 64]
    assert batch_sizes(space(low=8, high=256, default=32)) == [256]
    assert batch_sizes(SPACE) == [16]
    assert batch_sizes(SPACE.holding({"training.batch_size": 48})) == [48]
    assert all(batch_sizes(Space.load(name)) for name in SHIPPED_SPACES)


def test_the_heaviest_trial_learns_all_that_the_teacher_offers(recorded):
    heaviest = heaviest_trial(recorded.open().sweep, "mobilenetv3", SPACE, batch_size=64, n_layers=3)
    assert heaviest.distillation.aligned == (0, 1, 2)
    assert heaviest.distillation.alpha > 0
    assert (heaviest.model.architecture, heaviest.training.batch_size) == ("mobilenetv3", 64)


@pytest.mark.slow
def test_shares_are_measured_on_a_real_step_in_a_process_of_its_own(recorded, tmp_path, monkeypatch):
    """On this machine's memory, taken for a GPU's: Ray is told of one GPU, and the step runs on the CPU."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    sweep, corpus = recorded.open().sweep, write_corpus(tmp_path / "corpus")
    settings = {"tiny_conv": SPACE}, ONE_TEACHER["wav2vec2"]["n_layers"], str(corpus), HEAD
    told = {"num_gpus": 1, "resources": {"accelerator_type:A100": 1}}
    started(lambda: ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, **told))
    try:
        shares = measured_shares(sweep, *settings, on="cpu") | measured_shares(sweep, *settings, ["A100"], on="cpu")
    finally:
        ray.shutdown()
    assert shares.types == (None, "A100")
    for gpu_type in shares.types:
        assert 1 / 16 <= shares.smallest_on(gpu_type)["gpu"] <= 1
