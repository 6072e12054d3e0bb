"""The conformer teacher: torchaudio's Conformer on log-mel, trained by distune itself."""

import json
from pathlib import Path
from typing import Any, cast

import pydantic
import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchaudio.models import Conformer

from spaces.trial import Section
from trainables.audio.frontend import N_MELS, LogMel
from trainables.teachers.base import Encoder, NotATeacherError
from trainables.teachers.folder import CONFIG_FILE, WEIGHTS_FILE, whole_folder
from trainables.teachers.head import LinearHead

HEAD_PREFIX = "head."


class ConformerConfig(Section):
    """A Conformer's size; as it stands, 1.04 M parameters, the platform's."""

    dim: int = Field(144, ge=1, description="size of a frame's state")
    n_blocks: int = Field(4, ge=1)
    n_heads: int = Field(4, ge=1, description="attention heads; divides dim")
    ffn_dim: int = Field(180, ge=1, description="width of each of a block's two feed-forward modules")
    kernel_frames: int = Field(31, ge=1, description="depthwise convolution's kernel, odd")
    dropout: float = Field(0.1, ge=0, lt=1)


class ConformerEncoder(Encoder):
    """Linear from 64 mels to ``dim``, then blocks; layer 0 is the output of block 1."""

    name = "conformer"

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.n_layers, self.dim = config.n_blocks, config.dim
        self.log_mel = LogMel()
        self.input = nn.Linear(N_MELS, config.dim)
        self.conformer = Conformer(
            config.dim, config.n_heads, config.ffn_dim, config.n_blocks, config.kernel_frames, dropout=config.dropout
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, 24000) -> (batch, n_layers, dim) float32."""
        # In float32, because half precision cannot hold the power spectrum's range.
        with torch.autocast(waveform.device.type, enabled=False):
            mel = self.log_mel(waveform.float())
        state = self.input(mel.squeeze(1).transpose(1, 2)).transpose(0, 1)
        pooled = []
        for block in self.blocks:
            # (frames, batch, dim); no clip is padded, so nothing is masked.
            state = block(state, None)
            pooled.append(state.float().mean(dim=0))
        return torch.stack(pooled, dim=1)

    @property
    def blocks(self) -> nn.ModuleList:
        return cast(nn.ModuleList, self.conformer.conformer_layers)

    def description(self) -> dict[str, Any]:
        return {"conformer": self.config.model_dump()}

    def save(self, folder: Path, head: LinearHead | None) -> None:
        """Write config.json and model.safetensors, the head's weights under ``head.``."""
        weights = self.state_dict()
        if head is not None:
            weights |= {f"{HEAD_PREFIX}{key}": value for key, value in head.state_dict().items()}
        with whole_folder(folder) as temporary:
            config = {"model_type": "distune-conformer", **self.config.model_dump()}
            (temporary / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            save_file({key: value.contiguous().cpu() for key, value in weights.items()}, temporary / WEIGHTS_FILE)


def load_conformer(model: str) -> tuple[ConformerEncoder, LinearHead | None]:
    """A folder that `ConformerEncoder.save` wrote, with its head where it was fitted.

    Raises:
        NotATeacherError: no such folder, damaged, or another model's.
    """
    remedy = "name a folder made by `distune teacher fit --architecture conformer`"
    try:
        settings = json.loads((Path(model) / CONFIG_FILE).read_text(encoding="utf-8"))
        if not isinstance(settings, dict) or settings.pop("model_type", None) != "distune-conformer":
            raise NotATeacherError(f"is not distune's conformer; {remedy}")
        encoder = ConformerEncoder(ConformerConfig.model_validate(settings))
        weights = load_file(Path(model) / WEIGHTS_FILE)
        head = [weights.pop(f"{HEAD_PREFIX}{key}", None) for key in ("layer_weights", "weight", "bias")]
        encoder.load_state_dict(weights)
    except OSError as error:
        raise NotATeacherError(f"cannot be read ({error.strerror or error}); {remedy}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, pydantic.ValidationError, RuntimeError, SafetensorError) as error:
        raise NotATeacherError(f"is damaged ({' '.join(str(error).split())[:200]}); {remedy}") from error
    fitted = [value for value in head if value is not None]
    return encoder.eval(), LinearHead(*fitted) if len(fitted) == len(head) else None
