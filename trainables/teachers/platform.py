"""The platform's own teacher checkpoint, a ``.pt`` of ``wav2vec2.*`` and ``classifier.*`` weights."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from trainables.teachers.base import NotATeacherError
from trainables.teachers.head import PlatformHead
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder

# Names of a weight-normed convolution before torch 2.1, as older checkpoints hold them.
RENAMED = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
HEAD_KEYS = ("0.weight", "0.bias", "3.weight", "3.bias")
# Of every published Wav2Vec2; a checkpoint's shapes do not tell its attention heads.
HEAD_SIZE = 64


def load_platform(path: Path) -> tuple[Wav2Vec2Encoder, PlatformHead]:
    """Read a checkpoint, bare or under ``model_state_dict``; the encoder hears the raw clip, as on the platform.

    Raises:
        NotATeacherError: not a checkpoint, one that could run code, or without the platform's keys.
    """
    weights = _read(path)
    encoder_weights = {_renamed(key): value for key, value in _under(weights, "wav2vec2.").items()}
    head_weights = _under(weights, "classifier.")
    if not encoder_weights or not all(key in head_weights for key in HEAD_KEYS):
        raise NotATeacherError(
            "is not the platform's Wav2Vec2 teacher, which has wav2vec2.*, classifier.0.* and classifier.3.* weights; "
            "name such a checkpoint, or a folder or hub id for transformers"
        )
    try:
        model = Wav2Vec2Model(infer_config(encoder_weights))
        model.load_state_dict(encoder_weights)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise NotATeacherError(
            f"holds a wav2vec2 whose weights do not fit together ({reason}); save it again"
        ) from error
    head = PlatformHead(*(head_weights[key] for key in HEAD_KEYS))
    return Wav2Vec2Encoder(model.eval(), normalise=False), head


def infer_config(weights: Mapping[str, Tensor]) -> Wav2Vec2Config:
    """The config that a Wav2Vec2's weights imply, as the checkpoint carries none.

    What no shape tells is as in facebook/wav2vec2-base: strides, 64 dimensions an attention head,
    GELU; layer-normed convolutions come with normalisation before attention, as in the large ones.

    Raises:
        KeyError: a weight that every Wav2Vec2 has is missing.
    """
    n_convolutions = _count(weights, "feature_extractor.conv_layers")
    convolutions = [weights[f"feature_extractor.conv_layers.{n}.conv.weight"] for n in range(n_convolutions)]
    hidden_size = weights["feature_projection.projection.weight"].shape[0]
    position = weights["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    layer_normed = "feature_extractor.conv_layers.1.layer_norm.weight" in weights
    return Wav2Vec2Config(
        hidden_size=hidden_size,
        num_hidden_layers=_count(weights, "encoder.layers"),
        num_attention_heads=max(hidden_size // HEAD_SIZE, 1),
        intermediate_size=weights["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0],
        conv_dim=tuple(kernel.shape[0] for kernel in convolutions),
        conv_kernel=tuple(kernel.shape[2] for kernel in convolutions),
        conv_stride=(5,) + (2,) * (len(convolutions) - 1),
        conv_bias="feature_extractor.conv_layers.0.conv.bias" in weights,
        num_conv_pos_embeddings=position.shape[2],
        num_conv_pos_embedding_groups=hidden_size // position.shape[1],
        feat_extract_norm="layer" if layer_normed else "group",
        do_stable_layer_norm=layer_normed,
        mask_time_prob=0.05 if "masked_spec_embed" in weights else 0.0,
    )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, KeyError, RuntimeError, ValueError, BadZipFile, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise NotATeacherError(
            f"cannot be read as weights ({reason}); save it again with torch.save({{'model_state_dict': ...}}, path)"
        ) from error
    nested = content.get("model_state_dict", content) if isinstance(content, Mapping) else {}
    return {str(key): value for key, value in _items(nested) if isinstance(value, Tensor)}


def _items(content: Any) -> list[tuple[Any, Any]]:
    return list(content.items()) if isinstance(content, Mapping) else []


def _under(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def _renamed(key: str) -> str:
    *path, leaf = key.split(".")
    return ".".join([*path, RENAMED.get(leaf, leaf)])


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    return len({key.removeprefix(f"{prefix}.").split(".")[0] for key in weights if key.startswith(f"{prefix}.")})
