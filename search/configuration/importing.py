"""The platform's configuration as a sweep of distune's, whose first trial it is and around which is searched."""

import json
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from search.configuration.centre import centred
from search.configuration.forms import is_trial, read_exported
from search.export import FRONT_END, yaml_text
from search.propose.rehearsal import FOR_ANY_STUDENT
from spaces.errors import Fault, InputError, faults_of, gathering, refuse
from spaces.platform import OWN_SECTION, PlatformConfig, platform_faults, unknown_keys
from spaces.sections import Views
from spaces.space import SHIPPED_SPACES, Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig, flattened
from trainables.students import student_names
from trainables.teachers.load import SHIPPED

CONFORMER_LAYERS = 4
PLATFORMS_ENCODER = "facebook/wav2vec2-base-960h"
# Keys beside those of a trial that something here follows from, or that change nothing.
FOLLOWED = {
    "config_name", "description", "data.data_root", "data.normalize_audio", "data.fallback_to_audio",
    "data.use_precomputed_features_for_training", *(f"data.{key}" for key in FRONT_END),
    "qat.backend", "model.num_layers", "augmentation.time_shift_prob", "augmentation.time_shift_min_ms",
    "augmentation.time_shift_max_ms", "augmentation.background_noise_prob", "augmentation.noise_snr_min",
    "augmentation.noise_snr_max", "augmentation.rir_prob", "distillation.teacher_model_path",
    "distillation.teacher_architecture", "distillation.secondary_teacher_architecture",
    "distillation.secondary_teacher_model_path", "size_targets.max_flash_kb",
}  # fmt: skip
HEADER = """\
# Made by `distune import` of the platform's configuration {config}: its values are the first trial, and the middle of
# what is searched, which {space} says. What the file leaves out has the platform's defaults. Of those, distune
# has no stretch and no shift of pitch, no moving average of the weights, and no sampling by class.
"""


@dataclass(frozen=True)
class Imported:
    """Two files' texts, and what of the configuration is otherwise here, a sentence each."""

    sweep: str
    space: str
    notes: tuple[str, ...]


def import_config(file: Path, data: Path, sweep_file: Path, space_file: Path) -> Imported:
    """A sweep file and its search space; nothing is written.

    Args:
        file: the platform's YAML, or one that `distune export` wrote.
        data: the clips, for the platform's file names none.
        sweep_file: what the sweep file will be; it names ``space_file`` beside it.

    Raises:
        InputError: everything of the configuration that the platform or distune cannot take.
    """
    tree = read_exported(file)
    if is_trial(tree):
        remedy = "is distune's own trial; export it with --format platform"
        raise InputError(Fault(str(file), "", None, remedy))
    refuse(platform_faults(tree, str(file)))
    config = PlatformConfig.model_validate(tree)
    faults = [*_front_end_faults(config, str(file)), *_teacher_faults(config, str(file))]
    student = config.model.architecture
    if student not in student_names():
        remedy = f"is no student of distune's; choose one of {', '.join(student_names())}"
        faults.append(Fault(str(file), "model.architecture", student, remedy))
    trial = None
    try:
        trial = TrialConfig.model_validate(_trial_tree(config, tree))
    except pydantic.ValidationError as error:
        faults += faults_of(error, file)
    refuse(faults)
    assert trial is not None  # refused above
    space, held = centred(student if student in SHIPPED_SPACES else FOR_ANY_STUDENT, trial)
    sweep = _sweep_tree(config, tree, data, space_file.name, held, file.resolve().parent)
    _check(sweep, space, sweep_file, space_file)
    notes = tuple(_notes(config, tree, held))
    header = HEADER.format(config=file.name, space=space_file.name) + "".join(_comment(note) for note in notes)
    return Imported(header + yaml_text(sweep), yaml_text(space), notes)


def _comment(note: str) -> str:
    return textwrap.fill(note, 118, initial_indent="# - ", subsequent_indent="#   ", break_on_hyphens=False) + "\n"


