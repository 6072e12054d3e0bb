"""The wav2vec2 teacher: a Wav2Vec2, HuBERT, WavLM or other waveform encoder, through transformers."""

import copy
import json
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel, Wav2Vec2FeatureExtractor
from transformers.utils import cached_file

from trainables.audio.frontend import CLIP_SAMPLES, SAMPLE_RATE
from trainables.teachers.base import Encoder, NotATeacherError, Precision
from trainables.teachers.folder import PREPROCESSOR_FILE, whole_folder
from trainables.teachers.head import N_CLASSES, LinearHead, one_layer

# What a checkpoint's config says that no hidden state depends on; heads and library versions come and go.
STATELESS = {
    "_name_or_path", "architectures", "classifier_proj_size", "dtype", "id2label", "label2id", "problem_type",
    "torch_dtype", "transformers_version", "use_weighted_layer_sum",
}  # fmt: skip
# Stands in for masked frames; some checkpoints lack it.
PRETRAINING_WEIGHT = "masked_spec_embed"
# softmax of this against zeros is 1 to float32's precision, which takes one layer alone.
CHOSEN_LAYER = 30.0


class Wav2Vec2Encoder(Encoder):
    """Layer 0 enters block 1 (projected CNN features plus position), layers 1 to L are block outputs.

    Where a model normalises after its last block (``do_stable_layer_norm``), layer L is the state before.

    Args:
        model: an encoder without a head.
        normalise: bring each clip to zero mean and unit variance first, as its feature extractor does.
    """

    name = "wav2vec2"

    def __init__(self, model: PreTrainedModel, normalise: bool) -> None:
        super().__init__()
        self.model, self.normalise = model, normalise
        self.n_layers, self.dim = model.config.num_hidden_layers + 1, model.config.hidden_size

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, 24000) -> (batch, n_layers, dim) float32."""
        states = self._outputs(waveform).hidden_states
        return torch.stack([state.float().mean(dim=1) for state in states], dim=1)

    def __reduce__(self) -> tuple[Any, ...]:
        """By its weights, for torch cannot pickle a weight-normed convolution and workers on other nodes need one."""
        model = type(self.model), self.model.config, self.state_dict(), self.device
        return _rebuilt, (*model, self.normalise, self.precision)

    def closes_with_its_last_layer(self) -> bool:
        """Whether the model's last hidden state is layer L; not so where something follows the last block."""
        clip = torch.randn(1, CLIP_SAMPLES, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            outputs = self.eval()._outputs(clip)
        last, closing = outputs.hidden_states[-1], outputs.last_hidden_state
        return last.shape == closing.shape and torch.allclose(last, closing, atol=1e-6)

    @property
    def blocks(self) -> nn.ModuleList:
        return cast(nn.ModuleList, self.model.encoder.layers)

    def description(self) -> dict[str, Any]:
        config = {key: value for key, value in self.model.config.to_dict().items() if key not in STATELESS}
        return {"model": config, "normalise": self.normalise}

    def save(self, folder: Path, head: LinearHead | None) -> None:
        """Write transformers' own format: the encoder, or with a head its audio classifier."""
        with whole_folder(folder) as temporary, quiet():
            model = self.model if head is None else _classifier(self.model, head)
            model.save_pretrained(temporary)
            Wav2Vec2FeatureExtractor(do_normalize=self.normalise).save_pretrained(temporary)

    def _outputs(self, waveform: Tensor) -> Any:
        if self.normalise:
            variance, mean = torch.var_mean(waveform, dim=-1, correction=0, keepdim=True)
            waveform = (waveform - mean) / torch.sqrt(variance + 1e-7)
        return self.model(waveform, output_hidden_states=True)


def _rebuilt(
    kind: type[PreTrainedModel],
    config: PretrainedConfig,
    weights: dict[str, Tensor],
    device: torch.device,
    normalise: bool,
    precision: Precision,
) -> Wav2Vec2Encoder:
    """A frozen encoder as it was pickled."""
    with torch.random.fork_rng(devices=[]):  # a copy made during training must not move its random numbers
        encoder = Wav2Vec2Encoder(kind(config), normalise)
    encoder.load_state_dict(weights)
    encoder.precision = precision
    return encoder.to(device).eval().requires_grad_(False)


def load_wav2vec2(model: str, with_head: bool = True) -> tuple[Wav2Vec2Encoder, LinearHead | None]:
    """A hub id or a folder in transformers' format, with its head where it is a classifier of two classes.

    No code that comes with a model is ever run.

    Raises:
        NotATeacherError: not found, not reachable, damaged, or not an encoder of waveforms.
    """
    try:
        with quiet():
            config = AutoConfig.from_pretrained(model, trust_remote_code=False)
            _check_config(config)
            judges = with_head and _judges_two_classes(config)
            kind = _classifier_class(config) if judges else AutoModel
            loaded, info = kind.from_pretrained(
                model, config=config, dtype=torch.float32, output_loading_info=True, trust_remote_code=False,
                weights_only=True,
            )  # fmt: skip
            normalise = _normalises(model)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        if isinstance(error, NotATeacherError):
            raise
        reason = " ".join(str(error).split())
        if "trust_remote_code" in reason:
            raise NotATeacherError(
                "comes with code of its own, which is never run; name a model that transformers itself knows"
            ) from error
        if isinstance(error, pickle.UnpicklingError):
            reason = "its weights file holds more than weights, which is never run"
        raise NotATeacherError(
            f"is no teacher that transformers loads ({reason}); name a hub id that this machine reaches, "
            "or a folder with config.json and model.safetensors"
        ) from error
    _check_missing(loaded, info["missing_keys"])
    if not judges:
        return Wav2Vec2Encoder(loaded, normalise), None
    encoder = Wav2Vec2Encoder(loaded.base_model, normalise)
    return encoder, _folded_head(loaded, encoder)


def _check_config(config: PretrainedConfig) -> None:
    # conv_stride belongs to the convolutions over samples; spectrogram models are in the mapping too.
    if type(config) not in transformers.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING or not hasattr(config, "conv_stride"):
        raise NotATeacherError(
            f"is a {config.model_type} model, which does not hear waveforms; name a Wav2Vec2, HuBERT or WavLM"
        )


def _check_missing(loaded: PreTrainedModel, missing: set[str]) -> None:
    """Refuse weights that transformers had to make up, but for one that only pre-training uses."""
    needed = sorted(key for key in missing if not key.endswith(PRETRAINING_WEIGHT))
    if needed:
        raise NotATeacherError(f"lacks {len(needed)} weights, {needed[0]} among them; download or fit it again")
    if missing:
        # Drawn at random, it would be another fingerprint every time.
        nn.init.zeros_(loaded.base_model.masked_spec_embed)


def _judges_two_classes(config: PretrainedConfig) -> bool:
    classifies = any(name.endswith("ForSequenceClassification") for name in config.architectures or ())
    return classifies and config.num_labels == N_CLASSES


def _classifier_class(config: PretrainedConfig) -> Any:
    return transformers.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)]


