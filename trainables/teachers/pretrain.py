"""Makes the small speech teacher that ships with distune; run once by its maintainers.

``python -m trainables.teachers.pretrain --recorded DIR --out trainables/teachers/shipped``

A Wav2Vec2 of about 1.3 M parameters learns from recorded words of many speakers (a folder with a
``manifest.csv`` of ``path,word,speaker``) and from English words and word pairs in many synthetic
voices. Two tasks keep its layers general: which words were said, from the last state averaged
over time, and which phonemes in which order (CTC, Graves et al. 2006), from every frame of the
synthesised clips. Both heads are thrown away; what remains is an encoder without a wake word.
"""

import argparse
import csv
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from trainables.audio.espeak import Espeak
from trainables.audio.frontend import CLIP_SAMPLES, SAMPLE_RATE, conform, read_clip

log = logging.getLogger(__name__)

CONFIG = Wav2Vec2Config(
    conv_dim=(32, 32, 48, 64, 64, 96, 96),
    hidden_size=128,
    num_hidden_layers=6,
    num_attention_heads=4,
    intermediate_size=512,
    num_conv_pos_embeddings=32,
    num_conv_pos_embedding_groups=8,
    hidden_dropout=0.05,
    attention_dropout=0.05,
    activation_dropout=0.05,
    feat_proj_dropout=0.0,
    layerdrop=0.0,
    apply_spec_augment=False,
)
# Kept out, so that "hey sirius" in the demo is a phrase this teacher never heard.
UNHEARD = {"hey", "sirius", "serious"}
WORDS = sorted(set((Path(__file__).parent / "pretrain_words.txt").read_text(encoding="utf-8").split()) - UNHEARD)
PAIR_SHARE = 0.4
CTC_WEIGHT = 0.3


@dataclass
class Clips:
    """Clips with the words in each, and the phonemes where they are known.

    audio: (n, 24000) int16. words, phonemes: indices, a list a clip.
    """

    audio: np.ndarray
    words: list[list[int]]
    phonemes: list[list[int]]


@dataclass
class Index:
    """Names to numbers, in order of appearance."""

    numbers: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))

    def __len__(self) -> int:
        return len(self.numbers)


