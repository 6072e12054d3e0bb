from io import StringIO

import pytest
from rich.console import Console

from search.record.states import TrialState
from search.screen.board import SweepBoard
from search.screen.live import duration, render, shown, sparkline


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def board():
    """tiny_conv: 1 finished, 1 pruned, 1 failed, 1 running, in 60 s; mobilenetv3 not begun."""
    clock = Clock()
    board = SweepBoard("first", "val_pauc", "max", clock)
    board.add_student("tiny_conv", target=5, epochs=10)
    board.add_student("mobilenetv3", target=5, epochs=10)
    for number, epochs, state in ((0, 10, TrialState.FINISHED), (1, 4, TrialState.PRUNED), (2, 1, TrialState.FAILED)):
        board.trial_started("tiny_conv", number)
        clock.now += 4 * epochs
        board.trial_reported("tiny_conv", number, epochs)
        board.trial_ended("tiny_conv", number, state, 0.9124, 0.876)
    board.trial_started("tiny_conv", 3)
    return board


def drawn(board: SweepBoard, width: int = 80, **settings: bool) -> list[str]:
    """The screen's lines."""
    console = Console(width=width, file=StringIO(), record=True)
    console.print(render(board, width, **settings))
    return [line.rstrip() for line in console.export_text().splitlines()]


def row_of(board: SweepBoard, student: str) -> list[str]:
    return next(line.split() for line in drawn(board) if line.startswith(student))


def test_the_table_names_what_each_column_counts(board):
    first, second = drawn(board)[1:3]
    assert first.split() == ["fin-", "run-", "its", "per", "time"]
    assert second.split() == [
        "student", "ended", "ished", "pruned", "failed", "ning", "best", "F1", "trend", "hour", "left",
    ]  # fmt: skip


def test_a_row_tells_where_its_student_stands(board):
    # 40 s, 16 s and 4 s told of in one report each, so an epoch is taken for the median of these, 16 s: 10 of the
    # trial at work and 10 of the one that waits. 3 trials in a minute.
    assert row_of(board, "tiny_conv") == ["tiny_conv", "3/5", "1", "1", "1", "1", "0.912", "0.88", "▁", "180", "5:20"]


def test_a_student_that_has_not_begun_shows_dashes(board):
    assert row_of(board, "mobilenetv3") == ["mobilenetv3", "0/5", "0", "0", "0", "0", "-", "-", "-", "-"]


def test_the_last_row_adds_the_students_up_where_there_are_several(board):
    assert row_of(board, "all") == ["all", "3/10", "1", "1", "1", "1", "180", "-"]
    del board.students["mobilenetv3"]
    assert not any(line.startswith("all") for line in drawn(board))


def test_above_the_table_stand_the_times_and_what_follows(board):
    assert drawn(board)[0] == "sweep first: val_pauc, 1:00 used"
    del board.students["mobilenetv3"]  # of whom nothing is known yet
    board.follows = "confirming"
    assert drawn(board)[0] == "sweep first: val_pauc, 1:00 used, 5:20 left, then confirming"


def test_a_shared_cluster_is_told_of(board):
    assert drawn(board)[1].split()[0] == "fin-"
    board.part = lambda: "up to 2 trials at once at priority 1, beside second (up to 6 at priority 3)"
    assert drawn(board)[1] == board.part()


def test_below_the_table_stands_what_early_stopping_saved(board):
    assert "early stopping saved 6 of 21 epochs (29%)" in drawn(board)


def test_a_confirming_table_says_so(board):
    board.stage = "confirm"
    assert drawn(board)[0].startswith("sweep first, confirming: ")


def test_below_the_table_stands_where_each_trial_at_work_is(board):
    assert drawn(board)[-1] == "tiny_conv 3: epoch 0 of 10, starting"
    board.trial_reported("tiny_conv", 3, 4, 0.25, "node-7 GPU 1")
    assert drawn(board)[-1] == "tiny_conv 3: epoch 4 of 10, val_pauc 0.250, on node-7 GPU 1"


def test_of_many_trials_at_work_the_rest_is_counted_by_place(board):
    for number in range(4, 16):
        board.trial_started("mobilenetv3", number)
        board.trial_reported("mobilenetv3", number, 1, 0.5, f"node-{number % 2}")
    lines = drawn(board)
    assert lines[-1] == "and 5 more: 3 on node-1, 2 on node-0" and lines[-2].startswith("mobilenetv3 10: ")


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_fits_the_terminal_also_with_long_names_and_large_numbers(board, width):
    board.add_student("mobilenetv3_of_mine", 1000, 100)
    for number in range(120):
        board.recorded("mobilenetv3_of_mine", TrialState.FINISHED, number / 120, 0.5, 100)
    lines = drawn(board, width)
    assert max(map(len, lines)) <= width and any("120/1000" in line for line in lines)


def test_where_the_terminal_knows_no_blocks_the_trend_is_drawn_in_ascii(board):
    assert sparkline([0.2, 0.5, 0.5, 0.9], 8) == "▁▄▄█"
    board.students["tiny_conv"].bests = [0.2, 0.5, 0.5, 0.9]
    assert any(" _==# " in line for line in drawn(board, ascii_only=True))


def test_a_trend_keeps_the_first_and_the_last_of_more_values_than_it_has_room_for():
    assert sparkline([0.0, *[0.5] * 98, 1.0], 5) == "▁▅▅▅█"
    assert (sparkline([], 5), sparkline([0.3, 0.3], 5)) == ("", "▁▁")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0, "0:00"), (42.4, "0:42"), (59.6, "1:00"), (725, "12:05"), (11250, "3:07:30")]
)
def test_durations_read_as_on_a_clock(seconds, text):
    assert duration(seconds) == text


def test_without_a_terminal_every_ended_trial_is_a_plain_line(board):
    output = StringIO()
    with shown(board, Console(file=output, width=40)):
        board.trial_reported("tiny_conv", 3, 5)
        board.trial_started("tiny_conv", 4)
        board.trial_ended("tiny_conv", 3, TrialState.PRUNED, 0.5, 0.25)
        board.trial_ended("tiny_conv", 4, TrialState.FAILED)
    board.trial_started("tiny_conv", 5)
    board.trial_ended("tiny_conv", 5, TrialState.FAILED)  # after the block: nobody is told
    assert output.getvalue().splitlines() == [
        "sweep first",
        "tiny_conv 4/5 pruned at epoch 5 val_pauc 0.500 F1 0.25 [1 running]",
        "tiny_conv 5/5 failed at epoch 0 [0 running]",
    ]


def test_a_terminal_gets_the_table_and_keeps_its_last_state(board):
    output = StringIO()
    with shown(board, Console(file=output, width=120, force_terminal=True)):
        board.trial_ended("tiny_conv", 3, TrialState.FINISHED, 0.95, 0.9)
    last = output.getvalue().rsplit("sweep first", 1)[1]
    assert "0.950" in last and "4/5" in last
