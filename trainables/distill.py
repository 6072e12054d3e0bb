"""The Ray face of DistillRun."""

import logging
import tempfile
import time
from contextlib import suppress
from typing import Any

import ray
import torch
from ray import tune
from ray.train._internal.checkpoint_manager import _TrainingResult as TrainingResult
from ray.tune.result import SHOULD_CHECKPOINT

from trainables.build import build_run, read_checkpoint, save_run
from trainables.heap import keep_freed_memory
from trainables.kept import save_scores
from trainables.memory import cap_memory, peak_mb, reset_peak
from trainables.patience import may_pass, patiently

PATIENCE_SECONDS = 60.0
"""For how long a trial waits for storage that is full or away; then it goes on without a checkpoint."""

log = logging.getLogger(__name__)


class DistillTrainable(tune.Trainable):
    """One trial on a worker.

    Its config: the arguments of ``build_run`` by name, ``checkpoint_epochs``, perhaps ``resume_from`` (a checkpoint)
    and ``reads_test`` (whether the last result has metrics on the test clips, and the last checkpoint all scores).
    Its results count in ``epoch``: a trial that goes on under a new Tune trial starts at training_iteration 1 again.
    """

    def setup(self, config: dict[str, Any]) -> None:
        started = time.perf_counter()
        granted = self.trial_resources.required_resources if self.trial_resources else {}
        torch.set_num_threads(max(1, int(granted.get("CPU", 1))))
        keep_freed_memory()
        gpus = granted.get("GPU", 0)
        if 0 < gpus < 1:
            # A share of a GPU is bookkeeping to Ray: without a cap one trial takes its neighbours' memory.
            cap_memory(gpus)
        arguments = {name: config[name] for name in ("trial", "corpus", "head", "objective", "placement")}
        arguments["stream"] = config.get("stream")
        device = "cuda" if gpus else "cpu"
        reset_peak(device)
        self.run = patiently(lambda: build_run(**arguments, device=device), "a trial's corpus", PATIENCE_SECONDS)
        self.checkpoint_epochs = config["checkpoint_epochs"]
        self.reads_test = config.get("reads_test", False)
        self.unsaved: str | None = None  # why there is no checkpoint, until it is told
        if checkpoint := config.get("resume_from"):
            patiently(lambda: self.load_checkpoint(checkpoint), "a trial's checkpoint", PATIENCE_SECONDS)
        self.of_the_start = {
            "setup_seconds": time.perf_counter() - started,
            "corpus_placed": str(self.run.placed),
            "gpus": ray.get_gpu_ids() if gpus else [],
            "node": ray.get_runtime_context().get_node_id() if ray.is_initialized() else None,
        }

    def step(self) -> dict[str, Any]:
        result = self.run.step()
        if result["done"] and self.reads_test:
            result = result | self.run.test()
        due = result["epoch"] % self.checkpoint_epochs == 0
        of_the_start, self.of_the_start = self.of_the_start, {}
        result = result | {"peak_memory_mb": peak_mb(self.run.device.type)}
        if self.unsaved:
            result["unsaved"], self.unsaved = self.unsaved, None
        return result | of_the_start | {SHOULD_CHECKPOINT: due or result["done"]}

    def save(self, checkpoint_dir: str | None = None) -> TrainingResult:
        """A checkpoint; an empty one where storage takes none, which the next result tells as ``unsaved``.

        What a trial has learnt is in its memory: a full disk may cost it epochs if it dies later, but does not end it.
        """

        def saved() -> TrainingResult:
            # Tune would leave its folder, and half a copy in its storage, on a disk that may be full.
            with tempfile.TemporaryDirectory() as folder:
                try:
                    return super(DistillTrainable, self).save(checkpoint_dir or folder)
                except OSError:
                    if self._storage:
                        with suppress(OSError):
                            self._storage.storage_filesystem.delete_dir(self._storage.checkpoint_fs_path)
                    raise

        try:
            return patiently(saved, "a trial's checkpoint", PATIENCE_SECONDS)
        except OSError as error:
            if not may_pass(error):
                raise
            log.warning("no checkpoint was saved: %s", error)
            self.unsaved = str(error)
            return TrainingResult(checkpoint=None, metrics={})

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        save_run(self.run, checkpoint_dir)
        if self.run.done and self.reads_test:
            save_scores(self.run, checkpoint_dir)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.run.load_state_dict(read_checkpoint(checkpoint_dir))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        # The old run goes before a new one comes, or a GPU would have to hold both.
        self.__dict__.pop("run", None)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
