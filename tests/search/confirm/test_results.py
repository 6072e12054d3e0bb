"""What a confirmation says of its arms, in numbers that can be checked by hand, and in words."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from search.confirm.results import Arm, Confirmation, family_of
from search.record.results import SweepResults
from search.screen.confirm import print_confirmations, sentences
from spaces.sections import Objective
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig

ALIGNED = {"distillation.alpha": 0.0, "distillation.feature_alignment_enabled": True}
BARE, LOGITS = {"distillation.enabled": False}, {"distillation.alpha": 0.7}


def arm(name: str, kind: str, keys: dict, val: list[float], test: list[float], metric: str = "pauc") -> Arm:
    """Seeds count from 7; F1 is half the test metric."""
    runs = {
        seed: {f"val_{metric}": v, f"test_{metric}": t, "val_f1": v / 2, "test_f1": t / 2}
        for seed, (v, t) in enumerate(zip(val, test, strict=True), start=7)
    }
    number = int(name.split()[1]) if kind == "candidate" else None
    return Arm(name, kind, number, TrialConfig.from_flat(keys), runs, {seed: f"ray/{seed}" for seed in runs})


TRIAL_5 = arm("trial 5", "candidate", ALIGNED, [0.9, 0.8, 0.9], [0.80, 0.70, 0.75])
TRIAL_3 = arm("trial 3", "candidate", ALIGNED | LOGITS, [0.9, 0.9, 0.7], [0.9, 0.9, 0.9])
BASELINE = arm("no distillation", "no_distillation", BARE, [0.5, 0.4, 0.6], [0.50, 0.41, 0.44])
LOGITS_ONLY = arm("logits only", "logits_only", LOGITS, [0.9, 0.7, 0.8], [0.60, 0.80, 0.70])
FOUND = Confirmation("tiny_conv", Objective(), (TRIAL_3, TRIAL_5, BASELINE, LOGITS_ONLY))


def test_the_winner_is_the_candidate_with_the_best_mean_on_validation_whatever_the_test_says():
    assert FOUND.winner is TRIAL_5  # 2.6 / 3 against 2.5 / 3
    better = replace(BASELINE, runs=TRIAL_5.runs)
    assert replace(FOUND, arms=(TRIAL_3, better)).winner is TRIAL_3, "a baseline is no candidate"


def test_where_less_is_better_the_smallest_mean_wins_and_gains_are_reductions():
    objective = Objective(metric="val_eer")
    low = arm("trial 1", "candidate", ALIGNED, [0.1], [0.2], "eer")
    high = arm("trial 2", "candidate", LOGITS, [0.3], [0.5], "eer")
    found = Confirmation("tiny_conv", objective, (high, low))
    assert found.winner is low
    assert found.gain(low, high, "test_eer").mean == pytest.approx(0.3)


def test_a_gain_is_paired_by_seed():
    """On the test clips 0.30, 0.29, 0.31: an interval far narrower than either arm's own spread."""
    gain = FOUND.gain(TRIAL_5, BASELINE, "test_pauc")
    half = 4.303 * 0.01 / 3**0.5
    assert (gain.mean, gain.n) == (pytest.approx(0.30), 3)
    assert (gain.low, gain.high) == (pytest.approx(0.30 - half, abs=1e-4), pytest.approx(0.30 + half, abs=1e-4))


def test_statistics_are_of_the_seeds_that_all_arms_have():
    broken = replace(BASELINE, runs={seed: BASELINE.runs[seed] for seed in (7, 9)})
    found = replace(FOUND, arms=(TRIAL_5, broken))
    assert found.seeds == (7, 9)
    assert found.spread(TRIAL_5, "test_pauc").mean == pytest.approx((0.80 + 0.75) / 2)
    assert found.gain(TRIAL_5, broken, "val_pauc").n == 2


def test_an_arm_whose_every_run_failed_is_left_out():
    found = replace(FOUND, arms=(TRIAL_5, replace(BASELINE, runs={})))
    assert found.seeds == (7, 8, 9) and found.baseline("no_distillation") is None


def test_without_a_run_there_is_no_winner():
    assert replace(FOUND, arms=(replace(TRIAL_5, runs={}), BASELINE)).winner is None


def test_the_best_seed_is_the_one_that_is_best_on_validation():
    assert FOUND.best_seed(LOGITS_ONLY) == 7  # on the test clips it is 8


@pytest.mark.parametrize(("keys", "family"), [(BARE, "no_distillation"), (LOGITS, "logits_only"), (ALIGNED, None)])
def test_a_configuration_is_of_the_baseline_that_teaches_as_it_does(keys, family):
    assert family_of(TrialConfig.from_flat(keys)) == family


