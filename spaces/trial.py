"""Every knob of one trial: the platform's name, meaning, unit, bounds, default.

Sections and keys are those of the wake-word training platform, so that exporting a trial
translates nothing. ``seed`` is distune's own.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spaces.errors import faults_of

HEAVY_ALIGNMENT_WEIGHT = 0.5
SOFT_TEMPERATURE = 6.0


class Section(BaseModel):
    """What every section has in common: no unknown keys, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Distillation(Section):
    """What the teacher teaches, and how strongly."""

    enabled: bool = Field(True, description="learn from the teacher; false trains on labels alone")
    temperature: float = Field(2.0, ge=1, le=10, description="softens both logits, no unit")
    temperature_scheduler: Literal["fixed", "linear_decay", "exponential_decay"] = Field(
        "fixed", description="how temperature falls to 1 over the epochs"
    )
    alpha: float = Field(0.3, ge=0, le=1, description="weight of the teacher's logits, under 1; labels get 1 - alpha")
    feature_alignment_enabled: bool = Field(False, description="match the teacher's hidden states too")
    feature_alignment_weight: float = Field(
        0.1, gt=0, description="weight of the alignment loss, a mean over (teacher, layer) pairs"
    )
    alignment_layers: tuple[int, ...] = Field((2, 4, 6), description="teacher layers to align; 0 enters block 1")

    @field_validator("alpha")
    @classmethod
    def _labels_have_a_say(cls, alpha: float) -> float:
        if alpha == 1:
            raise ValueError("leaves nothing to the labels; choose less than 1, such as 0.9")
        return alpha

    @field_validator("alignment_layers")
    @classmethod
    def _layers_are_a_set_of_indices(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if any(layer < 0 for layer in layers) or len(set(layers)) < len(layers):
            raise ValueError(f"{list(layers)} repeats a layer or counts from the end; name each once, from 0 up")
        return layers

    @model_validator(mode="after")
    def _something_is_learnt_from_the_teacher(self) -> "Distillation":
        if self.enabled and self.alpha == 0 and not self.feature_alignment_enabled:
            raise ValueError(
                "distillation.alpha=0 with feature_alignment_enabled=false teaches nothing; "
                "raise alpha, enable alignment, or set distillation.enabled=false"
            )
        if self.enabled and self.feature_alignment_enabled and not self.alignment_layers:
            raise ValueError(
                "distillation.alignment_layers=[] with feature_alignment_enabled=true aligns nothing; "
                "name at least one layer or set feature_alignment_enabled=false"
            )
        return self

    @property
    def aligned(self) -> tuple[int, ...]:
        """The teacher layers this trial aligns, none where alignment is off."""
        return self.alignment_layers if self.enabled and self.feature_alignment_enabled else ()


class Model(Section):
    """The student."""

    architecture: str = Field("tiny_conv", description="student architecture, a name in the registry")
    num_classes: int = Field(2, ge=2, description="classes; the last is the wake word")
    # Measured: with the guide's 0.2, tiny_conv had learnt nothing of 1,260 clips after 8 epochs; with 0 it had.
    dropout: float = Field(0.0, ge=0, lt=1, description="of an activation; in tiny_conv, of a whole channel")
    tcn_num_channels: tuple[int, ...] = Field(
        (16, 32, 64, 64), min_length=1, description="tiny_conv's channels, block by block"
    )


class Training(Section):
    """The loop's length and step."""

    batch_size: int = Field(32, ge=2, description="clips per step")
    epochs: int = Field(30, ge=1, description="passes over the training clips")
    learning_rate: float = Field(3e-3, gt=0, description="peak step size, after warm-up")
    early_stopping_patience: int = Field(
        0, ge=0, description="epochs without a better objective before the trial ends; 0 never"
    )
    use_precomputed_features_for_training: Literal[False] = Field(
        False, description="must stay false: the teacher needs audio"
    )

    @field_validator("use_precomputed_features_for_training", mode="before")
    @classmethod
    def _the_teacher_hears_audio(cls, precomputed: Any) -> Any:
        if precomputed is not False:
            raise ValueError("the teacher needs audio, which precomputed features no longer hold; set it to false")
        return precomputed


class Optimizer(Section):
    """The optimizer and its schedule."""

    optimizer: Literal["adamw", "adam", "sgd"] = Field("adamw", description="the platform's three")
    weight_decay: float = Field(1e-4, ge=0, description="pull of the weights towards 0; decoupled in adamw")
    momentum: float = Field(0.9, ge=0, lt=1, description="for sgd")
    betas: tuple[float, float] = Field((0.9, 0.999), description="for adam and adamw")
    scheduler: Literal["cosine", "none"] = Field("cosine", description="after warm-up, stepped by optimizer step")
    warmup_epochs: int = Field(2, ge=0, description="epochs of linear warm-up")
    min_lr: float = Field(1e-6, ge=0, description="where cosine ends")
    gradient_clip: float = Field(1.0, ge=0, description="largest gradient norm; 0 does not clip")
    mixed_precision: bool = Field(True, description="autocast on CUDA; ignored on a CPU")


class Loss(Section):
    """The loss on labels."""

    loss_function: Literal["cross_entropy", "focal_loss"] = Field(
        "cross_entropy", description="focal_loss plays down clips that are easy already"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of a label given to all classes alike")
    focal_gamma: float = Field(2.5, ge=0, description="how much easy clips are played down")
    class_weights: Literal["balanced", "none"] = Field("balanced", description="balanced: N / (2 n_c), clipped")
    class_weight_min: float = Field(0.1, gt=0, description="where balanced weights are clipped below")
    class_weight_max: float = Field(100.0, gt=0, description="and above")
    hard_negative_weight: float = Field(1.0, gt=0, description="weight of clips marked as hard negatives")


class Augmentation(Section):
    """SpecAugment on the student's log-mel; the teacher hears the view without it."""

    use_spec_augment: bool = Field(True, description="mask bands and frames of each training clip anew")
    freq_mask_param: int = Field(8, ge=0, le=64, description="widest mask, mel bands")
    time_mask_param: int = Field(15, ge=0, le=151, description="longest mask, frames of 10 ms")
    n_freq_masks: int = Field(1, ge=0, description="masks of bands a clip")
    n_time_masks: int = Field(1, ge=0, description="masks of frames a clip")


class TrialConfig(Section):
    """One trial, whole: what a student is, what it learns from, how long and how fast."""

    model: Model = Field(default_factory=Model)
    distillation: Distillation = Field(default_factory=Distillation)
    training: Training = Field(default_factory=Training)
    optimizer: Optimizer = Field(default_factory=Optimizer)
    loss: Loss = Field(default_factory=Loss)
    augmentation: Augmentation = Field(default_factory=Augmentation)
    seed: int = Field(0, ge=0, description="of weights, shuffling, view choice, dropout and SpecAugment")

    @model_validator(mode="after")
    def _warmup_fits(self) -> "TrialConfig":
        if self.optimizer.warmup_epochs >= self.training.epochs and self.optimizer.warmup_epochs > 0:
            raise ValueError(
                f"optimizer.warmup_epochs={self.optimizer.warmup_epochs} leaves nothing of "
                f"training.epochs={self.training.epochs}; lower the one or raise the other"
            )
        return self

    @classmethod
    def from_flat(cls, flat: dict[str, Any]) -> "TrialConfig":
        """A trial from dotted keys, e.g. ``{"distillation.alpha": 0.7, "seed": 3}``."""
        return cls.model_validate(nested(flat))

    def flat(self) -> dict[str, Any]:
        """Dotted keys to plain values, tuples as lists."""
        return flattened(self.model_dump(mode="json"))

    def notes(self) -> list[str]:
        """The guide's advice where this trial goes against it; advice, not limits."""
        distillation, notes = self.distillation, []
        if distillation.aligned and distillation.feature_alignment_weight > HEAVY_ALIGNMENT_WEIGHT:
            notes.append(
                f"feature_alignment_weight {distillation.feature_alignment_weight:g} is over the guide's "
                f"{HEAVY_ALIGNMENT_WEIGHT}: watch the label loss"
            )
        if distillation.enabled and distillation.alpha > 0 and distillation.temperature > SOFT_TEMPERATURE:
            notes.append(f"temperature {distillation.temperature:g} is over the guide's {SOFT_TEMPERATURE:g}")
        return notes


def value_faults(key: str, value: Any) -> list[str]:
    """What is wrong with one value of one dotted key, whatever the others are."""
    try:
        TrialConfig.from_flat({key: value})
    except ValidationError as error:
        # Errors above the key are rules between keys, which depend on the others.
        return [fault.remedy for fault in faults_of(error, "") if fault.key.startswith(key)]
    return []


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, leaf = key.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[leaf] = value
    return tree


def flattened(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
