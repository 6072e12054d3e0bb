"""Running the one trial of an exported file again, in this process, and judging it by what it was confirmed at."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import torch
from rich.console import Console
from rich.table import Table

from search.configuration.forms import own_section, read_exported
from search.configuration.provenance import REPRODUCED, versions
from search.confirm.statistics import Spread, prediction_interval
from search.home import open_home
from search.prepare.shared import Shared, make_shared
from search.screen.steps import Steps, shown_steps
from spaces.errors import InputError, faults_of
from spaces.platform import OWN_SECTION
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.build import build_run

FIGURES_HANG_ON = ("torch", "torchaudio", "numpy", "transformers", "machine")

log = logging.getLogger(__name__)


class Provenance(pydantic.BaseModel):
    """What is needed of an exported file's ``distune`` section; what older files lack is empty."""

    sweep: SweepConfig
    trial: TrialConfig
    metrics: dict[str, float]
    corpus: str
    confirmed: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    teacher: dict[str, Any] | None = None
    stream: str | None = None
    packages: dict[str, str] = {}

    @property
    def spreads(self) -> dict[str, Spread]:
        """Metric to what it was confirmed at, of those that running again gives."""
        confirmed = self.confirmed or {}
        return {name: Spread(**confirmed[name]) for name in REPRODUCED if name in confirmed}


@dataclass(frozen=True)
class Reproduction:
    """A trial's metrics as exported and as run again, both at the best epoch.

    Attributes:
        spreads: metric to its confirmed mean and deviation; empty of a trial that was not confirmed.
        changed: what is otherwise than it was, a few words each, by which figures may differ.
    """

    exported: Mapping[str, float]
    again: Mapping[str, float]
    spreads: Mapping[str, Spread]
    changed: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether every metric but the times is the same, to the last bit."""
        both = [name for name in self.exported if name in self.again and not name.endswith("_seconds")]
        return all(self.exported[name] == self.again[name] for name in both)

    @property
    def outside(self) -> dict[str, tuple[float, float]]:
        """The metrics that lie outside of where one more run is to be expected, with the ends of that."""
        found = {}
        for name, spread in self.spreads.items():
            interval = prediction_interval(spread)
            # Slack, for of seeds that agree the mean is rounded.
            if interval and not interval[0] - 1e-9 <= self.again[name] <= interval[1] + 1e-9:
                found[name] = interval
        return found

    @property
    def succeeded(self) -> bool:
        """Bit-identical, or within the confirmed spread; without one, otherwise only for a reason that is known."""
        if self.identical:
            return True
        return not self.outside if self._has_intervals else bool(self.changed)

    @property
    def _has_intervals(self) -> bool:
        return any(spread.sd is not None for spread in self.spreads.values())

    def verdict(self) -> list[str]:
        """What to make of it, a sentence each."""
        told = ["bit-identical: every metric is as it was exported" if self.identical else "not bit-identical"]
        if self.changed:
            told.append(f"otherwise than it was: {'; '.join(self.changed)}")
        elif not self.identical:
            told.append("versions, clips and teacher are as they were: was it trained on a GPU, or another processor?")
        if not self._has_intervals:
            reason = "on one seed alone" if self.spreads else "not at all"
            return [*told, f"the trial was confirmed {reason}, so there is no spread to judge by"]
        n_seeds = next(iter(self.spreads.values())).n
        judged = f"the confirmed spread (where one more run falls in 95 % of cases, from {n_seeds} seeds)"
        told += [
            f"outside {judged}: {name} {self.again[name]:.4f}, of {low:.4f} to {high:.4f}"
            for name, (low, high) in self.outside.items()
        ]
        return told if self.outside else [*told, f"within {judged}: all of {', '.join(self.spreads)}"]


def reproduce_trial(
    file: Path, step: Steps = shown_steps, *, data: Path | None = None, teacher: str | None = None
) -> Reproduction:
    """Train the exported trial from its seed; the corpus is reused, or built where it is missing.

    Args:
        data: other clips than the sweep's.
        teacher: another model than the sweep's, of the same architecture.

    Raises:
        InputError: the file is none of distune's, or its data or teacher are no longer there.
    """
    recorded = _read(file)
    given = {"data.path": data and str(data), "teacher.model": teacher}
    sweep = recorded.sweep.overlaid({key: value for key, value in given.items() if value})
    shared, trial = make_shared(sweep, open_home(), step), recorded.trial
    changed = _changed(recorded, shared)
    if changed:
        log.warning("otherwise than at the export: %s; so the figures will differ", "; ".join(changed))
    objective = sweep.objective.model_dump()
    run = build_run(trial.flat(), shared.corpus, shared.teacher.head_fingerprint, objective, stream=shared.stream)
    with step("training") as progress, _threads(max(1, int(sweep.resources.cpus_per_trial))):
        while not run.done:
            progress(run.step()["epoch"], trial.training.epochs)
    assert run.best is not None  # a run that is done has had an epoch
    return Reproduction(recorded.metrics, run.best.result, recorded.spreads, changed)


def _changed(recorded: Provenance, shared: Shared) -> tuple[str, ...]:
    """What is otherwise than when the file was written, in words."""
    here, facts = versions(), shared.facts
    changed = [
        f"{name} {was}, here {here[name]}"
        for name, was in recorded.packages.items()
        if name in FIGURES_HANG_ON and was != here[name]
    ]
    if recorded.data and recorded.data["fingerprint"] != facts["clips"]["fingerprint"]:
        changed.append("other clips")
    if recorded.teacher:
        was, now = recorded.teacher["fingerprint"].split("/"), facts["teacher"]["fingerprint"].split("/")
        if was != now:
            changed.append("another teacher" if was[0] != now[0] else "a teacher's head that was fitted again")
    if recorded.stream != facts["stream"]:
        changed.append("another stream")
    if shared.corpus.name != Path(recorded.corpus).name and not changed:
        changed.append("another corpus: views, or the teacher's precision")
    return tuple(changed)


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    """As many threads as the trial had: more of them add up in another order, and round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def print_comparison(reproduction: Reproduction) -> None:
    """Both runs' metrics side by side, what was confirmed beside them, and the verdict."""
    table = Table("at the best epoch", "exported", "run again", "confirmed", box=None, pad_edge=False)
    for name in REPRODUCED:
        if name in reproduction.exported and name in reproduction.again:
            values = (f"{side[name]:.4f}" for side in (reproduction.exported, reproduction.again))
            table.add_row(name, *values, str(reproduction.spreads.get(name, "-")))
    Console().print(table)
    for sentence in reproduction.verdict():
        print(sentence)


def _read(file: Path) -> Provenance:
    section = own_section(read_exported(file), file)
    try:
        recorded = Provenance.model_validate(section)
    except pydantic.ValidationError as error:
        raise InputError(faults_of(error, file, OWN_SECTION)) from None
    return recorded