def test_an_arm_is_not_compared_with_a_baseline_whose_configuration_it_is():
    bare = arm("trial 0", "candidate", BARE, [0.5], [0.5])
    assert set(replace(FOUND, arms=(bare, BASELINE, LOGITS_ONLY)).comparable(bare)) == {"logits_only"}


def test_a_gain_whose_interval_leaves_out_zero_is_told_with_it():
    won, over_none, over_logits = sentences(FOUND)
    assert won == "trial 5 wins"
    assert over_none == (
        "better than no distillation by 0.300 test pauc with 3 seeds (95 % interval 0.275 to 0.325 of the gain)"
    )
    assert over_logits.startswith("no gain over logits only can be told from chance with 3 seeds: +0.050 test pauc")


def test_an_interval_that_includes_zero_is_told_in_plain_words():
    """Differences 0.0, 0.1, 0.2: 0.1 ± 0.248."""
    near = replace(BASELINE, runs={s: TRIAL_5.runs[s] | {"test_pauc": t} for s, t in ((7, 0.8), (8, 0.6), (9, 0.55))})
    assert sentences(replace(FOUND, arms=(TRIAL_5, near)))[1:] == [
        "no gain over no distillation can be told from chance with 3 seeds: +0.100 test pauc, "
        "95 % interval -0.148 to 0.348"
    ]


def test_a_loss_is_told_as_one():
    best = arm("no distillation", "no_distillation", BARE, [0.5] * 3, [0.90, 0.80, 0.86])
    assert sentences(replace(FOUND, arms=(TRIAL_5, best)))[1].startswith("worse than no distillation by 0.103 test")


def test_a_baseline_that_validates_better_than_the_winner_is_told_of():
    best = arm("no distillation", "no_distillation", BARE, [0.95, 0.9, 0.97], [0.5] * 3)
    assert sentences(replace(FOUND, arms=(TRIAL_5, best)))[-1] == (
        "no distillation does better than trial 5 on validation, 0.940 val pauc against 0.867: think twice before you "
        "ship trial 5"
    )


def test_one_seed_has_no_interval_and_says_so():
    found = replace(FOUND, arms=tuple(replace(each, runs={7: each.runs[7]}) for each in FOUND.arms))
    assert found.winner.name == "trial 3", "of a tie, the one that the search had before"
    assert sentences(found)[1] == "+0.400 test pauc over no distillation with one seed, of which there is no interval"


def test_a_winner_that_learns_nothing_from_the_teacher_is_told():
    bare = arm("trial 0", "candidate", BARE, [0.99] * 3, [0.5] * 3)
    told = sentences(replace(FOUND, arms=(bare, TRIAL_5, BASELINE)))
    assert told == ["trial 0 wins, which learns from labels alone: nothing that learns from the teacher did better"]


def shown(found: Confirmation, width: int = 80) -> str:
    screen = io.StringIO()
    sweep = SweepConfig.model_validate({"name": "first", "data": {"path": "clips"}, "students": [found.student]})
    results = SweepResults(sweep, {}, {}, {}, confirmed={found.student: found})
    print_confirmations(results, Console(file=screen, width=width, soft_wrap=True))
    return screen.getvalue()


def test_the_table_has_an_arm_a_row_and_fits_80_columns():
    table = shown(FOUND).split("tiny_conv: ")[0].rstrip("\n").splitlines()
    assert all(len(line) <= 80 for line in table) and not any("…" in line for line in table)
    rows = {line.split("│")[0].strip(): line.split("│")[1:] for line in table if "│" in line}
    assert {"trial 3", "* trial 5", "no distillation", "logits only"} <= set(rows)
    assert [cell.strip() for cell in rows["* trial 5"]] == ["0.867", "0.750", "0.375", "+0.300", "+0.050"]
    assert [cell.strip() for cell in rows["no distillation"]] == ["0.500", "0.450", "0.225", "-", "-0.250"]


def test_a_baseline_that_is_a_candidate_shares_its_row():
    bare = arm("trial 0", "candidate", BARE, [0.5] * 3, [0.5] * 3)
    table = shown(replace(FOUND, arms=(bare, TRIAL_5, replace(BASELINE, runs=bare.runs))))
    assert "= no distillation" in table and "\nno distillation" not in table


def test_failures_and_what_is_missing_are_told():
    told = shown(replace(FOUND, failures=("trial 3, seed 8: student_loss not finite",), n_missing=2))
    assert "tiny_conv being confirmed: mean and sd of 3 seeds" in told and "wins" not in told
    assert "tiny_conv: failed while confirming: trial 3, seed 8: student_loss not finite" in told
    assert "confirming runs yet to end: 2; go on with: distune confirm first" in told
