"""What runs before anything is drawn, and in which order."""

import pytest

from search.propose.draw import distributions_of
from search.propose.starts import known_points
from search.propose.view import outside
from spaces.layers import LayerOrdinals
from spaces.space import LAYERS, SHIPPED_SPACES, Space

# Seven layers; of three 2 apart, (2, 4, 6) have the best mean, .9, after (4, 5, 6), .93.
SCORES = {5: 0.96, 6: 0.95, 4: 0.88, 2: 0.87, 3: 0.7, 1: 0.6, 0: 0.5}
WITHOUT_TEACHER_LAYERS = Space.load("tiny_conv").holding({"distillation.feature_alignment_enabled": False, LAYERS: [2]})


def layers_of(point: dict) -> tuple[int, ...]:
    ordinals = (point[f"{LAYERS}.{name}"] for name in ("count", "first", "stride"))
    return LayerOrdinals(*ordinals).layers(7)


@pytest.mark.parametrize("name", ["tiny_conv", "mobilenetv3", "resnet18", "quickstart"])
def test_the_points_worth_most_come_first(name):
    points = known_points(Space.load(name), 7, SCORES, seed=0)
    assert list(points) == [
        "no_distillation", "guide", "alignment_alone", "guide_with_alignment",
        "probed_layers", "best_layer", "logits_only", "random_layers",
    ]  # fmt: skip


def test_layers_are_those_that_probes_read_most_from():
    points = known_points(Space.load("tiny_conv"), 7, SCORES, seed=0)
    assert layers_of(points["alignment_alone"]) == (2, 4, 6)
    assert layers_of(points["probed_layers"]) == (4, 5, 6)
    assert layers_of(points["best_layer"]) == (5,)
    same = {key: value for key, value in points["alignment_alone"].items() if LAYERS not in key}
    for name in ("probed_layers", "best_layer", "random_layers"):
        assert {key: value for key, value in points[name].items() if LAYERS not in key} == same


def test_random_layers_follow_the_seed_and_are_none_of_the_others():
    drawn = {layers_of(known_points(Space.load("tiny_conv"), 7, SCORES, seed)["random_layers"]) for seed in range(20)}
    assert len(drawn) > 3 and all(len(layers) == 3 for layers in drawn)
    assert not drawn & {(2, 4, 6), (4, 5, 6)}
    again = known_points(Space.load("tiny_conv"), 7, SCORES, seed=3)
    assert again == known_points(Space.load("tiny_conv"), 7, SCORES, seed=3)


def test_a_teacher_of_few_layers_has_points_within_them():
    points = known_points(Space.load("tiny_conv"), 3, {2: 0.9, 0: 0.8, 1: 0.7}, seed=0)
    assert [points["probed_layers"][f"{LAYERS}.{name}"] for name in ("count", "first")] == [1, 2]
    assert set(points) > {"best_layer", "random_layers"}


@pytest.mark.parametrize(("space", "scores"), [(WITHOUT_TEACHER_LAYERS, SCORES), (Space.load("tiny_conv"), {})])
def test_without_layers_to_search_or_probes_there_are_the_spaces_points_alone(space, scores):
    assert list(known_points(space, 7, scores, seed=0)) == list(space.known_points)


@pytest.mark.parametrize("name", SHIPPED_SPACES)
def test_every_point_of_every_shipped_space_can_be_drawn(name):
    space = Space.load(name)
    for n_layers in (2, 7, 13):
        scores = {layer: 1 / (1 + layer) for layer in range(n_layers)}
        for point in known_points(space, n_layers, scores, seed=0).values():
            assert outside(point, distributions_of(space, n_layers)) == []
