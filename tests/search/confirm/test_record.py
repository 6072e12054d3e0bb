"""Which runs a confirmation has, in which order, and that none is had twice.

Of the sweep of conftest.py, trial 1 (logits) is the candidate. Both baselines have three points to be tuned among:
no distillation has trial 0 and trial 1's settings at two rates; logits alone has trial 1 itself at its own rate and
at one more, which are two.
"""

from collections import Counter

from search.confirm.results import family_of
from search.record.states import TrialState
from tests.search.conftest import SPACE

SEEDS, TUNING = (1_000_000, 1_000_001), 2_000_000


def stages(record):
    return Counter(trial.user_attrs["stage"] for trial in record.trials("tiny_conv"))


def arms(record):
    return [arm.name for arm in record.confirmation("tiny_conv").arms]


def test_tuning_runs_first_then_every_arm_on_a_seed_before_the_next(searched, run_all):
    record = searched.open()
    ran = run_all(record)
    seeds = [proposal.config.seed for proposal in ran]
    assert seeds == [TUNING] * 5 + [SEEDS[0]] * 2 + [SEEDS[1]] * 2, "logits alone is trial 1, which runs once for both"
    assert [proposal.reads_test for proposal in ran] == [False] * 5 + [True] * 4
    assert {proposal.config.training.epochs for proposal in ran} == {9}


def test_a_baselines_runs_wait_for_all_its_tuning_and_a_candidates_do_not(searched, end_run):
    record = searched.open()
    tuning = [record.propose("tiny_conv") for _ in range(5)]
    candidate = [record.propose("tiny_conv") for _ in range(2)]
    assert {proposal.config.seed for proposal in candidate} == set(SEEDS)
    assert record.propose("tiny_conv") is None and record.missing("tiny_conv") > 0
    for proposal in tuning[:2]:
        end_run(record, proposal, 0.6)
    assert record.propose("tiny_conv") is None
    end_run(record, tuning[2], 0.7)
    baseline = record.propose("tiny_conv")
    assert baseline.config.flat() == tuning[2].config.flat() | {"seed": SEEDS[0]}


def test_a_baseline_is_the_best_of_its_tuning_by_the_validation_objective(searched, run_all):
    record = searched.open({"confirm.learning_rates": 3})
    rates = []

    def value_of(proposal):
        if proposal.config.seed == TUNING and family_of(proposal.config) == "no_distillation":
            rates.append(proposal.config.training.learning_rate)
            return [0.3, 0.9, 0.4, 0.5][len(rates) - 1]
        return 0.5

    run_all(record, value_of)
    baseline = record.confirmation("tiny_conv").baseline("no_distillation")
    assert baseline.config.training.learning_rate == rates[1]
    assert baseline.trial_number is None


def test_a_baseline_that_is_a_trial_of_the_search_says_so(searched, run_all):
    record = searched.open()
    first = searched.trials["tiny_conv"][0].user_attrs["config"]
    rate = first["training.learning_rate"]
    run_all(record, lambda proposal: 0.9 if proposal.config.training.learning_rate == rate else 0.5)
    assert record.confirmation("tiny_conv").baseline("no_distillation").trial_number == 0


def test_what_is_alone_is_not_tuned(searched, run_all):
    space = SPACE.holding({"training.learning_rate": 1e-3, "distillation.alpha": 0.7})
    record = searched.open(space=space)
    run_all(record)
    names = [trial.user_attrs["arm"] for trial in record.trials("tiny_conv") if trial.user_attrs["stage"] == "tuning"]
    assert set(names) == {"no distillation"}, "logits alone can only be trial 1's settings"


def test_a_driver_that_died_leaves_runs_that_go_on_and_none_that_are_lost_or_had_twice(searched, end_run, run_all):
    record = searched.open()
    end_run(record, record.propose("tiny_conv"))
    record.propose("tiny_conv")
    again = searched.open()
    (left,) = again.left_over()
    assert (left.number, left.config.seed, left.reads_test) == (1, TUNING, False)
    end_run(again, left)
    run_all(again)
    assert stages(again) == {"tuning": 5, "run": 4}
    configs = [trial.user_attrs["config"] for trial in again.trials("tiny_conv")]
    assert all(configs.count(config) <= 2 for config in configs)
    assert searched.open().n_missing == 0


def test_a_left_over_run_of_an_arm_reads_the_test_split_at_its_end(searched, end_run):
    record = searched.open()
    for _ in range(5):
        end_run(record, record.propose("tiny_conv"))
    record.propose("tiny_conv")
    (left,) = searched.open().left_over()
    assert left.reads_test


