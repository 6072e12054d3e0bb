"""Checking a data set as a whole, and loading it: the same faults in a report, or as a refusal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import Fault, InputError
from spaces.sections import Data
from trainables.audio.clips import Clip, list_entries, with_splits
from trainables.audio.entries import SPLITS, Entry, Split, counted, named
from trainables.audio.frontend import Samples, UnreadableAudioError, conform, read_audio
from trainables.audio.report import DataReport, describe, judge_classes, shown
from trainables.audio.scan import Progress, Sound, content_hash, in_order, scan
from trainables.audio.sounds import recorded_scan


@dataclass(frozen=True)
class LoadedClip:
    """A clip that was read once, known by its content; its samples are read again when asked for."""

    clip: Clip
    content_hash: str

    def samples(self) -> Samples:
        """(24000,) float32, as `frontend.conform` makes it.

        Raises:
            InputError: the file is no longer what was checked.
        """
        return conform(*self.recording())

    def recording(self) -> tuple[Samples, int]:
        """The file's samples, (n,) float32, and their rate in Hz.

        Raises:
            InputError: the file is no longer what was checked.
        """
        try:
            samples, rate = read_audio(self.clip.path)
        except UnreadableAudioError as error:
            raise InputError(Fault(str(self.clip.path), "", None, f"could be read before, not now: {error}")) from error
        if content_hash(samples, rate) != self.content_hash:
            raise InputError(Fault(str(self.clip.path), "", None, "changed since it was checked; start again"))
        return samples, rate


@dataclass(frozen=True)
class LoadedClips:
    """A data set fit for training.

    Args:
        clips: train, val, test; within a split in the order of their hashes, so that neither file names nor
            folders matter.
        report: what the check said.
    """

    clips: tuple[LoadedClip, ...]
    report: DataReport

    def __len__(self) -> int:
        return len(self.clips)

    def of(self, split: Split) -> tuple[LoadedClip, ...]:
        return tuple(loaded for loaded in self.clips if loaded.clip.split == split)


def stream(clips: Sequence[LoadedClip]) -> Iterator[Samples]:
    """The samples of each clip in turn, (24000,) float32, decoded a little ahead on all cores.

    Raises:
        InputError: a file is no longer what was checked.
    """
    return in_order(LoadedClip.samples, clips)


def check_data(data: Data, progress: Progress | None = None) -> DataReport:
    """Read every clip, whatever was recorded of it, and report; faults are in the report, none is raised.

    Args:
        progress: called with (files done, files in all).
    """
    return _checked(data, progress, None)[0]


def load_clips(data: Data, progress: Progress | None = None, record: Path | None = None) -> LoadedClips:
    """Every readable clip, its split and its hash; samples stay on disk.

    Args:
        progress: called with (files done, files in all).
        record: of earlier scans, see `sounds`; files in it that did not change are not read again.

    Raises:
        InputError: all that `check_data` finds at fault, at once.
    """
    report, clips, sounds = _checked(data, progress, record)
    if report.faults:
        raise InputError(report.faults)
    loaded = [LoadedClip(clip, sounds[clip.path].content_hash) for clip in clips]
    loaded.sort(key=lambda each: (SPLITS.index(each.clip.split), each.content_hash, each.clip.hard, each.clip.path))
    return LoadedClips(tuple(loaded), report)


def _checked(
    data: Data, progress: Progress | None, record: Path | None
) -> tuple[DataReport, list[Clip], dict[Path, Sound]]:
    listing = list_entries(data)
    report = DataReport(path=str(data.path), layout=listing.layout, skipped=listing.skipped, faults=listing.faults)
    paths = (entry.path for entry in listing.entries)
    found = recorded_scan(paths, record, progress) if record else scan(paths, progress)
    sounds = {path: sound for path, sound in found.items() if isinstance(sound, Sound)}
    report.unreadable = {
        shown(path, data.here): str(error) for path, error in found.items() if isinstance(error, UnreadableAudioError)
    }
    _judge_unreadable(report, listing.entries, data.max_unreadable)
    readable = [entry for entry in listing.entries if entry.path in sounds]
    if not readable:
        return report, [], {}
    clips, assignment = with_splits(readable, sounds, data)
    report.made_splits = list(assignment.made)
    report.faults += assignment.faults
    describe(report, clips, sounds)
    # Where splits could not be made, that says it; that they are empty besides says nothing new.
    if not assignment.faults:
        judge_classes(report)
    return report, clips, sounds


def _judge_unreadable(report: DataReport, entries: Sequence[Entry], tolerated: float) -> None:
    if not report.unreadable:
        return
    share = len(report.unreadable) / len(entries)
    files = named(f"{path} ({reason})" for path, reason in report.unreadable.items())
    found = f"{counted(len(report.unreadable), 'file')} of {len(entries)} ({share:.1%}) cannot be read: {files}"
    if share > tolerated:
        report.fault(f"{found}; repair or remove them, or tolerate more", "data.max_unreadable", tolerated)
    else:
        report.notes.append(f"{found}; they are left out")
