"""Writing the package: every file, what was measured of them, the card; whole or not at all."""

import json
import shutil
from pathlib import Path

import onnx

from search.package.card import card
from search.package.clips import ClipSet, calibrating
from search.package.confirmed import ConfirmedStudent
from search.package.convert import AUDIO, LOG_MEL, log_mel_model, save, with_front_end, write_int8
from search.package.figures import figures
from search.package.measured import Measured
from search.package.memory import activation_kb
from search.package.onnx_student import OnnxStudent, machine, measure
from search.package.parity import FloatParity, SplitScores, int8_parity
from search.screen.steps import Steps, Tell
from search.whole import whole_folder
from trainables.audio.check import LoadedClips
from trainables.audio.entries import SPLITS
from trainables.corpus.recipe import clips_fingerprint
from trainables.size import student_size
from trainables.threshold import operating_threshold

WEIGHTS, LOG_MEL_FILE, AUDIO_FILE, INT8_FILE = "student.safetensors", "log_mel.onnx", "audio.onnx", "log_mel.int8.onnx"
CARD, FACTS = "README.md", "package.json"


def write_package(shipped: ConfirmedStudent, clips: LoadedClips, out: Path, step: Steps) -> Measured:
    """Make ``out`` a folder of the student: weights, three ONNX files, ``package.json`` and the card ``README.md``.

    Args:
        clips: of the sweep's data: training clips set the ranges of int8, validation clips the threshold, test clips
            the figures.
        out: a folder that is not there, or is empty; whole as soon as it is there.
        step: tells the user what is going on.

    Raises:
        ParityError: ONNX says something else than torch.
        InputError: a clip is no longer what was checked.
    """
    with whole_folder(out) as folder:
        with step("converting to ONNX"):
            model = _convert(shipped, clips, folder)
        with step("comparing and measuring") as tell:
            measured = _measure(shipped, clips, folder, model, tell)
        text = json.dumps(measured.as_json(shipped), indent=2)
        (folder / FACTS).write_text(text + "\n", encoding="utf-8")
        (folder / CARD).write_text(card(shipped, measured), encoding="utf-8")
    return measured


def _convert(shipped: ConfirmedStudent, clips: LoadedClips, folder: Path) -> onnx.ModelProto:
    """Write weights and models; the one in float that takes a log-mel is returned."""
    shutil.copyfile(shipped.weights, folder / WEIGHTS)
    told = {
        "student": shipped.best.student,
        "sweep": shipped.sweep.name,
        "trial": str(shipped.best.number),
        "seed": str(shipped.seed),
    }
    model = log_mel_model(shipped.build())
    save(model, folder / LOG_MEL_FILE, told)
    save(with_front_end(model), folder / AUDIO_FILE, told)
    write_int8(folder / LOG_MEL_FILE, ClipSet.read(calibrating(clips.of("train"))).log_mel(), folder / INT8_FILE)
    return model


def _measure(
    shipped: ConfirmedStudent, clips: LoadedClips, folder: Path, model: onnx.ModelProto, tell: Tell
) -> Measured:
    students = {file: OnnxStudent(folder / file) for file in (AUDIO_FILE, LOG_MEL_FILE, INT8_FILE)}
    parity = FloatParity.measure(shipped.build(), students[LOG_MEL_FILE], students[AUDIO_FILE], clips.of("val"))
    parity.check()
    models = students[LOG_MEL_FILE], students[INT8_FILE]
    val, test = (SplitScores.of(*models, clips.of(split), tell) for split in ("val", "test"))
    fpr = shipped.sweep.objective.fpr
    threshold = operating_threshold(val.float_, val.labels, fpr=fpr)
    one = ClipSet.read(clips.of("test")[:1])
    clip = {AUDIO: one.audio, LOG_MEL: one.log_mel()}
    noted = shipped.facts.get("clips", {}).get("fingerprint")
    return Measured(
        threshold=threshold,
        fpr=fpr,
        float_=figures(test.float_, test.labels, test.speakers, threshold),
        int8=figures(test.int8, test.labels, test.speakers, threshold),
        parity=parity,
        int8_parity=int8_parity(val, test, threshold),
        latency={file: measure(student, clip[student.takes]) for file, student in students.items()},
        n_bytes={file: (folder / file).stat().st_size for file in (*students, WEIGHTS)},
        size=student_size(shipped.best.config.model),
        ram_kb=activation_kb(model),
        counts={split: _counts(clips, split) for split in SPLITS},
        same_clips=None if noted is None else noted == clips_fingerprint(clips),
        by_speaker=None not in test.speakers and len(set(test.speakers)) > 1,
        machine=machine(),
    )


def _counts(clips: LoadedClips, split: str) -> dict[str, int]:
    labels = [loaded.clip.label for loaded in clips.clips if loaded.clip.split == split]
    return {"wake words": sum(labels), "others": len(labels) - sum(labels)}
