"""The loop: what it trains, reports, keeps and refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spaces.sections import Objective
from spaces.trial import TrialConfig
from trainables.build import best_student, read_checkpoint, save_run, seeded_student
from trainables.corpus.store import Corpus
from trainables.mean_losses import NonFiniteLossError
from trainables.run import DistillRun
from trainables.students import student_names

ALIGNED = {
    "distillation.alpha": 0.4,
    "distillation.feature_alignment_enabled": True,
    "distillation.feature_alignment_weight": 2.0,
    "distillation.alignment_layers": [0, 2, 4],
}


def build(corpus: Corpus, **flat: object) -> DistillRun:
    settings = {"training.batch_size": 4, "training.epochs": 5, "optimizer.warmup_epochs": 1}
    config = TrialConfig.from_flat(settings | ALIGNED | {k.replace("__", "."): v for k, v in flat.items()})
    return DistillRun(config, seeded_student(config), corpus, Objective())


def steps(run: DistillRun, n: int) -> list[dict]:
    """Results of n epochs without their wall time."""
    return [{key: value for key, value in run.step().items() if not key.endswith("_seconds")} for _ in range(n)]


def gradients(corpus: Corpus, weight: float) -> dict[str, torch.Tensor]:
    """Of student and projectors after an epoch of one step."""
    flat = {"distillation.feature_alignment_weight": weight, "training.batch_size": 11, "optimizer.gradient_clip": 0.0}
    run = build(corpus, **{key.replace(".", "__"): value for key, value in flat.items()})
    run.train_epoch()
    parts = {"student": run.student, "projectors": run.projectors}
    return {f"{part}.{name}": p.grad for part, module in parts.items() for name, p in module.named_parameters()}


def test_gradients_of_alignment_reach_student_and_projectors_in_proportion_to_the_weight(corpus):
    light, middle, heavy = (gradients(corpus, weight) for weight in (0.1, 10.0, 20.0))
    assert any(name.startswith("projectors.") for name in light)
    for name in light:
        if name.startswith("student.classifier"):  # alignment ends at the embedding
            assert torch.equal(light[name], heavy[name])
        else:
            per_weight = (heavy[name] - middle[name]) / 10
            assert per_weight.abs().max() > 0
            torch.testing.assert_close((middle[name] - light[name]) / 9.9, per_weight, rtol=1e-2, atol=1e-4)


def test_the_reported_loss_is_its_terms_at_alpha_and_weight(corpus):
    (result,) = steps(build(corpus), 1)
    for split in ("train", "val"):
        student, teacher, alignment = (
            result[f"{split}_{term}_loss"] for term in ("student", "distillation", "alignment")
        )
        assert result[f"{split}_loss"] == pytest.approx(0.6 * student + 0.4 * teacher + 2 * alignment)


def test_without_distillation_only_the_label_loss_is_trained_and_reported(corpus):
    run = build(corpus, distillation__enabled=False)
    (result,) = steps(run, 1)
    assert result["train_loss"] == result["train_student_loss"]
    assert not [key for key in result if "distillation" in key or "alignment" in key]
    assert not list(run.projectors.parameters())


def test_alignment_alone_and_logits_alone_are_trials_like_any_other(corpus):
    (aligned,) = steps(build(corpus, distillation__alpha=0.0), 1)
    assert aligned["train_loss"] == pytest.approx(aligned["train_student_loss"] + 2 * aligned["train_alignment_loss"])
    (logits,) = steps(build(corpus, distillation__feature_alignment_enabled=False), 1)
    assert "train_alignment_loss" not in logits and "train_distillation_loss" in logits


def test_two_teachers_have_a_projector_a_layer_each_and_the_layers_they_have(dual_corpus):
    run = build(dual_corpus)
    assert run.layers == {"wav2vec2": (0, 2, 4), "conformer": (0, 2)}
    assert {teacher: len(layers) for teacher, layers in run.projectors(torch.zeros(1, 64)).items()} == {
        "wav2vec2": 3,
        "conformer": 2,
    }
    assert np.isfinite(steps(run, 1)[0]["val_alignment_loss"])


def test_a_layer_that_no_teacher_has_is_refused(corpus):
    with pytest.raises(ValueError, match=r"alignment_layers names \[5\].*0 to 4"):
        build(corpus, distillation__alignment_layers=[2, 5])


def test_other_classes_than_the_corpus_has_are_refused(corpus):
    with pytest.raises(ValueError, match=r"num_classes=3.*2 classes"):
        build(corpus, model__num_classes=3)


def test_a_result_has_every_metric_the_schedules_and_whether_it_is_done(corpus):
    results = steps(build(corpus, training__epochs=2, distillation__temperature_scheduler="linear_decay"), 2)
    at_threshold = {"f1", "fpr", "fnr", "precision", "recall", "accuracy", "false_accepts_per_hour"}
    over_thresholds = {"auc", "pauc", "eer", "frr_at_fpr", "frr_at_fah"}
    assert {f"val_{metric}" for metric in at_threshold | over_thresholds} < set(results[0])
    assert [result["epoch"] for result in results] == [1, 2]
    assert [result["done"] for result in results] == [False, True]
    assert [result["temperature"] for result in results] == [2.0, 1.5]
    assert [result["learning_rate"] for result in results] == pytest.approx([3e-3, 1e-6])


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_every_optimizer_learns_the_wake_word(corpus, optimizer):
    flat = {"optimizer__optimizer": optimizer, "training__epochs": 12, "training__learning_rate": 0.01}
    results = steps(build(corpus, **flat, distillation__enabled=False, model__dropout=0.0), 12)
    assert results[-1]["train_loss"] < results[0]["train_loss"]
    assert results[-1]["best_objective"] == 1.0


def test_a_run_ends_when_patience_runs_out_on_the_objective(corpus):
    run = build(corpus, seed=1, training__epochs=60, training__early_stopping_patience=3)
    while not run.done:
        result = run.step()
    assert result["best_objective"] == 1.0  # then nothing can be better
    assert result["epoch"] == result["best_epoch"] + 3 < 60 and result["best_epoch"] > 1


def test_the_best_epochs_student_is_kept(corpus):
    run = build(corpus, seed=1, training__epochs=15)
    results, students = [], []
    while not run.done:
        results += steps(run, 1)
        students.append({name: tensor.clone() for name, tensor in run.student.state_dict().items()})
    best = max(results, key=lambda result: result["val_pauc"])  # the first of equals
    assert 1 < results[-1]["best_epoch"] == best["epoch"] < 15
    assert results[-1]["best_objective"] == best["val_pauc"]
    run.use_best()
    kept = students[best["epoch"] - 1]
    assert all(torch.equal(kept[name], tensor) for name, tensor in run.student.state_dict().items())
    assert run.measure("val")["pauc"] == best["val_pauc"]


def test_a_run_is_tested_with_the_weights_of_its_best_epoch(corpus):
    run = build(corpus, training__learning_rate=0.05)
    while not run.done:
        run.step()
    told = run.test()
    run.use_best()
    expected = run.measure("test")
    # A threshold is chosen on validation alone.
    untold = ("loss", "threshold_at_fpr")
    assert told == {f"test_{name}": value for name, value in expected.items() if not name.endswith(untold)}
    assert {"test_pauc", "test_f1", "test_eer"} <= set(told)


def test_a_run_without_an_epoch_cannot_be_tested(corpus):
    with pytest.raises(ValueError, match="no best epoch yet"):
        build(corpus).test()


def test_an_objective_that_falls_is_best_at_its_lowest(corpus):
    config = TrialConfig.from_flat({"training.batch_size": 4, "training.epochs": 6, "seed": 1})
    run = DistillRun(config, seeded_student(config), corpus, Objective(metric="val_eer"))
    rates = [result["val_eer"] for result in steps(run, 6)]
    assert run.result["best_objective"] == min(rates) < max(rates)


def test_seconds_apart_are_parts_of_the_epochs(corpus):
    result = build(corpus).step()
    assert 0 < result["data_seconds"] < result["train_seconds"] + result["val_seconds"] < result["epoch_seconds"]


def test_a_run_that_is_done_reports_its_last_result_again(corpus):
    run = build(corpus, training__epochs=2)
    assert steps(run, 3)[2] == steps(run, 1)[0]
    assert run.epoch == 2


def test_a_diverging_trial_names_epoch_step_and_knob(corpus):
    run = build(corpus, optimizer__optimizer="sgd", training__learning_rate=1e30, optimizer__warmup_epochs=0)
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, step [23] of 3 of training; lower training\.learning_rate"):
        run.step()


def test_a_term_that_is_alone_not_finite_names_its_own_knob(corpus):
    train = corpus.splits["train"]
    spoilt = replace(train, hidden={"wav2vec2": np.full_like(train.hidden["wav2vec2"], np.inf)})
    run = build(replace(corpus, splits={**corpus.splits, "train": spoilt}))
    with pytest.raises(NonFiniteLossError, match=r"alignment_loss .*feature_alignment_weight \(now 2\)") as caught:
        run.step()
    assert "temperature" not in str(caught.value)


SLOW = {"resnet18", "mobilenetv3"}
TRIALS = [
    *(
        pytest.param({"model__architecture": name}, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in student_names()
    ),
    *({"distillation__temperature_scheduler": name} for name in ("linear_decay", "exponential_decay")),
    {"optimizer__optimizer": "sgd", "optimizer__scheduler": "none"},
    {"optimizer__optimizer": "adam", "distillation__enabled": False},
]


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: "-".join(map(str, trial.values())))
def test_restored_equals_uninterrupted_bit_for_bit(dual_corpus, tmp_path, trial):
    uninterrupted, saved, restored = (build(dual_corpus, **trial) for _ in range(3))
    expected = steps(uninterrupted, 5)
    assert steps(saved, 2) == expected[:2]
    save_run(saved, tmp_path)
    torch.rand(7)  # the process has drawn other numbers since
    restored.load_state_dict(read_checkpoint(tmp_path))
    assert steps(restored, 3) == expected[2:]
    weights = restored.student.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in uninterrupted.student.state_dict().items())


def test_runs_in_one_process_do_not_disturb_each_other_or_torch(corpus):
    alone = steps(build(corpus), 3)
    one, other = build(corpus), build(corpus, seed=1)
    before = torch.get_rng_state()
    together = [(steps(one, 1)[0], steps(other, 1)[0]) for _ in range(3)]
    assert [first for first, _ in together] == alone
    assert [second for _, second in together] != alone
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_of_another_trial_is_refused(corpus, tmp_path):
    run = build(corpus)
    run.step()
    save_run(run, tmp_path)
    with pytest.raises(ValueError, match=r"distillation\.alpha.*training\.learning_rate"):
        build(corpus, distillation__alpha=0.5, training__learning_rate=1e-4).load_state_dict(read_checkpoint(tmp_path))


def test_a_finished_checkpoint_holds_only_the_best_student_and_can_be_measured(corpus, tmp_path):
    run = build(corpus, training__epochs=2)
    results = steps(run, 2)
    save_run(run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["student.pt"]
    # 60,530 float32 and the batch norms' statistics; Adam and projectors would be over three times that.
    assert (tmp_path / "student.pt").stat().st_size < 1.2 * 4 * 60_530
    again = build(corpus, training__epochs=2)
    again.load_state_dict(read_checkpoint(tmp_path))
    assert again.done and steps(again, 1) == results[1:]
    assert again.measure("val")["pauc"] == results[-1]["best_objective"]


def test_the_best_student_of_a_checkpoint_needs_no_corpus(corpus, tmp_path):
    run = build(corpus, training__epochs=2)
    steps(run, 2)
    save_run(run, tmp_path)
    config, student, result = best_student(tmp_path)
    assert config == run.config and result["epoch"] == run.result["best_epoch"]
    run.use_best()
    mel = torch.randn(2, 1, 64, 151)
    torch.testing.assert_close(student(mel), run.student.eval()(mel))


def test_a_run_without_an_epoch_has_no_best_student(corpus):
    with pytest.raises(ValueError, match="no best epoch"):
        build(corpus).use_best()
