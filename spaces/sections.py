"""The sections of a sweep file, each key with its meaning, bounds and default."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from spaces.trial import Section

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
HIGHER_IS_BETTER = {"val_pauc": True, "val_auc": True, "val_f1": True, "val_eer": False,
                    "val_frr_at_fpr": False, "val_frr_at_fah": False, "val_stream_frr_at_fah": False}  # fmt: skip
ON_A_STREAM = "val_stream_frr_at_fah"


SCHEMES = ("s3", "gs", "file")
IS_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


def _located(value: Any) -> Path | str:
    """Read a path or a URI; pydantic by itself would make a path of the latter, or two faults of neither."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError("is neither a path nor a URI; write it as text")
    if not is_uri(value):
        return Path(value)
    scheme = value.partition("://")[0]
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise ValueError(f"begins with {scheme}://, which distune cannot read; choose one of {known}, or a path")
    return value.rstrip("/")


Location = Annotated[Path | str, BeforeValidator(_located)]
"""A path that this machine sees; or, as text, what is to be fetched: a bucket, or a folder or file in one, as fsspec
writes it: ``s3://bucket/clips``."""


def is_uri(location: str | Path) -> bool:
    """Whether a location is to be fetched from, as ``s3://bucket/clips`` is."""
    return isinstance(location, str) and bool(IS_URI.match(location))


def here(location: Location) -> Path:
    """A location that is a path of this machine; `trainables.storage.fetching` makes one of what is not."""
    assert isinstance(location, Path), f"{location} is still to be fetched"
    return location


class Views(Section):
    """Seeded augmentations of each training clip; view 0 is the clean clip."""

    count: int = Field(4, ge=1, le=64, description="views a training clip, the clean one included")
    gain_db: tuple[float, float] = Field((-6.0, 6.0), description="range of gain, dB")
    shift_ms: float = Field(100.0, ge=0, le=750, description="largest time shift either way, ms")
    noise_probability: float = Field(0.8, ge=0, le=1, description="share of the views that get noise")
    snr_db: tuple[float, float] = Field((5.0, 20.0), description="range of signal to noise, dB")
    rir_probability: float = Field(0.3, ge=0, le=1, description="share of the views that are heard in a room")
    noise: tuple[Location, ...] = Field((), description="folders or files of noise; none: generated noise")
    rir: tuple[Location, ...] = Field((), description="folders or files of room responses; none: generated rooms")
    seed: int = Field(0, ge=0, description="of all of these; another seed is another corpus")

    @field_validator("gain_db", "snr_db")
    @classmethod
    def _low_comes_first(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] > bounds[1]:
            raise ValueError(f"{list(bounds)} has its low end above its high end; swap them")
        return bounds


class Data(Section):
    """Where the clips are."""

    path: Location = Field(description="a folder, a CSV manifest, or a folder with train.json, val.json, test.json")
    keyword: str | None = Field(None, description="the wake word's folder, in a Speech Commands layout")
    allow_outside: bool = Field(False, description="let a manifest list files outside its own folder")
    max_unreadable: float = Field(0.01, ge=0, le=1, description="share of unreadable files that is tolerated")
    split_seed: int = Field(0, ge=0, description="of the splits that the data does not bring")
    views: Views = Field(default_factory=Views)

    @property
    def here(self) -> Path:
        """Where data lies that is on this machine."""
        return here(self.path)

    @property
    def is_remote(self) -> bool:
        """Whether some of it is still to be fetched."""
        return any(map(is_uri, (self.path, *self.views.noise, *self.views.rir)))


class Teacher(Section):
    """Who teaches."""

    architecture: Literal["wav2vec2", "conformer", "dual"] = Field(
        "wav2vec2", description="wav2vec2 (HuBERT and WavLM too), conformer, or both, mixed"
    )
    model: str | None = Field(
        None, description="hub id, folder, or the platform's .pt; none: the small teacher that ships with distune"
    )
    secondary_model: str | None = Field(None, description="the conformer's folder, for dual")
    mixing: Literal["confidence", "gentle"] = Field(
        "confidence", description="dual: the platform's softmax of 1/entropy, or normalised entropy's complement"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of the teacher's forward pass; auto: float16 on a GPU, float32 on a CPU"
    )
    minimum_f1: float = Field(0.80, ge=0, le=1, description="validation F1 under which a teacher is refused")
    allow_weak: bool = Field(False, description="go on with a teacher under minimum_f1")

    @model_validator(mode="after")
    def _conformers_are_named(self) -> Self:
        if self.architecture == "conformer" and self.model is None:
            raise ValueError("teacher.model is missing: fit one with `distune teacher fit --architecture conformer`")
        if self.architecture == "dual" and self.secondary_model is None:
            raise ValueError("teacher.secondary_model is missing: dual needs a fitted conformer's folder")
        return self


