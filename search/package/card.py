"""The model card: what a student is, how good it is, what for and what not, in Markdown.

Its sections are those of Mitchell et al. 2019, Model Cards for Model Reporting, https://arxiv.org/abs/1810.03993.
"""

from collections.abc import Iterable, Sequence

from search.confirm.statistics import Spread
from search.package.confirmed import ConfirmedStudent
from search.package.measured import Measured
from search.package.memory import BOARDS
from search.screen.confirm import sentences

FILES = {
    "audio.onnx": "`audio` (batch, 24000), 16 kHz mono of any level, to `logits`; the front-end is inside",
    "log_mel.onnx": "`log_mel` (batch, 1, 64, 151) to `logits`",
    "log_mel.int8.onnx": "the same in int8, quantised with the ranges that training clips show",
    "student.safetensors": "the weights, for torch",
}
NAMES = {"pauc": "pAUC", "f1": "F1", "fpr": "other clips accepted", "fnr": "wake words missed"}


def card(shipped: ConfirmedStudent, measured: Measured) -> str:
    """The whole card."""
    sections = [
        _opening(shipped, measured),
        _files(measured),
        _use(shipped, measured),
        _data(shipped, measured),
        _metrics(shipped, measured),
        _parity(measured),
        _cost(measured),
        _limits(shipped, measured),
    ]
    return "\n\n".join(sections) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _opening(shipped: ConfirmedStudent, measured: Measured) -> str:
    best = shipped.best
    return (
        f"# {shipped.sweep.name}: {best.student}\n\n"
        f"A wake-word spotter of {measured.size.parameters:,} parameters for 1.5 s of audio, distilled from a larger "
        f"teacher by distune: trial {best.number} of the sweep {shipped.sweep.name}, seed {shipped.seed}.\n\n"
        f"**Threshold: {measured.threshold:.4f}.** A clip is the wake word where the probability, the last of "
        f"`softmax(logits)`, is above it. It was chosen on validation clips: the fewest wake words missed with at most "
        f"{measured.fpr:.1%} of other clips accepted. On long recordings choose another: `distune evaluate`."
    )


def _files(measured: Measured) -> str:
    rows = [(f"`{file}`", f"{measured.n_bytes[file] / 1024:,.0f} kB", words) for file, words in FILES.items()]
    return "## Files\n\n" + _table(("file", "size", "what it is"), rows)


def _use(shipped: ConfirmedStudent, measured: Measured) -> str:
    return (
        "## Intended use\n\n"
        f"Telling whether 1.5 s of 16 kHz mono audio hold the one phrase of {shipped.sweep.name}'s positive clips, on "
        "a device, before anything costlier wakes. Windows that slide over a stream want smoothing and a pause after "
        "each wake.\n\nNot for telling who speaks, for anything said but that phrase, or where a miss or a false wake "
        "does harm."
    )


def _data(shipped: ConfirmedStudent, measured: Measured) -> str:
    rows = [(split, *(f"{n:,}" for n in kinds.values())) for split, kinds in measured.counts.items()]
    clips, teacher = shipped.facts.get("clips", {}), shipped.facts.get("teacher", {})
    metrics = shipped.facts["teacher_metrics"]["test"]
    model = shipped.sweep.teacher.model or "the small Wav2Vec2 that ships with distune"
    told = (
        f"Clips: fingerprint `{clips.get('fingerprint', 'not noted')}`; validation and test clips chose nothing of the "
        "weights but the best epoch and the trial (validation).\n\n"
        f"Teacher: {model}, fingerprint `{teacher.get('fingerprint', shipped.facts['head'])}`. Itself it reaches F1 "
        f"{metrics['f1']:.3f} at threshold 0.5 and pAUC {metrics['pauc']:.3f} on the test clips."
    )
    if measured.same_clips is False:
        told += "\n\n**These clips are not those that the sweep was confirmed on:** figures below are of other clips."
    return "## Data and teacher\n\n" + _table(("split", "wake words", "others"), rows) + "\n\n" + told


