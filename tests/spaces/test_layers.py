"""Teacher-layer subsets as ordinals, worked out by hand."""

import pytest

from spaces.layers import LayerOrdinals, evenly_spaced


@pytest.mark.parametrize(
    ("ordinals", "n_layers", "layers"),
    [
        ((3, 2, 2), 13, (2, 4, 6)),
        ((1, 0, 3), 13, (0,)),
        ((4, 0, 1), 13, (0, 1, 2, 3)),
        ((4, 12, 3), 13, (12,)),  # nothing lies behind the last layer
        ((4, 3, 3), 13, (3, 6, 9, 12)),
        ((3, 2, 2), 7, (2, 4, 6)),
        ((3, 2, 2), 6, (2, 4)),
        ((3, 2, 2), 4, (2,)),
        ((2, 9, 1), 4, (3,)),  # a first layer beyond the teacher's is its last
        ((5, 0, 1), 1, (0,)),
    ],
)
def test_a_subset_goes_as_far_as_the_teacher(ordinals, n_layers, layers):
    assert LayerOrdinals(*ordinals).layers(n_layers) == layers


@pytest.mark.parametrize(
    ("layers", "ordinals"),
    [((2, 4, 6), (3, 2, 2)), ((5, 6), (2, 5, 1)), ((0,), (1, 0, 1)), ((1, 4, 7, 10), (4, 1, 3))],
)
def test_evenly_spaced_layers_have_ordinals(layers, ordinals):
    assert LayerOrdinals.of(layers) == LayerOrdinals(*ordinals)


def test_layers_to_ordinals_and_back_are_the_same_layers():
    for count in range(1, 5):
        for first in range(13):
            for stride in range(1, 4):
                layers = LayerOrdinals(count, first, stride).layers(n_layers=13)
                assert LayerOrdinals.of(layers).layers(n_layers=13) == layers


@pytest.mark.parametrize("layers", [(), (1, 2, 4), (4, 2), (3, 3), (-1, 0)])
def test_layers_without_ordinals_are_refused_and_named(layers):
    with pytest.raises(ValueError, match="not evenly spaced") as refused:
        LayerOrdinals.of(layers)
    assert str(list(layers)) in str(refused.value)


def test_the_subsets_of_one_size_are_named_once_each():
    assert evenly_spaced(count=1, max_stride=3, n_layers=3) == [(0,), (1,), (2,)]
    assert evenly_spaced(count=3, max_stride=2, n_layers=5) == [(0, 1, 2), (1, 2, 3), (2, 3, 4), (0, 2, 4)]
    assert evenly_spaced(count=3, max_stride=2, n_layers=2) == []
