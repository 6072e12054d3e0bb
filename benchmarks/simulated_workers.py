"""Workers of Ray Tune that are simulated in the driver's process, for `cluster.py`: trials that sleep."""

import heapq
import os
import tempfile
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.train._internal.session import _TrainingResult
from ray.tune import Checkpoint
from ray.tune.result import DONE, SHOULD_CHECKPOINT

EPOCHS, CHECKPOINT_EPOCHS, SECONDS = 30, 5, 1.0
METRICS = ("train_loss", "train_alignment_loss", "val_loss", "val_auc", "val_pauc", "val_f1", "val_eer",
           "val_frr_at_fpr", "val_frr_at_fah", "learning_rate", "temperature", "epoch_seconds")  # fmt: skip


def result_of(number: int, epoch: int) -> dict[str, Any]:
    """As many numbers as a trial has; which are the best is decided by its own."""
    value = (0.3 + 0.6 * ((number * 0.618) % 1)) * (1 - 0.7**epoch)
    due = epoch % CHECKPOINT_EPOCHS == 0 or epoch == EPOCHS
    told = {SHOULD_CHECKPOINT: due, DONE: epoch == EPOCHS, "epoch": epoch, "peak_memory_mb": 1.0}
    return told | dict.fromkeys(METRICS, value) | {"node": "node-0", "gpus": []}


class SimulatedWorkers:
    """Stands for `ray.air.execution._internal.RayActorManager`: what actors answer, at the time that they would."""

    late: ClassVar[list[float]] = []
    """Seconds by which each result waited for the driver."""

    def __init__(self, resource_manager: Any) -> None:
        self._events: list[tuple[float, int, TrackedActor, Callable[[], None]]] = []
        self._n_events = self._n_actors = 0
        self._trials: dict[TrackedActor, SimpleNamespace] = {}
        self._live_actors_to_ray_actors_resources: dict[TrackedActor, Any] = {}
        self._dropped: dict[TrackedActor, int] = {}

    num_live_actors = property(lambda self: len(self._live_actors_to_ray_actors_resources))
    num_total_actors = property(lambda self: len(self._trials))
    num_pending_actors = property(lambda self: len(self._trials) - len(self._live_actors_to_ray_actors_resources))
    num_actor_tasks = property(lambda self: len(self._events))

    def add_actor(self, cls: Any, resource_request: Any, kwargs: dict[str, Any], **callbacks: Any) -> TrackedActor:
        self._n_actors += 1
        tracked = TrackedActor(self._n_actors, **callbacks)
        self._trials[tracked] = SimpleNamespace(number=kwargs["config"]["number"], epoch=0)

        def start() -> None:
            actor = SimpleNamespace(get_auto_filled_metrics=SimpleNamespace(remote=lambda **_: {}))
            self._live_actors_to_ray_actors_resources[tracked] = (actor, None)
            tracked._on_start(tracked)

        self._at(0.0, tracked, start)
        return tracked

    def schedule_actor_task(
        self, tracked_actor: TrackedActor, method_name: str, args: Any = (), on_result: Any = None, **_: Any
    ) -> None:
        tracked = tracked_actor
        trial = self._trials[tracked]
        answer = getattr(self, f"_{method_name}", lambda trial, *_: None)
        if on_result:
            seconds = SECONDS if method_name == "train" else 0.0
            self._at(seconds, tracked, lambda: on_result(tracked, answer(trial, *args)), is_result=bool(seconds))

    def _train(self, trial: SimpleNamespace) -> dict[str, Any]:
        trial.epoch += 1
        return result_of(trial.number, trial.epoch) | {"training_iteration": trial.epoch, "time_total_s": trial.epoch,
                                                       "hostname": "simulated"}  # fmt: skip

    def _save(self, trial: SimpleNamespace) -> _TrainingResult:
        return _TrainingResult(Checkpoint(tempfile.mkdtemp(dir=os.environ["DISTUNE_HOME"])), {})

    def _reset(self, trial: SimpleNamespace, config: dict[str, Any]) -> bool:
        trial.number, trial.epoch = config["number"], 0
        return True

    def next(self, timeout: float) -> bool:
        """Wait for one event and handle it."""
        if not self._events or self._events[0][0] > time.monotonic() + timeout:
            time.sleep(timeout)
            return False
        time.sleep(max(0.0, self._events[0][0] - time.monotonic()))
        _, number, tracked, handle = heapq.heappop(self._events)
        if number > self._dropped.get(tracked, 0):
            handle()
        return True

    def _at(self, seconds: float, tracked: TrackedActor, handle: Callable[[], None], is_result: bool = False) -> None:
        due = time.monotonic() + seconds
        self._n_events += 1

        def handled() -> None:
            if is_result:
                self.late.append(time.monotonic() - due)
            handle()

        heapq.heappush(self._events, (due, self._n_events, tracked, handled))

    def clear_actor_task_futures(self, tracked_actor: TrackedActor) -> None:
        self._dropped[tracked_actor] = self._n_events

    def remove_actor(self, tracked_actor: TrackedActor, kill: bool = False, stop_future: Any = None) -> bool:
        was_live = self._live_actors_to_ray_actors_resources.pop(tracked_actor, None) is not None
        self._trials.pop(tracked_actor, None)
        self.clear_actor_task_futures(tracked_actor)
        if was_live and tracked_actor._on_stop:
            tracked_actor._on_stop(tracked_actor)
        return was_live

    def is_actor_started(self, tracked_actor: TrackedActor) -> bool:
        return tracked_actor in self._live_actors_to_ray_actors_resources

    def is_actor_failed(self, tracked_actor: TrackedActor) -> bool:
        return False

    def get_live_actors_resources(self) -> dict[str, float]:
        return {}

    def cleanup(self) -> None:
        self._events.clear()
