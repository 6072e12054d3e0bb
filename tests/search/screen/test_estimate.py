import pytest

from search.screen.estimate import Ahead, Outlook, Pace, ends


def test_without_a_ladder_every_trial_is_expected_to_run_in_full():
    outlook = Outlook(epochs=10)
    assert outlook.lengths([2, 0], n_waiting=2) == ([8, 10], [10, 10])


def test_on_an_empty_ladder_the_first_two_go_on_and_later_ones_compete():
    _, lengths = Outlook(epochs=9, rungs=[1, 3]).lengths([], n_waiting=6)
    assert lengths[:2] == [9, 9]  # two always go on
    assert set(lengths[2:]) == {1, 3}


def test_in_the_long_run_one_in_three_goes_on_at_each_rung():
    outlook = Outlook(epochs=9, rungs=[1, 3])
    _, lengths = outlook.lengths([], n_waiting=900)
    shares = [sum(length > rung for length in lengths) / 900 for rung in (1, 3)]
    assert shares == pytest.approx([1 / 3, 1 / 9], abs=0.02)


def test_a_trial_past_a_rung_has_that_behind_it():
    outlook = Outlook(epochs=9, rungs=[1, 3])
    for _ in range(30):
        outlook.passed(0, 1)
        outlook.stopped(1)
    (fresh, past), _ = outlook.lengths([0, 4], n_waiting=0)
    assert past == 5 and fresh < 3


def test_where_more_go_on_than_a_third_more_are_expected_to():
    strict, lenient = Outlook(epochs=9, rungs=[1]), Outlook(epochs=9, rungs=[1])
    for number in range(30):
        for outlook, stops in ((strict, number % 3 > 0), (lenient, number % 3 > 1)):
            outlook.passed(0, 1)
            if stops:
                outlook.stopped(1)
    lengths = [sum(outlook.lengths([], 30)[1]) for outlook in (strict, lenient)]
    assert lengths[1] > 1.3 * lengths[0]


def test_patience_shortens_what_a_whole_trial_is_taken_for():
    outlook = Outlook(epochs=10)
    for epochs in (5, 7):
        outlook.finished(epochs)
    assert outlook.lengths([2], n_waiting=1) == ([4], [6])
    assert outlook.lengths([8], n_waiting=0)[0] == [2]  # it has outlived that


def test_the_start_of_a_trial_is_told_from_its_epochs():
    pace = Pace()
    for start in (7.0, 3.0, 3.0):  # the first imports torch
        pace.reported(1, start + 1.0, is_first=True)
        pace.reported(2, 2.0, is_first=False)
    assert (pace.epoch_seconds, pace.start_seconds) == (1.0, 3.0)


def test_before_the_second_report_the_first_is_all_there_is():
    pace = Pace()
    assert pace.epoch_seconds is None
    pace.reported(1, 4.0, is_first=True)
    assert (pace.epoch_seconds, pace.start_seconds) == (4.0, 0.0)


def test_trials_are_laid_out_on_the_slots_in_turn():
    ahead = {"a": Ahead([4.0], [10.0, 10.0]), "b": Ahead([2.0], [1.0])}
    # The slot of b's trial is free at 2: a's first (until 12); the other at 4: b's (until 5), then a's last.
    assert ends(ahead, 2) == {"a": 15.0, "b": 5.0}


def test_a_slot_is_idle_for_a_while_between_two_trials():
    assert ends({"a": Ahead([4.0], [10.0, 10.0])}, 1, gap_seconds=0.5) == {"a": 25.0}


def test_free_slots_take_what_waits_at_once():
    assert ends({"a": Ahead([], [3.0, 3.0])}, 2) == {"a": 3.0}