def test_what_is_confirmed_is_not_confirmed_again(searched, run_all):
    run_all(searched.open())
    before = searched.open().trials("tiny_conv")
    record = searched.open()
    assert record.n_missing == 0 and record.propose("tiny_conv") is None
    assert record.trials("tiny_conv") == before


def test_more_seeds_are_added_to_every_arm_without_tuning_again(searched, run_all):
    run_all(searched.open())
    record = searched.open({"confirm.seeds": 4})
    assert record.missing("tiny_conv") == 4
    assert [proposal.config.seed for proposal in run_all(record)] == [1_000_002, 1_000_002, 1_000_003, 1_000_003]
    assert record.confirmation("tiny_conv").seeds == (1_000_000, 1_000_001, 1_000_002, 1_000_003)


def test_fewer_seeds_ask_for_nothing_and_forget_nothing(searched, run_all):
    run_all(searched.open())
    record = searched.open({"confirm.seeds": 1})
    assert record.n_missing == 0 and record.confirmation("tiny_conv").seeds == SEEDS


def test_another_candidate_is_added_beside_those_there_are(searched, run_all):
    run_all(searched.open())
    assert arms(searched.open()) == ["trial 1", "no distillation", "logits only"]
    record = searched.open({"confirm.top": 2})
    assert arms(record) == ["trial 1", "trial 0", "no distillation", "logits only"]
    ran = run_all(record)
    assert {family_of(proposal.config) for proposal in ran} <= {"no_distillation"}
    assert record.confirmation("tiny_conv").n_missing == 0


def test_a_sweep_that_was_extended_gets_its_new_winner_confirmed_beside_the_same_baselines(searched, run_all):
    run_all(searched.open())
    baselines = searched.open().confirmation("tiny_conv").arms[1:]
    searched.extend(0.95)
    record = searched.open()
    run_all(record)
    found = record.confirmation("tiny_conv")
    assert [arm.name for arm in found.arms] == ["trial 1", "trial 3", "no distillation", "logits only"]
    assert found.arms[1].config.optimizer.weight_decay == 0.05 and found.arms[1].runs.keys() == set(SEEDS)
    assert found.arms[2:] == baselines


def test_the_count_of_runs_to_come_is_known_to_those_who_read_the_record_alone(searched, run_all, end_run):
    record = searched.open()
    assert record.confirmation("tiny_conv").n_missing == record.target("tiny_conv") == 11
    end_run(record, record.propose("tiny_conv"))
    assert record.confirmation("tiny_conv").n_missing == 10
    run_all(record)
    assert record.confirmation("tiny_conv").n_missing == 0
    assert record.target("tiny_conv") == 9


def test_a_run_that_failed_is_told_and_its_seed_is_left_out(searched, end_run):
    record = searched.open()
    while proposal := record.propose("tiny_conv"):
        fails = proposal.reads_test and family_of(proposal.config) is not None and proposal.config.seed == SEEDS[1]
        end_run(record, proposal, state=TrialState.FAILED if fails else TrialState.FINISHED)
    found = searched.open().confirmation("tiny_conv")
    assert found.seeds == (SEEDS[0],)
    assert set(found.failures) == {
        f"{name}, seed {SEEDS[1]}: student_loss not finite" for name in ("trial 1", "no distillation")
    }
    assert found.n_missing == 0


def test_a_baseline_whose_every_tuning_run_failed_is_left_out(searched, end_run):
    record = searched.open()
    while proposal := record.propose("tiny_conv"):
        fails = family_of(proposal.config) == "no_distillation"
        end_run(record, proposal, state=TrialState.FAILED if fails else TrialState.FINISHED)
    found = record.confirmation("tiny_conv")
    assert [arm.name for arm in found.arms] == ["trial 1", "logits only"]
    assert record.n_missing == 0 and len(found.failures) == 3


def test_runs_are_not_stopped_early(searched):
    sweep = searched.open().sweep
    assert sweep.early_stopping.scheduler == "none"


def test_a_student_without_a_finished_trial_is_not_confirmed(searched):
    searched.finished = {"tiny_conv": []}
    record = searched.open()
    assert dict(record.studies) == {} and record.n_missing == 0


def test_mlflow_is_told_what_each_run_is(searched):
    record = searched.open()
    proposal = record.propose("tiny_conv")
    assert record.tags("tiny_conv", proposal.number) == {
        "distune.sweep": "first", "distune.arm": "no distillation", "distune.role": "tuning", "distune.seed": TUNING,
    }  # fmt: skip
