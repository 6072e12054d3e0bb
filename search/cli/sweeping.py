"""What the commands that train share: a live table and a summary for people, or a stream of events for scripts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from search.cli.options import FAILED, INTERRUPTED, REFUSED, disk_fault
from spaces.errors import InputError
from spaces.sweep import SweepConfig

if TYPE_CHECKING:
    from search.record.results import SweepResults
    from search.run.profile import Profile
    from search.screen.events import EventStream
    from search.screen.live import Show
    from search.screen.steps import Steps


@dataclass(frozen=True)
class Output:
    """Where a command's work is shown.

    Args:
        again: the command that goes on with the sweep.
        events: the stream, where there is to be one.
    """

    again: str
    events: "EventStream | None" = None

    @property
    def steps(self) -> "Steps":
        from search.screen.steps import shown_steps

        return self.events.step if self.events else shown_steps

    @property
    def show(self) -> "Show":
        from search.screen.live import shown

        return self.events.shown if self.events else shown


@contextmanager
def reporting(as_json: bool, again: str) -> Iterator[Output]:
    """Show the work of the block, and how it ended where that is no success.

    Raises:
        typer.Exit: it was interrupted before it had anything to show, or of events, it was refused.
    """
    if not as_json:
        try:
            yield Output(again)
        except KeyboardInterrupt:
            print(_interrupted(again), file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        return
    from search.screen.events import streamed

    with streamed() as events:
        try:
            yield Output(again, events)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            events.failed(INTERRUPTED, _interrupted(again))
            raise typer.Exit(INTERRUPTED) from None
        except InputError as error:
            events.refused(REFUSED, error.faults)
            raise typer.Exit(REFUSED) from None
        except Exception as error:
            # Whatever it was, the stream says how it ended.
            if isinstance(error, OSError) and (fault := disk_fault(error)):
                events.refused(REFUSED, [fault])
                raise typer.Exit(REFUSED) from None
            events.failed(FAILED, f"{type(error).__name__}: {error}")
            raise


def bring_up(config: SweepConfig, out: Output, profiled: bool = False) -> None:
    """Run a sweep, resume or extend it, and tell what came of it.

    Raises:
        typer.Exit: it is not over, or found nothing.
    """
    from search.run.profile import Profile
    from search.sweep import Sweep

    profile = Profile()
    results = Sweep(config).run(out.steps, profile, out.show)
    tell_results(results, out, sweep_status(results), profile if profiled else None)


def tell_results(results: "SweepResults", out: Output, status: int, profile: "Profile | None" = None) -> None:
    """Tell what a sweep came to, and exit with ``status``."""
    if out.events:
        from search.screen.facts import summary_facts

        out.events.write("summary", {"status": status, **summary_facts(results)})
    else:
        _print(results, out, profile)
    if status:
        raise typer.Exit(status)


def confirmed_status(results: "SweepResults") -> int:
    """What confirming exits with."""
    if results.n_unconfirmed:
        return INTERRUPTED
    return 0 if any(found.winner for found in results.confirmed.values()) else FAILED


def sweep_status(results: "SweepResults") -> int:
    """What a sweep exits with: 0, 1 without a winner, or 130 where it is to go on."""
    if (results.n_missing and not results.limit_reached) or results.n_unconfirmed:
        return INTERRUPTED
    return 0 if results.winner() else FAILED


def _print(results: "SweepResults", out: Output, profile: "Profile | None") -> None:
    from rich.console import Console

    from search.screen.front import front_table
    from search.screen.summary import print_summary

    if profile:
        Console().print(profile.table())
    if results.sweep.objective.size:
        Console().print(front_table(results))
    print_summary(results, again=out.again)


def _interrupted(again: str) -> str:
    """Of Ctrl-C, or a stop from another terminal, while no trial runs: what is made by then is kept."""
    return f"interrupted before the first trial; go on with: {again}"