def _normalises(model: str) -> bool:
    """Whether the model's feature extractor normalises each clip; transformers' default where it has none."""
    file = cached_file(model, PREPROCESSOR_FILE, _raise_exceptions_for_missing_entries=False)
    settings = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    rate = settings.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise NotATeacherError(f"hears {rate} Hz where clips have {SAMPLE_RATE}; name a model for {SAMPLE_RATE} Hz")
    return bool(settings.get("do_normalize", True))


def _folded_head(classifier: Any, encoder: Wav2Vec2Encoder) -> LinearHead:
    """Projector and classifier as one linear map, layer weights after their softmax."""
    if classifier.config.use_weighted_layer_sum:
        layer_weights = classifier.layer_weights.detach().softmax(dim=-1)
    elif encoder.closes_with_its_last_layer():
        layer_weights = one_layer(encoder.n_layers - 1, encoder.n_layers)
    else:
        raise NotATeacherError(
            "has a head on a state that follows its last block, which no layer holds; fit its head with "
            "`distune teacher fit`"
        )
    outer, inner = classifier.classifier, classifier.projector
    weight = outer.weight.detach() @ inner.weight.detach()
    return LinearHead(layer_weights, weight, outer.weight.detach() @ inner.bias.detach() + outer.bias.detach())


def _classifier(model: PreTrainedModel, head: LinearHead) -> Any:
    """transformers' audio classifier around ``model``: the head in its projector, identity in its classifier."""
    config = copy.deepcopy(model.config)
    config.use_weighted_layer_sum, config.classifier_proj_size = True, N_CLASSES
    config.id2label, config.label2id = {0: "negative", 1: "positive"}, {"negative": 0, "positive": 1}
    classifier = _classifier_class(config)(config)
    setattr(classifier, classifier.base_model_prefix, model)
    weights = head.layer_weights
    one_hot = weights.max() > 1 - 1e-6
    state = {
        "layer_weights": CHOSEN_LAYER * weights.round() if one_hot else weights.clamp(min=1e-30).log(),
        "projector.weight": head.weight,
        "projector.bias": head.bias,
        "classifier.weight": torch.eye(N_CLASSES),
        "classifier.bias": torch.zeros(N_CLASSES),
    }
    classifier.load_state_dict(state, strict=False)
    return classifier


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bars and advice; errors still come as exceptions."""
    settings = transformers.utils.logging
    verbosity, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity(logging.CRITICAL)
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(verbosity)
        if bars:
            settings.enable_progress_bar()
