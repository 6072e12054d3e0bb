"""Which points are worth their size: Pareto fronts of two quantities that are both to be small."""

import math
from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

Point = tuple[float, float]
K = TypeVar("K", bound=Hashable)


def front(points: Mapping[K, Point]) -> list[K]:
    """The points that no other beats: at most as large in both quantities, and smaller in one.

    >>> front({"a": (1, 5), "b": (2, 3), "c": (3, 4), "d": (4, 1)})
    ['a', 'b', 'd']

    Returns:
        Their keys, ascending in the first quantity; of points that are alike, all.
    """
    kept: list[K] = []
    least = math.inf  # of the second quantity, among points that are smaller in the first
    for key in sorted(points, key=lambda key: points[key]):
        if points[key][1] < least or (kept and points[key] == points[kept[-1]]):
            kept.append(key)
            least = points[key][1]
    return kept


def fronts(points: Mapping[K, Point]) -> Iterator[list[K]]:
    """Non-dominated sorting: the front, the front of the others, and so on (Deb et al. 2002, NSGA-II)."""
    left = dict(points)
    while left:
        best = front(left)
        yield best
        for key in best:
            del left[key]