def _front_end_faults(config: PlatformConfig, file: str) -> Iterator[Fault]:
    for key, ours in FRONT_END.items():
        if (value := getattr(config.data, key)) != ours:
            remedy = f"distune's front-end is fixed, as the students of both are made for it; set {ours}"
            yield Fault(file, f"data.{key}", value, remedy)


def _teacher_faults(config: PlatformConfig, file: str) -> Iterator[Fault]:
    wanted = config.distillation
    if not (wanted.enabled and wanted.teacher_model_path and wanted.teacher_architecture == "dual"):
        return
    key = "distillation.secondary_teacher"
    if wanted.secondary_teacher_architecture != "conformer":
        remedy = "distune's second teacher is a conformer; name one"
        yield Fault(file, f"{key}_architecture", wanted.secondary_teacher_architecture, remedy)
    if not wanted.secondary_teacher_model_path:
        remedy = "is missing: dual needs a fitted conformer; name it, or set teacher_architecture to wav2vec2"
        yield Fault(file, f"{key}_model_path", None, remedy)


def _trial_tree(config: PlatformConfig, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a trial that the platform has too, by the same names and with its values."""
    theirs, ours = config.model_dump(mode="json"), TrialConfig().model_dump(mode="json")
    found = {
        section: {key: value for key, value in theirs[section].items() if key in keys}
        for section, keys in ours.items()
        if section in theirs
    }
    # What is left out is built by the platform in two ways, of which distune has the smaller.
    if config.model.architecture != "tiny_conv" or "tcn_num_channels" not in tree.get("model", {}):
        del found["model"]["tcn_num_channels"]
    # 0 is "never" to distune.
    if config.training.early_stopping_patience >= config.training.epochs:
        found["training"]["early_stopping_patience"] = 0
    found["distillation"]["feature_alignment_weight"] = _own_weight(config, tree)
    return found


def _own_weight(config: PlatformConfig, tree: Mapping[str, Any]) -> float:
    """The alignment weight in distune's unit: the one noted in a file that distune wrote, else for an RMS of 1.

    The platform sums over (teacher, layer) pairs where distune takes the mean, see `search.export.platform_weight`;
    what the teacher's states measure is only known once it has heard the clips.
    """
    noted = _own(tree).get("trial", {}).get("distillation", {}).get("feature_alignment_weight")
    if isinstance(noted, float):
        return noted
    layers, is_dual = config.distillation.alignment_layers, config.distillation.teacher_architecture == "dual"
    n_pairs = len(layers) + (sum(layer < CONFORMER_LAYERS for layer in layers) if is_dual else 0)
    return config.distillation.feature_alignment_weight * max(n_pairs, 1)


def _own(tree: Mapping[str, Any]) -> dict[str, Any]:
    section = tree.get(OWN_SECTION)
    return section if isinstance(section, dict) else {}


def _sweep_tree(
    config: PlatformConfig, tree: Mapping[str, Any], data: Path, space: str, held: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """The sweep file's content; views as they were where distune wrote the configuration, for they were not changed.

    Args:
        folder: of the configuration, to which its paths may be relative.
    """
    student: dict[str, Any] = {"space": space}
    if config.size_targets.max_flash_kb:
        student["max_flash_kb"] = float(config.size_targets.max_flash_kb)
    student |= {"fixed": held} if held else {}
    noted = _own(tree).get("sweep", {})
    views = noted.get("data", {}).get("views") or _views(config)
    return {
        "data": {"path": str(data.resolve()), "views": views},
        **({"teacher": teacher} if (teacher := _teacher(config, folder)) else {}),
        "students": {config.model.architecture: student},
        "budget": {"epochs": config.training.epochs},
    }


def _views(config: PlatformConfig) -> dict[str, Any]:
    """The platform's augmentation as views, of which one is clean: the inverse of what an export does."""
    theirs, usual = config.augmentation, Views()
    disturbed = 1 - 1 / usual.count
    shift_ms = max(abs(theirs.time_shift_min_ms), abs(theirs.time_shift_max_ms)) if theirs.time_shift_prob else 0
    return {
        "count": usual.count,
        "shift_ms": min(float(shift_ms), 750.0),
        "noise_probability": min(1.0, round(theirs.background_noise_prob / disturbed, 6)),
        "snr_db": [theirs.noise_snr_min, theirs.noise_snr_max],
        "rir_probability": min(1.0, round(theirs.rir_prob / disturbed, 6)),
    }


def _teacher(config: PlatformConfig, folder: Path) -> dict[str, Any]:
    """The sweep's teacher; nothing, which is the one that ships with distune, where the platform has none to name."""
    wanted = config.distillation
    if not (wanted.enabled and wanted.teacher_model_path):
        return {}

    def local(name: str) -> str:
        # A hub id looks like a relative path; it is one only where that path exists.
        return str((folder / name).resolve()) if (folder / name).exists() else name

    teacher = {"architecture": wanted.teacher_architecture, "model": local(wanted.teacher_model_path)}
    if wanted.teacher_architecture == "dual":
        teacher["secondary_model"] = local(wanted.secondary_teacher_model_path)
    return teacher


def _check(sweep: dict[str, Any], space: dict[str, Any], sweep_file: Path, space_file: Path) -> None:
    """Read both as a sweep will.

    Raises:
        InputError: as the sweep would.
    """
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / space_file.name
        written.write_text(yaml_text(space), encoding="utf-8")
        with gathering(faults):
            Space.load(written)
    try:
        SweepConfig.model_validate({"name": sweep_file.stem} | sweep)
    except pydantic.ValidationError as error:
        faults += faults_of(error, sweep_file)
    refuse(faults)


def _notes(config: PlatformConfig, tree: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[str]:
    """What of the configuration is otherwise here, or is not here at all."""
    if ignored := unknown_keys(tree):
        yield f"the platform ignores {', '.join(ignored)}, and so does distune"
    if left := _without_counterpart(config):
        yield f"without a counterpart here: {', '.join(left)}"
    yield from _teacher_notes(config)
    noted = "feature_alignment_weight" in _own(tree).get("trial", {}).get("distillation", {})
    if config.distillation.enabled and config.distillation.feature_alignment_enabled and not noted:
        yield "its alignment weight is of a sum over layers, here of their mean: multiplied by the number of layers"
    if config.model.architecture == "mobilenetv3" and config.model.num_layers:
        yield f"with model.num_layers {config.model.num_layers} its web page adds a BiLSTM, which distune's has not"
    if config.model.architecture == "tiny_conv" and "tcn_num_channels" not in tree.get("model", {}):
        yield "it leaves model.tcn_num_channels to its two defaults; here the smaller, [16, 32, 64, 64]"
    if held:
        yield f"held at its value, since no range can have it in the middle: {', '.join(held)}"


def _teacher_notes(config: PlatformConfig) -> Iterator[str]:
    """Of a file that names no teacher."""
    wanted = config.distillation
    if not wanted.enabled or wanted.teacher_model_path:
        return
    yield "it names no teacher, which there is one with a random head: here the teacher that ships with distune"
    shipped = json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"]
    if wanted.feature_alignment_enabled and max(wanted.alignment_layers, default=0) > shipped:
        yield f"that teacher has layers 0 to {shipped}: for those beyond, set teacher.model to {PLATFORMS_ENCODER}"


def _without_counterpart(config: PlatformConfig) -> list[str]:
    """The keys set otherwise than the platform's defaults that nothing here follows from."""
    trial = TrialConfig().model_dump()
    followed = {f"{section}.{key}" for section, keys in trial.items() if isinstance(keys, dict) for key in keys}
    theirs, usual = flattened(config.model_dump()), flattened(PlatformConfig().model_dump())
    return [key for key in theirs if key not in followed | FOLLOWED and theirs[key] != usual[key]]
