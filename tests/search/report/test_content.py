"""What a report says, of sweeps in every state."""

from dataclasses import replace

import pytest

from search.home import SweepFolder
from search.record.results import SweepResults
from search.report.content import report_of
from spaces.errors import InputError
from tests.search.filled import FACTS, SHORT, end_searching, fill, sweep_of

STUDENT = "tiny_conv"


@pytest.fixture
def standing(tmp_path):
    """The report of tiny_conv's sweep as ``fill`` leaves it with these settings."""

    def report(changes=None, **settings):
        folder = SweepFolder(tmp_path / "hey-sirius")
        fill(folder, SHORT | {"budget.trials": 3, "budget.epochs": 4} | (changes or {}), (STUDENT,), **settings)
        return report_of(folder)

    return report


def test_a_confirmed_student_is_told_with_its_gain_and_interval_on_the_test_clips(report, results):
    for part in report.students:
        found = results.confirmed[part.student]
        one = found.gain(found.winner, found.baseline("no_distillation"), "test_pauc")
        verdict = part.verdict
        assert verdict.score == f"{found.spread(found.winner, 'test_pauc').mean:.3f}"
        assert f"{one.mean:+.3f} (95 % interval {one.low:+.3f} to {one.high:+.3f}, 3 seeds)" in verdict.gained[0]
        assert ("beyond chance" in verdict.believe[0]) == (one.told_from_chance and one.mean > 0)
        assert f"{found.winner.name} (the winner)" in [row[0] for row in part.arms.rows]
    best = results.to_export()
    assert report.answer.startswith(f"{best.student} did best on the validation clips, and reached test pAUC")
    assert report.standing.word == "confirmed"


def test_a_student_is_sound_only_where_its_gain_is_beyond_chance_and_nothing_speaks_against_it(report, results):
    for part in report.students:
        found = results.confirmed[part.student]
        one = found.gain(found.winner, found.baseline("no_distillation"), "test_pauc")
        alarmed = any(alarm.student in (None, part.student) for alarm in report.alarms)
        assert (part.verdict.level == "sound") == (one.told_from_chance and one.mean > 0 and not alarmed)


def test_the_overview_has_the_numbers_of_the_record(report, results):
    overview = report.overview
    for row in overview.rows:
        told, best = dict(zip(overview.columns, row, strict=True)), results.best(row[0])
        assert told["best validation pAUC"] == f"{best.objective:.3f}" and told["trial"] == str(best.number)
        assert told["trials ended"] == "14 of 14"


def test_what_was_spent_and_saved_is_told(report, results):
    spent = dict(report.spent)
    trained, saved = results.epochs_trained, results.epochs_saved
    share = f"{saved / (trained + saved):.0%} of {trained + saved:,}"
    assert spent["Epochs"] == f"{trained:,} trained; early stopping saved {saved:,} ({share})"
    assert spent["Hours"] == "4.50 while trials ran, confirming included"


def test_data_and_teacher_are_told(report):
    searched = dict(report.searched)
    assert "1,260 training clips, 420 validation clips, 420 test clips; 4 views" in searched["Data"]
    assert "the small one that ships with distune (wav2vec2 with 7 layers); training pAUC 0.975" in searched["Teacher"]


def test_kinds_of_clips_are_told_where_they_were_noted(tmp_path):
    folder = SweepFolder(tmp_path / "hey-sirius")
    fill(folder, SHORT, (STUDENT,), trials=0, confirming_runs=0)
    counts = {"test": {"positive": 60, "negative": 340, "hard_negative": 20}}
    folder.write(sweep_of(SHORT, (STUDENT,)), FACTS | {"clips": {"counts": counts}})
    told = dict(report_of(folder).searched)["Data"]
    assert "420 test clips (60 positive, 340 negative, 20 hard negative)" in told


def test_a_search_that_is_not_confirmed_is_not_to_be_believed_yet(standing):
    report = standing(confirming_runs=0)
    (part,) = report.students
    assert report.standing.word == "finished" and "not confirmed" in report.answer
    assert (part.verdict.level, part.verdict.headline) == ("open", "Not confirmed")
    assert "distune confirm hey-sirius" in part.verdict.believe[0]
    assert part.yaml and part.arms is None


def test_a_confirming_that_is_half_done_says_how_much_is_to_go(standing):
    report = standing(confirming_runs=2)
    assert report.standing.word == "half confirmed" and "`distune confirm hey-sirius`" in report.standing.told
    assert report.students[0].verdict.headline == "Being confirmed"


def test_an_interrupted_sweep_says_what_is_yet_to_end(standing):
    report = standing(trials=2, confirming_runs=0)
    assert report.standing.told.startswith("The sweep was interrupted: 1 trial is yet to end; the command")


def test_a_sweep_that_a_driver_is_at_work_on_is_running(tmp_path):
    folder = SweepFolder(tmp_path / "hey-sirius")
    fill(folder, SHORT | {"budget.trials": 3}, (STUDENT,), trials=2, confirming_runs=0)
    with folder.claimed():
        report = report_of(folder)
    assert report.standing.told.startswith("The sweep is running: 1 trial is yet to end.")


def test_a_sweep_of_failures_says_why_and_shows_nothing_it_has_not(tmp_path):
    folder = SweepFolder(tmp_path / "hey-sirius")
    fill(folder, SHORT | {"budget.trials": 2}, (STUDENT,), trials=0, confirming_runs=0)
    from search.record.sweep import SweepRecord
    from spaces.space import Space
    from tests.search.filled import N_LAYERS, ORIGIN

    sweep = sweep_of(SHORT | {"budget.trials": 2}, (STUDENT,))
    record = SweepRecord(sweep, folder.journal, {STUDENT: Space.load(STUDENT)}, N_LAYERS, ORIGIN)
    for _ in range(2):
        end_searching(record, STUDENT, fails=True)
    report = report_of(folder)
    assert report.standing.word == "failed" and report.failures.rows[0][0] == "tiny_conv 0, tiny_conv 1"
    assert report.students[0].yaml is None and report.students[0].verdict.score == "–"
    assert [alarm.kind for alarm in report.alarms] == ["many failures"]


def test_a_sweep_that_has_not_begun_says_so(standing):
    report = standing(trials=0, confirming_runs=0)
    assert report.standing.word == "not begun" and report.plots == ()
    assert report.answer == "No trial has run to its end yet, so there is nothing to say of what won."


def test_a_login_in_the_tracking_server_is_not_sent_around(standing):
    report = standing({"tracking.uri": "http://ann:secret@mlflow:5000"}, confirming_runs=0)
    assert "secret" not in repr(report) and "http://ann:***@mlflow:5000" in report.sweep_file


def test_a_record_without_its_facts_is_refused_with_the_file(tmp_path):
    folder = SweepFolder(tmp_path / "hey-sirius")
    fill(folder, SHORT, (STUDENT,), trials=0, confirming_runs=0)
    folder.facts_file.unlink()
    with pytest.raises(InputError, match=r"shared\.json"):
        report_of(folder)


def test_a_winner_without_a_teacher_is_told_as_one(tmp_path, results, monkeypatch):
    from search.insight.student import insight_of
    from search.report.verdict import verdict_of

    found = results.confirmed[STUDENT]
    bare = replace(found.baseline("no_distillation"), kind="candidate", trial_number=0, name="trial 0")
    only = replace(found, arms=(bare, found.baseline("logits_only")))
    made: SweepResults = replace(results, confirmed={STUDENT: only})
    verdict = verdict_of(made, insight_of(made, STUDENT), [])
    assert verdict.headline == "Distillation did not help" and verdict.why[0] == "It learns from labels alone."
