"""Teacher-layer subsets as ordinals: how many, the first, the stride.

Three small ordered numbers instead of a yes or no a layer: neighbouring values mean similar
subsets, which is what a sampler can learn from.
"""

from dataclasses import dataclass
from itertools import pairwise

DEEPEST_LAYER = 25  # of the 24-block encoders, counting the input of block 1


@dataclass(frozen=True)
class LayerOrdinals:
    """``count`` layers from ``first`` on, ``stride`` apart; a stride matters from two layers on."""

    count: int
    first: int
    stride: int

    def layers(self, n_layers: int) -> tuple[int, ...]:
        """The subset, as far as the teacher's ``n_layers`` reach.

        >>> LayerOrdinals(3, 2, 2).layers(n_layers=13)
        (2, 4, 6)
        >>> LayerOrdinals(3, 2, 2).layers(n_layers=4)
        (2,)
        """
        first = min(self.first, n_layers - 1)
        return tuple(range(first, n_layers, self.stride))[: self.count]

    @classmethod
    def of(cls, layers: tuple[int, ...]) -> "LayerOrdinals":
        """The ordinals of an evenly spaced subset.

        Raises:
            ValueError: the layers are not ascending and evenly spaced.
        """
        strides = {later - earlier for earlier, later in pairwise(layers)}
        if not layers or len(strides) > 1 or min(strides, default=1) < 1 or layers[0] < 0:
            raise ValueError(
                f"layers {list(layers)} are not evenly spaced, ascending and from 0 up; "
                "a search space holds such subsets only, a fixed trial any"
            )
        return cls(len(layers), layers[0], strides.pop() if strides else 1)


def evenly_spaced(count: int, max_stride: int, n_layers: int) -> list[tuple[int, ...]]:
    """Every subset of ``count`` of ``n_layers`` layers that are 1 to ``max_stride`` apart, each once.

    >>> evenly_spaced(count=2, max_stride=2, n_layers=4)
    [(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)]
    """
    drawn = (
        LayerOrdinals(count, first, stride).layers(n_layers)
        for stride in range(1, max_stride + 1)
        for first in range(n_layers)
    )
    return list(dict.fromkeys(layers for layers in drawn if len(layers) == count))
