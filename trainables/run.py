"""The training loop of one trial, in plain torch."""

import time
from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spaces.sections import ON_A_STREAM, Objective
from spaces.trial import TrialConfig
from trainables.corpus.batches import Batch
from trainables.corpus.placement import Placement, decide, place
from trainables.corpus.store import Corpus
from trainables.losses import alignment_loss, class_weights, distillation_loss, student_loss, total_loss
from trainables.mean_losses import mean_losses
from trainables.metrics import evaluate
from trainables.optimization import Optimization
from trainables.projector import Projectors
from trainables.schedules import temperature_at
from trainables.seeding import Randomness, seeds_of
from trainables.spec_augment import spec_augment
from trainables.stream.epochs import StreamEpochs
from trainables.stream.heard import HeardStream
from trainables.students.base import Student

VALIDATION_BATCH = {"cpu": 32, "cuda": 128}
"""By device. On a CPU, activations of more clips leave its caches: measured, a third more time for tiny_conv."""
STREAM_BATCH = {"cpu": 16, "cuda": 512}


class Best(NamedTuple):
    """The best epoch so far: what it reported, and the student's weights then, on the CPU."""

    result: dict[str, Any]
    student: dict[str, Tensor]


class DistillRun:
    """One trial: a student, its projectors, and the loop over a corpus.

    Everything drawn follows from ``config.seed``, and runs in one process do not disturb each other.

    Args:
        student: with fresh weights; moved to ``device`` and trained in place.
        objective: what decides the best epoch, and the rates at which metrics are read.
        device: where to train, e.g. ``"cuda"``.
        placement: where the corpus lies meanwhile; no result depends on it.
        stream: long recordings that the student is measured on in some epochs.

    Raises:
        ValueError: the corpus lacks the aligned layers, or has other classes than the student.
    """

    def __init__(
        self,
        config: TrialConfig,
        student: Student,
        corpus: Corpus,
        objective: Objective,
        device: str = "cpu",
        placement: Placement = "auto",
        stream: HeardStream | None = None,
    ) -> None:
        train = corpus.splits["train"]
        if train.logits.shape[-1] != config.model.num_classes:
            raise ValueError(
                f"model.num_classes={config.model.num_classes}, but the corpus has {train.logits.shape[-1]} classes; "
                "set the one to the other"
            )
        self.config, self.objective, self.device = config, objective, torch.device(device)
        self.layers = corpus.layers_of(config.distillation.aligned)
        self.placed = decide(corpus, self.layers, placement, self.device)
        self.splits = place(corpus, self.layers, self.placed.where, self.device)
        seeds = seeds_of(config.seed)
        self.data_generator = torch.Generator().manual_seed(seeds.data)
        self.randomness = Randomness(seeds.dropout, self.device)
        # Measured: a quarter less time a step for tiny_conv and mobilenetv3, nothing lost for resnet18.
        self.student = student.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        dims = {teacher: states.dim for teacher, states in corpus.teachers.items()}
        with self.randomness.installed():
            self.projectors = Projectors(student.embed_dim, self.layers, dims).to(self.device)
        weights = class_weights(torch.from_numpy(train.labels), config.model.num_classes, config.loss)
        self.class_weights = weights.to(self.device)
        self.steps_per_epoch = ceil(len(train) / config.training.batch_size)
        parameters = [*self.student.parameters(), *self.projectors.parameters()]
        self.optimization = Optimization(parameters, config, self.steps_per_epoch, self.device)
        self.on_stream = stream and StreamEpochs.of(stream, objective, len(train), config.training.epochs)
        self.epoch = 0
        self.data_seconds = 0.0
        self.result: dict[str, Any] = {}
        self.best: Best | None = None

    @property
    def done(self) -> bool:
        """The epochs are over, or patience ran out."""
        return bool(self.result.get("done"))

    @property
    def temperature(self) -> float:
        """Temperature of the coming epoch."""
        return temperature_at(self.epoch, self.config.training.epochs, self.config.distillation)

    def step(self) -> dict[str, Any]:
        """Train and validate one epoch; a run that is done reports its last result again.

        Returns:
            epoch (the first is 1), done, temperature, learning_rate (of the last step); train_* and val_*
            losses, the total as ``loss`` and each term unweighted; the metrics of
            :func:`trainables.metrics.evaluate` as val_*; on a stream val_stream_*, as of val_stream_epoch;
            best_epoch and best_objective so far; wall seconds: epoch_seconds, of which train_seconds,
            val_seconds and stream_seconds, and within the first two data_seconds, the wait for batches. On
            CUDA they are the host's: a batch is waited for until it is asked of the GPU, and what the GPU
            computes shows where the host next waits for it, at the epoch's end.

        Raises:
            NonFiniteLossError: names epoch, step and the knob to turn.
        """
        if self.done:
            return self.result
        started, temperature, self.data_seconds = time.perf_counter(), self.temperature, 0.0
        train = self.train_epoch()
        trained = time.perf_counter()
        val = self.measure("val")
        measured = time.perf_counter()
        self.epoch += 1
        result = {
            "epoch": self.epoch,
            "temperature": temperature,
            "learning_rate": self.optimization.learning_rate,
            **{f"train_{name}": value for name, value in train.items()},
            **{f"val_{name}": value for name, value in val.items()},
        }
        if self.on_stream:
            result |= {f"val_{name}": value for name, value in self.measure_on(self.on_stream).items()}
            result["stream_seconds"] = time.perf_counter() - measured
        self._keep_best(result)
        result |= {
            "epoch_seconds": time.perf_counter() - started,
            "train_seconds": trained - started,
            "val_seconds": measured - trained,
            "data_seconds": self.data_seconds,
        }
        self.result = result
        return result

    def train_epoch(self) -> dict[str, float]:
        """Every training clip once, each in one of its views; the mean of each loss over clips."""
        self.student.train()
        temperature, losses, sizes = self.temperature, [], []
        batches = self.splits["train"].shuffled(self.config.training.batch_size, self.data_generator)
        with self.randomness.installed():
            for batch in self._waited_for(batches):
                mel = spec_augment(batch.mel, self.config.augmentation, self.data_generator)
                terms, _ = self._terms(batch._replace(mel=mel), temperature)
                total = total_loss(terms, self.config.distillation)
                self.optimization.step(total)
                losses.append(torch.stack([total, *terms.values()]).detach())
                sizes.append(len(batch.labels))
        return mean_losses(losses, sizes, [*terms], self.config, self.epoch + 1, "training")

    @torch.inference_mode()
    def measure(self, split: str) -> dict[str, float]:
        """The mean of each loss over a split's clean clips, and every metric."""
        self.student.eval()
        losses, sizes, logits = [], [], []
        batches = self.splits[split].clean(VALIDATION_BATCH[self.device.type])
        for batch in self._waited_for(batches):
            terms, batch_logits = self._terms(batch, self.temperature)
            losses.append(torch.stack([total_loss(terms, self.config.distillation), *terms.values()]))
            sizes.append(len(batch.labels))
            logits.append(batch_logits)
        means = mean_losses(losses, sizes, [*terms], self.config, self.epoch + 1, f"the {split} split")
        metrics = evaluate(
            torch.cat(logits).cpu().numpy(),
            self.splits[split].labels.cpu().numpy(),
            fpr=self.objective.fpr,
            false_accepts_per_hour=self.objective.false_accepts_per_hour,
        )
        return means | metrics

    @torch.inference_mode()
    def measure_on(self, on_stream: StreamEpochs) -> dict[str, float]:
        self.student.eval()

        def classify(mel: Tensor) -> Tensor:
            with self.optimization.autocast():
                return self.student(mel).float()

        batch_size = STREAM_BATCH[self.device.type]
        return on_stream.metrics(self.epoch, classify, self.result, batch_size, self.device)

    def test(self) -> dict[str, float]:
        """Metrics on the test clips, as test_*, with the weights of the best epoch on validation.

        The student keeps those weights, so that a run is tested when it is over: nothing may be chosen by these.

        Raises:
            ValueError: no epoch has been run.
        """
        self.use_best()
        measured = self.measure("test").items()
        return {f"test_{name}": value for name, value in measured if not name.endswith(("loss", "threshold_at_fpr"))}

    def use_best(self) -> None:
        """Give the student the weights of its best epoch.

        Raises:
            ValueError: no epoch has been run.
        """
        if self.best is None:
            raise ValueError("this run has no best epoch yet; run a step, or load a checkpoint")
        self.student.load_state_dict(self.best.student)

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on, by reference; of a run that is done, its best student and results."""
        state: dict[str, Any] = {"trial": self.config.flat(), "epoch": self.epoch, "result": self.result}
        state["best"] = self.best and self.best._asdict()
        if not self.done:
            state |= {
                "student": self.student.state_dict(),
                "projectors": self.projectors.state_dict(),
                "optimization": self.optimization.state_dict(),
                "data_generator": self.data_generator.get_state(),
                "randomness": self.randomness.state_dict(),
            }
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where a run of the same trial was saved.

        Raises:
            ValueError: the state is another trial's.
        """
        trial = self.config.flat()
        differing = sorted(key for key in trial | state["trial"] if trial.get(key) != state["trial"].get(key))
        if differing:
            raise ValueError(f"the checkpoint is another trial's: {differing} differ; resume it with its own settings")
        self.epoch, self.result = state["epoch"], state["result"]
        self.best = Best(**state["best"]) if state["best"] else None
        if self.done:
            self.use_best()
            return
        for part in ("student", "projectors", "optimization", "randomness"):
            getattr(self, part).load_state_dict(state[part])
        self.data_generator.set_state(state["data_generator"])

    def _waited_for(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches, with the time that each took to come added to ``data_seconds``."""
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.data_seconds += time.perf_counter() - started
            if batch is None:
                return
            yield batch

    def _terms(self, batch: Batch, temperature: float) -> tuple[dict[str, Tensor], Tensor]:
        """The loss terms that this trial has, as scalars, and the student's logits, all in float32."""
        with self.optimization.autocast():
            # One pass serves logits and alignment, and both send gradients back through it.
            embedding = self.student.embed(batch.mel)
            logits = self.student.classify(embedding)
            projected = self.projectors(embedding)
        logits = logits.float()
        terms = {
            "student": student_loss(logits, batch.labels, batch.hard, self.class_weights, self.config.loss),
        }
        if self.config.distillation.enabled:
            terms["distillation"] = distillation_loss(logits, batch.logits, temperature)
        if self.layers:
            terms["alignment"] = alignment_loss(projected, batch.hidden)
        return terms, logits

    def _keep_best(self, result: dict[str, Any]) -> None:
        """Judge an epoch's result: add the best so far and whether the run is done."""
        value, sign = result[self.objective.metric], self.objective.sign
        improved = self.best is None or sign * value > sign * self.best.result["best_objective"]
        if improved:
            result |= {"best_epoch": self.epoch, "best_objective": value}
            weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.student.state_dict().items()}
            self.best = Best(result, weights)
        elif self.best is not None:
            result |= {key: self.best.result[key] for key in ("best_epoch", "best_objective")}
        patience = self.config.training.early_stopping_patience
        # A value that only stands says nothing of this epoch.
        judged = self.objective.metric != ON_A_STREAM or result["val_stream_epoch"] == self.epoch
        stale = judged and patience > 0 and self.epoch - result["best_epoch"] >= patience
        result["done"] = stale or self.epoch >= self.config.training.epochs