class Student(Section):
    """One student's part of the sweep."""

    space: str | None = Field(None, description="a shipped space or a YAML file; none: the student's own")
    trials: int | None = Field(None, ge=1, description="overrides budget.trials")
    epochs: int | None = Field(None, ge=1, description="overrides budget.epochs")
    grace_epochs: int | None = Field(None, ge=1, description="overrides early_stopping.grace_epochs")
    max_flash_kb: float | None = Field(
        None, gt=0, description="most flash that a trial's student may take as int8, estimated, kB; none: any"
    )
    fixed: dict[str, Any] = Field(default_factory=dict, description="trial keys held at a value, e.g. loss.focal_gamma")


class Budget(Section):
    """How much is trained. A limit on hours or cost counts all runs of the sweep; a larger one lets it go on."""

    trials: int = Field(16, ge=1, description="trials a student")
    epochs: int = Field(30, ge=1, description="epochs of a trial that runs to its end")
    hours: float | None = Field(None, gt=0, description="most wall hours that trials may take; none: no limit")
    gpu_hours: float | None = Field(None, gt=0, description="most hours times shares of a GPU that trials may hold")
    price_per_hour: float | None = Field(None, gt=0, description="of the machines, an hour, in any currency")
    cost: float | None = Field(None, gt=0, description="most that trials may cost at price_per_hour")

    @model_validator(mode="after")
    def _a_cost_has_a_price(self) -> Self:
        if self.cost is not None and self.price_per_hour is None:
            raise ValueError("cost without a price limits nothing; set price_per_hour, of the machines, or drop cost")
        return self


class Objective(Section):
    """What is optimised; never a quantity that depends on what is searched, such as val_loss."""

    metric: Literal[
        "val_pauc", "val_auc", "val_f1", "val_eer", "val_frr_at_fpr", "val_frr_at_fah", "val_stream_frr_at_fah"
    ] = Field(
        "val_pauc", description="what tells two trials apart; all are recorded always, on a stream where there is one"
    )
    fpr: float = Field(0.01, gt=0, lt=1, description="false positive rate of val_frr_at_fpr")
    false_accepts_per_hour: float = Field(0.5, gt=0, description="rate of val_frr_at_fah and val_stream_frr_at_fah")
    stream: Path | None = Field(
        None,
        description="folder of long recordings for val_stream_frr_at_fah: the share of wake words that the platform's "
        "detector misses where it fires at the rate elsewhere; words of its wake_words.csv, else of the validation "
        "clips, each amid its sound",
    )
    stream_epochs: int | None = Field(
        None,
        ge=1,
        description="epochs from one measuring on the stream to the next, the first and the last epoch apart; between "
        "them the value stands. None: as often as a tenth of the training allows, by counts of windows and clips",
    )
    size: Literal["flash_kb", "parameters", "macs"] | None = Field(
        None, description="minimised beside the metric, for students of several sizes; none: the metric alone"
    )

    @model_validator(mode="after")
    def _a_stream_is_named(self) -> Self:
        if self.stream is None and (self.metric == ON_A_STREAM or self.stream_epochs is not None):
            wants = f"metric={ON_A_STREAM}" if self.metric == ON_A_STREAM else f"stream_epochs={self.stream_epochs}"
            raise ValueError(f"{wants} needs a stream; set objective.stream to a folder of long recordings")
        return self

    @property
    def test_metric(self) -> str:
        """What the test clips say where the metric has chosen; a stream is of validation, so there they say pAUC."""
        return "test_pauc" if self.metric == ON_A_STREAM else f"test_{self.metric.removeprefix('val_')}"

    @property
    def mode(self) -> Literal["max", "min"]:
        return "max" if HIGHER_IS_BETTER[self.metric] else "min"

    @property
    def sign(self) -> int:
        """What a value is multiplied by so that more is better."""
        return 1 if self.mode == "max" else -1

    @property
    def rates(self) -> dict[str, float]:
        """At which rates the false rejection rates are read, as `trainables.metrics.evaluate` takes them."""
        return {"fpr": self.fpr, "false_accepts_per_hour": self.false_accepts_per_hour}


