"""Training teachers from clips."""

from dataclasses import replace

import pytest
import torch

from spaces.errors import InputError
from spaces.sections import Teacher as TeacherConfig
from tests.trainables.teachers.conftest import CONFIGS, noise, random_model, tones
from trainables.teachers.base import Pooled, Teacher
from trainables.teachers.conformer import ConformerConfig
from trainables.teachers.fit import linear_head, probe_mix
from trainables.teachers.head import one_layer
from trainables.teachers.linear import balanced_loss
from trainables.teachers.load import load_teacher
from trainables.teachers.tune import Clips, Recipe, fine_tune, fit_conformer
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder

RECIPE = Recipe(epochs=2, learning_rate=3e-3, batch_size=8)
TINY_CONFORMER = ConformerConfig(dim=16, n_blocks=2, n_heads=2, ffn_dim=8, kernel_frames=5)


def clips(n_clips: int, seed: int) -> Clips:
    """Tones in two views, the second with other noise."""
    (clean, labels), (other, _) = tones(n_clips, seed), tones(n_clips, seed + 100)
    return Clips(torch.stack([clean, other], dim=1), labels)


@pytest.fixture(scope="module")
def train() -> Clips:
    return clips(24, seed=0)


@pytest.fixture(scope="module")
def val() -> Clips:
    return clips(16, seed=1)


@pytest.fixture
def teacher() -> Teacher:
    return Teacher({"wav2vec2": Wav2Vec2Encoder(random_model(CONFIGS["wav2vec2"]), normalise=True)})


def weights(teacher: Teacher) -> dict[str, torch.Tensor]:
    return teacher.members["wav2vec2"].model.state_dict()


def test_only_the_last_blocks_are_trained_and_the_given_teacher_is_left_alone(teacher, train, val):
    before = {key: value.clone() for key, value in weights(teacher).items()}
    tuned = weights(fine_tune(teacher, train, val, unfreeze=2, recipe=replace(RECIPE, learning_rate=1e-3)))
    changed = {key.split(".")[2] for key in tuned if not torch.equal(tuned[key], before[key])}
    blocks = {key for key in tuned if not torch.equal(tuned[key], before[key])}
    assert changed == {"1", "2"}
    assert all(key.startswith("encoder.layers.") for key in blocks)
    assert all(torch.equal(before[key], value) for key, value in weights(teacher).items())


def test_the_head_is_trained_along_and_not_only_rescaled(teacher, train, val):
    states = [Pooled(teacher.encode(split.waveforms[:, 0]), split.labels) for split in (train, val)]
    last = one_layer(3, 4)
    probe = linear_head(last, probe_mix(last, "wav2vec2", *states)).weight
    tuned = fine_tune(teacher, train, val, unfreeze=1, recipe=replace(RECIPE, learning_rate=1e-3))
    assert tuned.fingerprint != teacher.fingerprint
    trained = tuned.heads["wav2vec2"].weight
    # Calibration alone would leave the direction as it was.
    assert torch.cosine_similarity(trained.flatten(), probe.flatten(), dim=0) < 1 - 1e-4


@pytest.mark.slow
def test_the_same_seed_trains_the_same_teacher_and_leaves_the_callers_generator_alone(teacher, train, val):
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, second = (fine_tune(teacher, train, val, unfreeze=1, recipe=RECIPE) for _ in range(2))
    other = fine_tune(teacher, train, val, unfreeze=1, recipe=replace(RECIPE, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.fingerprint == second.fingerprint
    assert first.head_fingerprint == second.head_fingerprint
    assert first.fingerprint != other.fingerprint


def test_tuning_that_makes_it_worse_keeps_the_untouched_encoder(teacher, train, val):
    ruinous = replace(RECIPE, learning_rate=10.0)
    tuned = fine_tune(teacher, train, val, unfreeze=1, recipe=ruinous)
    assert tuned.fingerprint == teacher.fingerprint
    last = one_layer(3, 4)
    states = [Pooled(teacher.encode(split.waveforms[:, 0]), split.labels) for split in (train, val)]
    probe = linear_head(last, probe_mix(last, "wav2vec2", *states))(states[1].states["wav2vec2"])
    ours = tuned.classify(states[1].states)
    loss = [balanced_loss((logits[:, 1] - logits[:, 0]).numpy(), val.labels.numpy()) for logits in (ours, probe)]
    assert loss[0] == pytest.approx(loss[1], abs=1e-3)


def test_a_tuned_teacher_is_fitted_frozen_and_loads_again(teacher, train, val, tmp_path):
    told = []
    tuned = fine_tune(teacher, train, val, unfreeze=1, recipe=RECIPE, on_epoch=lambda *numbers: told.append(numbers))
    tuned.save(tmp_path / "teacher")
    again = load_teacher(TeacherConfig(model=str(tmp_path / "teacher")))
    assert torch.allclose(again.classify(again.encode(noise(3))), tuned.classify(tuned.encode(noise(3))), atol=1e-4)
    assert not any(parameter.requires_grad for parameter in tuned.members["wav2vec2"].parameters())
    assert [epoch for epoch, _, _ in told] == [1, 2]
    assert all(train_loss > 0 and val_loss > 0 for _, train_loss, val_loss in told)


@pytest.mark.parametrize("unfreeze", [0, 4])
def test_more_blocks_than_there_are_cannot_be_unfrozen(teacher, train, val, unfreeze):
    with pytest.raises(InputError, match=r"--unfreeze = .*unfreeze 1 to 3 of them"):
        fine_tune(teacher, train, val, unfreeze=unfreeze, recipe=RECIPE)


@pytest.mark.slow
def test_a_conformer_learns_two_tones_from_scratch_and_loads_again(train, val, tmp_path):
    recipe = Recipe(epochs=6, learning_rate=1e-2, batch_size=4)
    teacher = fit_conformer(train, val, TINY_CONFORMER, recipe)
    teacher.save(tmp_path / "teacher")
    again = load_teacher(TeacherConfig(architecture="conformer", model=str(tmp_path / "teacher")))
    unheard, labels = tones(16, seed=2)
    logits = again.classify(again.encode(unheard))
    assert torch.allclose(logits, teacher.classify(teacher.encode(unheard)), atol=1e-5)
    assert (logits.argmax(dim=1) == labels).all()


def test_the_same_seed_trains_the_same_conformer(train, val):
    recipe = Recipe(epochs=1, batch_size=8)
    torch.manual_seed(1)
    first = fit_conformer(train, val, TINY_CONFORMER, recipe)
    torch.manual_seed(2)
    assert fit_conformer(train, val, TINY_CONFORMER, recipe).fingerprint == first.fingerprint
