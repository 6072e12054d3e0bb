from io import StringIO

from rich.console import Console

from search.screen.steps import shown_steps


def drawn(tell_progress: bool) -> str:
    console = Console(file=StringIO(), force_terminal=True, width=80)
    with shown_steps("reading clips", console) as tell:
        if tell_progress:
            tell(3, 8)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_step_that_counts_shows_how_far_it_is():
    assert "3/8" in drawn(tell_progress=True)


def test_a_step_that_does_not_count_shows_no_numbers_of_things():
    assert "0/" not in drawn(tell_progress=False) and "/?" not in drawn(tell_progress=False)


def test_without_a_terminal_a_step_is_a_line():
    output = StringIO()
    with shown_steps("reading clips", Console(file=output)) as tell:
        tell(3, 8)
    assert output.getvalue().strip() == "reading clips"
