from io import StringIO

import pytest
from rich.console import Console

from search.record.states import TrialState
from search.screen.board import SweepBoard
from search.screen.live import duration, render, shown


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


def drawn(board: SweepBoard) -> list[list[str]]:
    """The table's cells, line by line."""
    console = Console(width=120, file=StringIO(), record=True)
    console.print(render(board))
    lines = console.export_text().splitlines()
    return [[cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")] for line in lines]


def test_the_table_names_what_each_column_counts(board):
    assert drawn(board)[2] == [
        "student", "done", "pruned", "failed", "running", "best val_pauc", "its F1", "time used", "time left",
    ]  # fmt: skip


def test_a_row_tells_where_its_student_stands(board):
    # 15 epochs in 60 s; 7 expected of the running trial and 7 of the one that waits: 14 x 4 s.
    assert ["tiny_conv", "3/5", "1", "1", "1", "0.912", "0.88", "1:00", "0:56"] in drawn(board)


def test_a_student_that_has_not_begun_shows_dashes(board):
    assert ["mobilenetv3", "0/5", "0", "0", "0", "-", "-", "0:00", "-"] in drawn(board)


def test_the_last_row_adds_the_students_up(board):
    assert ["all", "3/10", "1", "1", "1", "", "", "1:00", "-"] in drawn(board)


def test_the_table_fits_a_terminal_of_80_columns(board):
    console = Console(width=80, file=StringIO(), record=True)
    console.print(render(board))
    text = console.export_text()
    assert "mobilenetv3" in text and max(map(len, text.splitlines())) <= 80


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
