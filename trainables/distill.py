"""The Ray face of DistillRun."""

import time
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from trainables.build import build_run, read_checkpoint, save_run
from trainables.heap import keep_freed_memory
from trainables.kept import save_scores
from trainables.memory import cap_memory, peak_mb, reset_peak


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
        device = "cuda" if gpus else "cpu"
        reset_peak(device)
        self.run = build_run(**arguments, device=device)
        self.checkpoint_epochs = config["checkpoint_epochs"]
        self.reads_test = config.get("reads_test", False)
        if config.get("resume_from"):
            self.load_checkpoint(config["resume_from"])
        self.of_the_start = {
            "setup_seconds": time.perf_counter() - started,
            "corpus_placed": str(self.run.placed),
            "gpus": ray.get_gpu_ids() if gpus else [],
        }

    def step(self) -> dict[str, Any]:
        result = self.run.step()
        if result["done"] and self.reads_test:
            result = result | self.run.test()
        due = result["epoch"] % self.checkpoint_epochs == 0
        of_the_start, self.of_the_start = self.of_the_start, {}
        result = result | {"peak_memory_mb": peak_mb(self.run.device.type)}
        return result | of_the_start | {SHOULD_CHECKPOINT: due or result["done"]}

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