class Search(Section):
    """How trials are proposed."""

    sampler: Literal["tpe", "gp", "cmaes", "nsga2", "random", "qmc"] = Field(
        "tpe",
        description="who proposes: TPE, a Gaussian process, CMA-ES, NSGA-II, random or quasi-random numbers; gp and "
        "cmaes learn from finished trials alone and leave parameters under a condition, cmaes choices too, to TPE; "
        "nsga2 leaves parameters under a condition to chance",
    )
    seed: int = Field(0, ge=0, description="of the sampler; trial seeds follow from it")
    startup_trials: int = Field(
        10, ge=1, description="trials before the sampler models them, drawn at random; of nsga2, a generation"
    )
    group: bool = Field(False, description="tpe: model parameters under one condition jointly, not one by one")
    warm_start: tuple[str, ...] = Field(
        (), description="earlier sweeps, NAME or NAME/STUDENT, whose best trials run here too, beside budget.trials"
    )

    @field_validator("warm_start", mode="before")
    @classmethod
    def _one_will_do(cls, sources: Any) -> Any:
        return (sources,) if isinstance(sources, str) else sources

    @field_validator("warm_start")
    @classmethod
    def _are_sweeps_and_students(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        for source in sources:
            name, slash, student = source.partition("/")
            if not re.fullmatch(NAME_PATTERN, name) or (slash and not re.fullmatch(NAME_PATTERN, student)):
                raise ValueError(f"{source!r} is no name of a sweep; write NAME or NAME/STUDENT")
        return sources


class EarlyStopping(Section):
    """Which trials stop before their last epoch: those that fall behind on their student's ladder."""

    scheduler: Literal["asha", "hyperband", "none"] = Field(
        "asha",
        description="asha: every trial climbs the same rungs; hyperband: some trials are spared the first rungs, some "
        "all; none: every trial runs to its end",
    )
    grace_epochs: int = Field(5, ge=1, description="epochs every trial gets; at least the learning rate's warm-up")
    reduction_factor: int = Field(3, ge=2, description="one in this many goes on at each rung")


class Confirm(Section):
    """How a winner is confirmed: the best trials to the end on several seeds, beside two baselines tuned alike.

    It comes on top of the budget, and no limit of that ends it.
    """

    enabled: bool = Field(True, description="end a sweep with it; `distune confirm NAME` does it at any time")
    students: tuple[str, ...] | None = Field(None, min_length=1, description="whose winners; none: all students'")
    top: int = Field(3, ge=1, description="finished trials a student that are confirmed, the best by validation")
    seeds: int = Field(3, ge=1, description="runs an arm, each with a seed that no trial of the search had")
    learning_rates: int = Field(
        3, ge=1, description="rates tried for each baseline on the winner's settings, the winner's own among them"
    )


class Resources(Section):
    """What a trial takes of the machines, and which machines."""

    cpus_per_trial: float = Field(1, gt=0, description="cores that a trial reserves and uses")
    gpus_per_trial: float | None = Field(
        None, ge=0, description="share that a trial reserves; none: measured where the cluster has GPUs, else 0"
    )
    gpu_types: dict[str, Annotated[float, Field(gt=0, le=1)] | None] = Field(
        default_factory=dict,
        description="types of GPU that trials may run on, as Ray names them, and the share of each that a trial "
        "reserves, e.g. `{A100: 0.1, T4: null}`, null: measured; none: all that there are",
    )
    placement: Literal["pack", "spread"] = Field(
        "pack",
        description="pack: trials on as few nodes as hold them, which leaves the others to go and copies the corpus to "
        "fewer; spread: on as many as there are",
    )
    priority: int = Field(
        1,
        ge=1,
        le=100,
        description="part of the cluster beside other sweeps of the same home that run on it: 2 gets twice what 1 gets",
    )
    max_concurrent_trials: int | None = Field(None, ge=1, description="trials at once; none: as many as fit")
    checkpoint_epochs: int = Field(5, ge=1, description="epochs between checkpoints")
    corpus_placement: Literal["auto", "device", "memory", "disk"] = Field(
        "auto", description="where the corpus lies while trials train; auto: the first of these with room for it"
    )
    address: str | None = Field(None, description="a Ray cluster to join; none: start Ray here")
    storage: Location | None = Field(
        None,
        description="a bucket or folder that all nodes reach, such as s3://bucket/distune, for corpora and "
        "checkpoints; none: all nodes share distune's home",
    )

    @model_validator(mode="after")
    def _shares_are_given_once(self) -> Self:
        if self.gpu_types and self.gpus_per_trial is not None:
            raise ValueError("gpus_per_trial and gpu_types both say what a trial reserves; leave one of them out")
        return self


class Tracking(Section):
    """Where MLflow's users look."""

    uri: str | None = Field(None, description="an MLflow server or database; none: SQLite in distune's home")
