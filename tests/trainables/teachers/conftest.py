"""Tiny random encoders, of every kind that the wav2vec2 teacher takes, and small labelled clips."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    HubertConfig,
    PretrainedConfig,
    PreTrainedModel,
    UniSpeechSatConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
)

from trainables.audio.frontend import CLIP_SAMPLES, SAMPLE_RATE

SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 1,
    "intermediate_size": 48,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 8),
    "conv_stride": (5, 8, 8),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
CONFIGS = {
    "wav2vec2": Wav2Vec2Config(**SIZES),
    "wav2vec2-stable": Wav2Vec2Config(**SIZES, do_stable_layer_norm=True, feat_extract_norm="layer"),
    "hubert": HubertConfig(**SIZES),
    "wavlm": WavLMConfig(**SIZES),
    "unispeech-sat": UniSpeechSatConfig(**SIZES),
}


def random_model(config: PretrainedConfig, seed: int = 0) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModel.from_config(config).eval()


def saved(folder: Path, model: PreTrainedModel, normalise: bool = True) -> str:
    """A model as a checkpoint that transformers itself wrote."""
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    return str(folder)


def noise(n_clips: int, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(n_clips, CLIP_SAMPLES, generator=torch.Generator().manual_seed(seed))


def tones(n_clips: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Clips (n, 24000) of a tone in noise, 400 Hz for negatives, 2 kHz for the wake word, and their labels."""
    labels = torch.arange(n_clips) % 2
    hertz = torch.where(labels == 1, 2000.0, 400.0).unsqueeze(1)
    seconds = torch.arange(CLIP_SAMPLES) / SAMPLE_RATE
    return 0.3 * torch.sin(2 * torch.pi * hertz * seconds) + noise(n_clips, seed) / 3, labels


@pytest.fixture(params=sorted(CONFIGS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
