"""What runs before anything is drawn: the points that are known to be worth a trial."""

import random
from collections.abc import Mapping
from typing import Any

import optuna

from spaces.layers import LayerOrdinals, evenly_spaced
from spaces.parameters import LayerSubset
from spaces.space import LAYERS, Space

Points = dict[str, dict[str, Any]]

NO_DISTILLATION = "no_distillation"
# Where the points that align other layers go: directly after those that align the guide's.
GUIDES_LAYERS = "guide_with_alignment"


def known_points(space: Space, n_layers: int, scores: Mapping[int, float], seed: int) -> Points:
    """The space's own known points, and where it searches layers, the same alignment with others.

    ``probed_layers`` are, of the subsets that can be drawn with as many layers as the default, those whose probes
    read most in the mean; ``best_layer`` is the one whose own probe does. ``random_layers`` are what both are to
    be compared with, and come last.

    Args:
        scores: layer to what a probe reads from it; empty where none was probed.
        seed: draws the random layers.

    Returns:
        Name to whole points, as `optuna.Study.enqueue_trial` takes them.
    """
    points = dict(space.known_points)
    searched = space.parameters.get(LAYERS)
    if isinstance(searched, LayerSubset) and scores:
        names = list(points)
        until = names.index(GUIDES_LAYERS) + 1 if GUIDES_LAYERS in points else len(names)
        probed, best, at_random = _subsets(searched, n_layers, scores, seed)
        base = {key: wanted for key, wanted in searched.when.items() if wanted != "positive"}
        points = {name: points[name] for name in names[:until]}
        points |= {"probed_layers": base | {LAYERS: probed}, "best_layer": base | {LAYERS: best}}
        points |= {name: space.known_points[name] for name in names[until:]}
        points |= {"random_layers": base | {LAYERS: at_random}}
    return space.model_copy(update={"known_points": points}).enqueued(n_layers)


def _subsets(
    searched: LayerSubset, n_layers: int, scores: Mapping[int, float], seed: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Layers as the probes rank them: as many as the default, one, and as many at random."""
    default = LayerOrdinals.of(searched.default).layers(n_layers)
    drawable = evenly_spaced(len(default), searched.max_stride, n_layers)

    def mean_score(layers: tuple[int, ...]) -> float:
        return sum(scores[layer] for layer in layers) / len(layers)

    probed = max(drawable, key=mean_score)
    others = [layers for layers in drawable if layers not in (default, probed)]
    return probed, (max(scores, key=lambda layer: scores[layer]),), random.Random(seed).choice(others or drawable)


def enqueue(study: optuna.Study, points: Points, attribute: str = "known_point") -> None:
    """Put each point in the study's queue, unless it has been there before.

    Args:
        attribute: of the trial, which its name is noted under.
    """
    # One by one, so that a driver that died between two is made good.
    queued = {trial.user_attrs.get(attribute) for trial in study.get_trials(deepcopy=False)}
    for name, point in points.items():
        if name not in queued:
            study.enqueue_trial(point, user_attrs={attribute: name})
