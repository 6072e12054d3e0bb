"""Early stopping where trials are to be good and small: rungs that compare both.

As multi-objective ASHA does (Schmucker et al. 2021, arXiv 2106.12639), trials at a rung are ranked by non-dominated
sorting. Within a front all rank alike, so whichever trial is the best for its size goes on: a small student is
never stopped for being worse than a large one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search.record.pareto import fronts
from search.run.ladder import Ladder


@dataclass(kw_only=True)
class ParetoLadder(Ladder):
    """A ladder on which a trial is better than those of the fronts behind its own.

    Attributes:
        size_of: a trial's number to its size, which is to be small.
    """

    size_of: Callable[[int], float]

    def n_better(self, trial: int, seen: Mapping[int, float]) -> int:
        sign = -1 if self.maximise else 1
        n_ahead = 0
        for front in fronts({other: (sign * value, self.size_of(other)) for other, value in seen.items()}):
            if trial in front:
                break
            n_ahead += len(front)
        return n_ahead