def _metrics(shipped: ConfirmedStudent, measured: Measured) -> str:
    rows = [(words, str(measured.float_[name]), str(measured.int8[name])) for name, words in NAMES.items()]
    units = "speakers" if measured.by_speaker else "clips"
    found, winner = shipped.found, shipped.winner
    metric = found.objective.metric
    spreads: dict[str, Spread] = {
        name: found.spread(winner, name) for name in (metric, found.objective.test_metric, "test_f1")
    }
    confirmed = "; ".join(f"{name} {spread}" for name, spread in dict.fromkeys(spreads.items()))
    told = "".join(f"- {sentence}.\n" for sentence in sentences(found))
    return (
        "## Metrics\n\nOf this very student on the test clips, at the threshold above, with 95 % intervals (pAUC and "
        f"F1 by bootstrap over {units}, shares exact binomial; pAUC is the ROC area up to 10 % of others accepted, "
        "over 0.1):\n\n"
        + _table(("", "float", "int8"), rows)
        + f"\n\nOf its configuration over {len(found.seeds)} seeds, mean and standard deviation (F1 at threshold 0.5): "
        f"{confirmed}.\n\n{told}"
        "\nThe run that ships is the best of these seeds on validation."
    )


def _parity(measured: Measured) -> str:
    parity, int8 = measured.parity, measured.int8_parity
    return (
        "## Parity\n\n"
        f"- ONNX beside torch, largest difference of a logit over {parity.n_clips} validation clips, whose largest "
        f"is {parity.largest:.3g}: {parity.log_mel:.1e} from log-mel, {parity.audio:.1e} from audio.\n"
        f"- int8 beside float: {int8}; {int8.decided_alike:.1%} of validation and test clips are decided alike."
    )


def _cost(measured: Measured) -> str:
    size = measured.size
    rows = [
        (f"`{file}`", f"{each.median_ms:.2f} ms", f"{each.slowest_ms:.2f} ms", f"{each.real_time_factor:.5f}",
         f"{each.streaming_factor:.4f}")
        for file, each in measured.latency.items()
    ]  # fmt: skip
    boards = [
        (name, str(board.max_flash_kb), str(board.max_ram_kb), "yes" if board.holds(size.flash_kb, measured.ram_kb) else
         "no")
        for name, board in BOARDS.items()
    ]  # fmt: skip
    return (
        f"## Cost\n\nA clip of 1.5 s on {measured.machine}:\n\n"
        + _table(("", "median", "95th percentile", "real-time factor", "with a window each 0.1 s"), rows)
        + f"\n\nEstimates for a device with int8 kernels: {size.flash_kb:.1f} kB of flash for the weights, "
        f"{measured.ram_kb:.1f} kB of RAM for activations, {size.macs / 1e6:.2f} million multiply-accumulates a clip. "
        "Front-end, interpreter and its tables come on top.\n\n"
        + _table(("`size_targets` of the platform", "max_flash_kb", "max_ram_kb", "fits"), boards)
    )


def _limits(shipped: ConfirmedStudent, measured: Measured) -> str:
    limits = [
        "Clips tell little of a stream: with so few hours of other sound, false accepts an hour are not known. Measure "
        "them with `distune evaluate` on long recordings of where it will run.",
        "It knows the voices, rooms and microphones of its training clips; synthesised ones stand in poorly for "
        "people.",
        "Int8 figures are ONNX Runtime's on this machine; another runtime rounds otherwise.",
        "A window of 1.5 s is levelled and normalised by itself: silence is raised to the level of speech.",
    ]
    if not measured.by_speaker:
        limits.append("Who speaks is not known of all test clips: intervals take clips of one speaker for independent.")
    if not measured.int8_parity.within:
        limits.insert(0, f"int8: {measured.int8_parity}.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)
