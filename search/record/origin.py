"""Where a sweep's trials come from: its clips, their views, the teacher, the teacher's head."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spaces.sweep import SweepConfig
from trainables.corpus.recipe import Recipe
from trainables.stream.heard import Recipe as StreamRecipe
from trainables.teachers.base import Teacher


class Part(NamedTuple):
    """One thing that all trials of a sweep share.

    Args:
        fingerprint: of its content: two are the same where these are.
        settings: dotted keys and values that it came from, to tell by what two differ.
    """

    fingerprint: str
    settings: dict[str, Any]


Origin = Mapping[str, Part]
"""What is shared to what it is."""


def origin_of(sweep: SweepConfig, recipe: Recipe, teacher: Teacher, stream: StreamRecipe | None = None) -> Origin:
    """The parts of a sweep's corpus and its logits, and of the stream that trials are measured on, if there is one.

    Args:
        teacher: fitted, in the precision that it computed in.
    """
    data, chosen = sweep.data.model_dump(mode="json"), sweep.teacher
    counts = {f"data: clips of {split}": n for split, n in recipe.n_clips.items()}
    precisions = sorted({member.precision for member in teacher.members.values()})
    parts = {
        "the clips": Part(
            recipe.clips_fingerprint,
            {f"data.{key}": data[key] for key in ("path", "keyword", "split_seed")} | counts,
        ),
        "the views": Part(
            recipe.views.fingerprint, {f"data.views.{key}": value for key, value in data["views"].items()}
        ),
        "the teacher": Part(
            teacher.fingerprint,
            {
                "teacher.architecture": chosen.architecture,
                "teacher.model": chosen.model,
                "teacher.secondary_model": chosen.secondary_model,
                "teacher.precision": ", ".join(precisions),
            },
        ),
        "the teacher's head": Part(teacher.head_fingerprint, {"teacher.mixing": chosen.mixing}),
    }
    if stream:
        parts["the stream"] = Part(stream.fingerprint, {"objective.stream": str(sweep.objective.stream)})
    return parts
