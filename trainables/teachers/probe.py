"""How good a teacher is: its own metrics per split, and a linear probe of each layer, against a gate."""

from collections.abc import Mapping

import pydantic
from torch import Tensor

from trainables.metrics import evaluate
from trainables.teachers.base import Pooled, Teacher
from trainables.teachers.fit import linear_head, probe_mix
from trainables.teachers.head import one_layer

METRICS = ("f1", "pauc", "eer", "auc")
# Only of metrics that METRICS leaves out.
UNUSED_RATES = {"fpr": 0.01, "false_accepts_per_hour": 0.5}

Metrics = dict[str, float]


class LayerRow(pydantic.BaseModel):
    """What a linear probe reads from one layer: metrics by split."""

    teacher: str
    layer: int
    splits: dict[str, Metrics]


class TeacherReport(pydantic.BaseModel):
    """A teacher's quality.

    splits: the teacher's own metrics by split, empty where its head is not fitted.
    layers: a linear probe each, fitted on train, its penalty chosen on val.
    """

    fitted: bool
    splits: dict[str, Metrics]
    layers: list[LayerRow]
    minimum_f1: float

    @property
    def passed(self) -> bool:
        """Whether validation F1 at threshold 0.5 reaches the gate."""
        return self.fitted and self.splits["val"]["f1"] >= self.minimum_f1

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if not self.fitted:
            return "the teacher's head is not fitted, so its logits would be noise"
        f1 = self.splits["val"]["f1"]
        return f"validation F1 {f1:.3f} {'reaches' if self.passed else 'is under'} the gate of {self.minimum_f1:.2f}"


def check_teacher(teacher: Teacher, splits: Mapping[str, Pooled], minimum_f1: float) -> TeacherReport:
    """Measure a teacher on what its encoders made of each split.

    Args:
        splits: ``train`` and ``val`` at least, each with both classes.

    Raises:
        ValueError: a split of one class.
    """
    own = {
        split: _metrics(teacher.classify(pooled.states), pooled.labels)
        for split, pooled in splits.items()
        if teacher.fitted
    }
    return TeacherReport(fitted=teacher.fitted, splits=own, layers=probe_layers(teacher, splits), minimum_f1=minimum_f1)


def probe_layers(teacher: Teacher, splits: Mapping[str, Pooled]) -> list[LayerRow]:
    """A linear probe of every layer of every encoder, fitted on ``train``, chosen on ``val``."""
    rows = []
    for name, member in teacher.members.items():
        for layer in range(member.n_layers):
            weights = one_layer(layer, member.n_layers)
            head = linear_head(weights, probe_mix(weights, name, splits["train"], splits["val"]))
            metrics = {
                split: _metrics(head(pooled.states[name].float()), pooled.labels) for split, pooled in splits.items()
            }
            rows.append(LayerRow(teacher=name, layer=layer, splits=metrics))
    return rows


def _metrics(logits: Tensor, labels: Tensor) -> Metrics:
    measured = evaluate(logits.numpy(), labels.numpy(), **UNUSED_RATES)
    return {name: measured[name] for name in METRICS}