def recorded_clips(folder: Path, words: Index) -> Clips:
    """The recorded words of ``folder/manifest.csv``."""
    with open(folder / "manifest.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    audio = np.stack([_int16(read_clip(folder / row["path"])) for row in rows])
    return Clips(audio, [[words[f"recorded {row['word']}"]] for row in rows], [[] for _ in rows])


def spoken_clips(n_clips: int, words: Index, phonemes: Index, seed: int) -> Clips:
    """``n_clips`` English words and pairs of words, in random voices, rates and pitches."""
    draw, espeak = np.random.default_rng(seed), Espeak()
    voices = espeak.voices()
    clips = Clips(np.zeros((n_clips, CLIP_SAMPLES), np.int16), [], [])
    for row in range(n_clips):
        said = [str(word) for word in draw.choice(WORDS, 1 + (draw.random() < PAIR_SHARE), replace=False)]
        text, voice = " ".join(said), str(draw.choice(voices))
        rate_wpm, pitch = int(draw.integers(130, 240)), int(draw.integers(20, 80))
        clips.audio[row] = _int16(conform(*espeak.speak(text, voice, rate_wpm=rate_wpm, pitch=pitch)))
        clips.words.append([words[word] for word in said])
        # Number 0 is CTC's blank; stress marks are dropped.
        sounds = [sound.lstrip("',%=") for word in espeak.phonemes(text, voice) for sound in word]
        clips.phonemes.append([1 + phonemes[sound] for sound in sounds])
    return clips


class Pretraining(nn.Module):
    """The encoder with its two heads, both thrown away in the end."""

    def __init__(self, n_words: int, n_phonemes: int) -> None:
        super().__init__()
        self.encoder = Wav2Vec2Model(CONFIG)
        self.word_head = nn.Linear(CONFIG.hidden_size, n_words)
        self.phoneme_head = nn.Linear(CONFIG.hidden_size, 1 + n_phonemes)

    def loss(self, audio: Tensor, words: list[list[int]], phonemes: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Word loss and phoneme loss of audio (batch, 24000), in nats a clip and nats a phoneme."""
        frames = self.encoder(audio).last_hidden_state
        target = torch.zeros(len(words), self.word_head.out_features)
        for row, said in enumerate(words):
            target[row, said] = 1 / len(said)
        word_loss = F.cross_entropy(self.word_head(frames.mean(dim=1)), target, label_smoothing=0.05)
        spoken = [row for row, sounds in enumerate(phonemes) if sounds]
        log_probs = self.phoneme_head(frames[spoken]).log_softmax(-1).transpose(0, 1)
        sounds = [torch.tensor(phonemes[row]) for row in spoken]
        phoneme_loss = F.ctc_loss(
            log_probs,
            torch.cat(sounds),
            torch.full((len(spoken),), frames.shape[1]),
            torch.tensor([len(sound) for sound in sounds]),
            zero_infinity=True,
        )
        return word_loss, phoneme_loss


def augment(audio: Tensor, generator: torch.Generator) -> Tensor:
    """Shift (batch, samples) by up to 200 ms, add coloured noise at 0 to 30 dB to two clips in three, normalise."""
    batch, samples = audio.shape
    shifts = torch.randint(-3200, 3201, (batch,), generator=generator).tolist()
    audio = torch.stack([torch.roll(clip, shift) for clip, shift in zip(audio, shifts, strict=True)])
    spectrum = torch.fft.rfft(torch.randn(batch, samples, generator=generator))
    slope = torch.rand(batch, 1, generator=generator)  # 0 is white, 1 is brown
    noise = torch.fft.irfft(spectrum / torch.arange(1, spectrum.shape[1] + 1) ** slope, n=samples)
    snr_db = 30 * torch.rand(batch, 1, generator=generator)
    noisy = (torch.rand(batch, 1, generator=generator) < 2 / 3).float()
    scale = audio.std(1, keepdim=True) / noise.std(1, keepdim=True) / 10 ** (snr_db / 20)
    audio = audio + noisy * scale * noise
    return (audio - audio.mean(1, keepdim=True)) / (audio.std(1, keepdim=True) + 1e-7)


def pretrain(recorded: Clips, spoken: Clips, sizes: tuple[int, int], out: Path, epochs: int, seed: int) -> None:
    """Train and save after each epoch; an epoch is every recorded clip and as many spoken ones."""
    torch.manual_seed(seed)
    generator, batch = torch.Generator().manual_seed(seed), 48
    model = Pretraining(*sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98))
    steps = len(recorded.words) // (batch // 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, epochs * steps, pct_start=0.15)
    for epoch in range(1, epochs + 1):
        model.train()
        order = [torch.randperm(len(part.words), generator=generator).tolist() for part in (recorded, spoken)]
        losses = []
        for step in range(steps):
            half = slice(step * batch // 2, (step + 1) * batch // 2)
            rows = [(part, row) for part, rows in zip((recorded, spoken), order, strict=True) for row in rows[half]]
            audio = torch.from_numpy(np.stack([part.audio[row] for part, row in rows])).float() / 32768
            word_loss, phoneme_loss = model.loss(
                augment(audio, generator),
                [part.words[row] for part, row in rows],
                [part.phonemes[row] for part, row in rows],
            )
            optimizer.zero_grad()
            (word_loss + CTC_WEIGHT * phoneme_loss).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(torch.stack([word_loss, phoneme_loss]).detach())
            if step % 50 == 0:
                recent = torch.stack(losses[-50:]).mean(0).tolist()
                log.info("epoch %d step %d/%d: words %.3f phonemes %.3f", epoch, step, steps, *recent)
        model.encoder.save_pretrained(out)
        Wav2Vec2FeatureExtractor(sampling_rate=SAMPLE_RATE, do_normalize=True).save_pretrained(out)


def main() -> None:
    """The command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", type=Path, required=True, help="folder with manifest.csv of path,word,speaker")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--spoken", type=int, default=14_000, help="synthesised clips to draw from")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    words, phonemes = Index(), Index()
    recorded = recorded_clips(args.recorded, words)
    spoken = spoken_clips(args.spoken, words, phonemes, args.seed)
    n_clips = len(recorded.words), len(spoken.words)
    log.info("%d recorded and %d spoken clips, %d words, %d phonemes", *n_clips, len(words), len(phonemes))
    pretrain(recorded, spoken, (len(words), len(phonemes)), args.out, args.epochs, args.seed)


def _int16(samples: np.ndarray) -> np.ndarray:
    return (samples * 32767).astype(np.int16)


if __name__ == "__main__":
    main()
