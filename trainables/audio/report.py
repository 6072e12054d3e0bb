"""What `distune data check` says of a data set: counts, hours, speakers, and what is wrong or worth knowing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from spaces.errors import Fault
from trainables.audio.clips import Clip
from trainables.audio.entries import CLASS_OF_LABEL, SPLITS, Split, counted, named
from trainables.audio.frontend import CLIP_SECONDS
from trainables.audio.scan import Sound

SILENT_RMS = 1e-3
CLIPPED_SHARE = 1e-3
FEW_CLIPS = 20


class SplitCounts(BaseModel):
    """One split."""

    positive: int = 0
    negative: int = Field(0, description="all negatives, the hard ones included")
    hard_negative: int = 0
    hours: float = Field(0.0, description="as recorded, before cutting or padding to 1.5 s")
    speakers: int = Field(0, description="known speakers")
    without_speaker: int = Field(0, description="clips whose speaker is not known")


class DataReport(BaseModel):
    """A data set, checked."""

    path: str
    layout: str
    splits: dict[Split, SplitCounts] = Field(default_factory=lambda: {split: SplitCounts() for split in SPLITS})
    made_splits: list[Split] = Field(default_factory=list, description="splits that the data did not bring")
    skipped: dict[str, int] = Field(default_factory=dict, description="files and rows passed over, by label or folder")
    unreadable: dict[str, str] = Field(default_factory=dict, description="file to reason")
    silent: list[str] = Field(default_factory=list, description=f"RMS under {SILENT_RMS:g} of full scale (-60 dB)")
    clipped: list[str] = Field(default_factory=list, description=f"over {CLIPPED_SHARE:.1%} of samples at full scale")
    longer: int = Field(0, description="clips over 1.5 s, of which the middle is used")
    duplicates: list[list[str]] = Field(default_factory=list, description="groups of files with the same audio")
    notes: list[str] = Field(default_factory=list, description="worth knowing, no reason to stop")
    faults: list[Fault] = Field(default_factory=list, description="reasons to refuse the data")

    def table_rows(self) -> list[tuple[str, int, int, int, float, int]]:
        """(split, positive, negative, of them hard, hours, known speakers), a row a split."""
        return [
            (name, split.positive, split.negative, split.hard_negative, split.hours, split.speakers)
            for name, split in self.splits.items()
        ]

    def fault(self, remedy: str, key: str = "", value: object = None) -> None:
        self.faults.append(Fault(self.path, key, value, remedy))


def describe(report: DataReport, clips: Sequence[Clip], sounds: Mapping[Path, Sound]) -> None:
    """Fill in counts, and faults and notes of the clips as they sound.

    Args:
        clips: the readable ones, with their splits.
        sounds: of every clip.
    """
    root = Path(report.path)
    _count(report, clips, sounds)
    report.silent = [shown(clip.path, root) for clip in clips if sounds[clip.path].rms < SILENT_RMS]
    report.clipped = [shown(clip.path, root) for clip in clips if sounds[clip.path].clipped_share > CLIPPED_SHARE]
    report.longer = sum(sounds[clip.path].seconds > CLIP_SECONDS for clip in clips)
    _judge_duplicates(report, clips, sounds)
    _judge_speakers(report, clips)
    _note(report)


def judge_classes(report: DataReport) -> None:
    """A fault for a class that is missing throughout, else for each split that lacks one."""
    for name in CLASS_OF_LABEL.values():
        bare = [split for split, counts in report.splits.items() if not getattr(counts, name)]
        if len(bare) == len(report.splits):
            report.fault(f"has no {name} clips; a detector learns from both, so add some")
        elif bare:
            report.fault(f"has no {name} clips in {' and '.join(bare)}; each split needs both classes")


def shown(path: Path, root: Path) -> str:
    """A path as users know it: within the data folder where it is there."""
    folder = root if root.is_dir() else root.parent
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _count(report: DataReport, clips: Sequence[Clip], sounds: Mapping[Path, Sound]) -> None:
    for split in SPLITS:
        its = [clip for clip in clips if clip.split == split]
        report.splits[split] = SplitCounts(
            positive=sum(clip.label for clip in its),
            negative=sum(not clip.label for clip in its),
            hard_negative=sum(clip.hard for clip in its),
            hours=sum(sounds[clip.path].seconds for clip in its) / 3600,
            speakers=len({clip.speaker for clip in its} - {None}),
            without_speaker=sum(clip.speaker is None for clip in its),
        )


def _judge_duplicates(report: DataReport, clips: Sequence[Clip], sounds: Mapping[Path, Sound]) -> None:
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[sounds[clip.path].content_hash].append(clip)
    doubled = [group for group in groups.values() if len(group) > 1]
    root = Path(report.path)
    report.duplicates = [[shown(clip.path, root) for clip in group] for group in doubled]
    kinds = {
        "in two splits": [group for group in doubled if len({clip.split for clip in group}) > 1],
        "with two labels": [group for group in doubled if len({clip.label for clip in group}) > 1],
    }
    for kind, wrong in kinds.items():
        if wrong:
            pairs = named(" = ".join(shown(clip.path, root) for clip in group) for group in wrong)
            report.fault(f"has the same audio {kind}, {counted(len(wrong), 'time')}: {pairs}; keep one of each")
    harmless = [group for group in doubled if not any(group in wrong for wrong in kinds.values())]
    if harmless:
        pairs = named(" = ".join(shown(clip.path, root) for clip in group) for group in harmless)
        report.notes.append(f"the same audio twice in one split, {counted(len(harmless), 'time')}: {pairs}")


def _judge_speakers(report: DataReport, clips: Sequence[Clip]) -> None:
    splits_of: dict[str, set[Split]] = defaultdict(set)
    for clip in clips:
        if clip.speaker is not None:
            splits_of[clip.speaker].add(clip.split)
    across = sorted(speaker for speaker, splits in splits_of.items() if len(splits) > 1)
    if across:
        report.fault(
            f"has {counted(len(across), 'speaker')} in more than one split: {named(across)}; keep each in one split, "
            "or name no speakers where the overlap is meant",
            "speaker",
        )


def _note(report: DataReport) -> None:
    for split in report.made_splits:
        report.notes.append(f"the data brings no {split} split; it was made from the training clips")
    if report.skipped:
        passed = named(f"{counted(n, 'file')} of {name}" for name, n in sorted(report.skipped.items()))
        report.notes.append(f"passed over as neither positive nor negative: {passed}")
    if report.silent:
        report.notes.append(f"{counted(len(report.silent), 'clip')} all but silent: {named(report.silent)}")
    if report.clipped:
        report.notes.append(f"{counted(len(report.clipped), 'clip')} clipped: {named(report.clipped)}")
    if report.longer:
        report.notes.append(f"{counted(report.longer, 'clip')} over {CLIP_SECONDS} s, of which the middle is used")
    for split, counts in report.splits.items():
        if split != "train" and 0 < counts.positive < FEW_CLIPS:
            report.notes.append(
                f"{split} has only {counted(counts.positive, 'positive clip')}: its scores will be coarse"
            )
