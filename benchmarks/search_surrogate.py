"""A world of learning curves for `search_cost.py`: what training any configuration would have reported.

A Gaussian process per principal component of the table's curves, in log-odds, so that no curve leaves 0 to 1. A
`World` is one *draw* from its posterior, not its mean: a function as rough as the real one that agrees with the
table (pathwise conditioning, Wilson et al. 2020, arXiv 2002.09309). A trial in it has noise of its own: what the
process takes for noise in the components, and the jitter of a real curve that ended as high, whole, so that it stays
correlated over epochs. `held_out` says how well curves of unseen configurations are predicted.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import GroupKFold

from spaces.layers import LayerOrdinals

Floats = NDArray[np.float64]

N_LAYERS = 7  # of the teacher that ships
N_COMPONENTS = 5
N_WAVES = 1024  # random Fourier features of a draw from the prior
N_FOLDS = 10
N_ALIKE = 15  # real curves among which a trial's jitter is drawn
SMOOTHNESS = 2.5  # of the Matérn kernel
SHORTEST_AND_LONGEST = 0.3, 30.0  # lengths of the kernel; features span 0 to 1
UNSURE = 0.002  # keeps log-odds of 0 and 1 finite; a step of val_pauc is about 0.0005


def encoded(values: Mapping[str, Any]) -> Floats:
    """A configuration's flat values as numbers of about 0 to 1; what does not apply stands in the middle.

    Returns:
        (features,).
    """
    on = values.get("distillation.enabled", True)
    alpha = values["distillation.alpha"] if on else 0.0
    aligned = on and values["distillation.feature_alignment_enabled"]
    row = [
        np.log(values["training.learning_rate"] / 5e-4) / np.log(40),
        np.log10(values["optimizer.weight_decay"] / 1e-5) / 4,
        values["model.dropout"] / 0.3,
        values["augmentation.freq_mask_param"] / 20,
        values["augmentation.time_mask_param"] / 40,
        alpha,
        float(alpha > 0),
        np.log10(values["distillation.temperature"]) if alpha > 0 else 0.5,
        float(alpha > 0 and values["distillation.temperature_scheduler"] != "fixed"),
        float(aligned),
        np.log10(values["distillation.feature_alignment_weight"] / 0.01) / 3.5 if aligned else 0.5,
    ]
    layers = values["distillation.alignment_layers"] if aligned else [N_LAYERS // 2]
    return np.array([*row, len(layers) / 4 if aligned else 0.5, min(layers) / 6, max(layers) / 6])


def values_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """A row's parameters as Optuna names them, with its teacher layers spelt out."""
    prefix = "distillation.alignment_layers."
    ordinals = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
    layers = {prefix[:-1]: list(LayerOrdinals(**ordinals).layers(N_LAYERS))} if ordinals else {}
    return {name: value for name, value in params.items() if not name.startswith(prefix)} | layers


def log_odds(curve: Floats) -> Floats:
    inside = UNSURE + (1 - 2 * UNSURE) * curve
    return np.log(inside / (1 - inside))


def from_log_odds(curve: Floats) -> Floats:
    return np.clip((1 / (1 + np.exp(-curve)) - UNSURE) / (1 - 2 * UNSURE), 0, 1)


@dataclass(frozen=True)
class Process:
    """A Gaussian process for one component, its noise apart.

    Attributes:
        lengths: of the kernel, a feature each.
        solve: the inverse of the kernel among the rows with noise, (rows, rows).
    """

    variance: float
    lengths: Floats
    noise: float
    rows: Floats
    scores: Floats
    solve: Floats

    @classmethod
    def fitted(cls, rows: Floats, scores: Floats) -> "Process":
        """Kernel and noise of the largest marginal likelihood."""
        scale = float(scores.var())
        kernel = ConstantKernel(scale, (0.01 * scale, 100 * scale)) * Matern(
            np.ones(rows.shape[1]), SHORTEST_AND_LONGEST, nu=SMOOTHNESS
        ) + WhiteKernel(scale / 4, (1e-3 * scale, scale))
        with warnings.catch_warnings():
            # A feature without effect ends at the longest length, as it should.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit = GaussianProcessRegressor(kernel).fit(rows, scores).kernel_
        return cls.of(fit.k1.k1.constant_value, fit.k1.k2.length_scale, fit.k2.noise_level, rows, scores)

    @classmethod
    def of(cls, variance: float, lengths: Floats, noise: float, rows: Floats, scores: Floats) -> "Process":
        among = variance * Matern(lengths, nu=SMOOTHNESS)(rows) + noise * np.eye(len(rows))
        return cls(variance, lengths, noise, rows, scores, np.linalg.inv(among))

    def seeing(self, seen: NDArray[np.intp]) -> "Process":
        """The same kernel and noise, with some of the rows alone."""
        return self.of(self.variance, self.lengths, self.noise, self.rows[seen], self.scores[seen])

    def covariance(self, asked: Floats) -> Floats:
        """(asked, rows)."""
        return self.variance * Matern(self.lengths, nu=SMOOTHNESS)(asked, self.rows)

    def mean(self, asked: Floats) -> Floats:
        return self.covariance(asked) @ self.solve @ self.scores


@dataclass(frozen=True)
class Curves:
    """The table, encoded, and the processes fitted to it.

    Attributes:
        rows: (runs, features).
        curves: log-odds of the objective, (runs, epochs).
        components: (components, epochs), orthonormal.
    """

    rows: Floats
    curves: Floats
    center: Floats
    components: Floats
    processes: tuple[Process, ...]

    @classmethod
    def fitted(cls, rows: Floats, objective: Floats) -> "Curves":
        """``objective`` is as reported, (runs, epochs)."""
        curves = log_odds(objective)
        center = curves.mean(0)
        components = np.linalg.svd(curves - center, full_matrices=False)[2][:N_COMPONENTS]
        scores = (curves - center) @ components.T
        return cls(rows, curves, center, components, tuple(Process.fitted(rows, column) for column in scores.T))

    def seeing(self, seen: NDArray[np.intp]) -> "Curves":
        """Conditioned on some of the runs alone."""
        return replace(self, processes=tuple(process.seeing(seen) for process in self.processes))

    @property
    def jitter(self) -> Floats:
        """What the components do not hold of each real curve, (runs, epochs)."""
        off = self.curves - self.center
        return off - off @ self.components.T @ self.components

    def predicted(self, asked: Floats) -> Floats:
        """The most plausible curves, without noise, (asked, epochs)."""
        scores = np.stack([process.mean(asked) for process in self.processes], 1)
        return from_log_odds(self.center + scores @ self.components)


class World:
    """One function from configurations to curves that could have made the table.

    Args:
        seed: of the draw.
    """

    def __init__(self, curves: Curves, seed: int) -> None:
        self.table, self.jitter, self.seed = curves, curves.jitter, seed
        self.final = curves.curves[:, -1]
        draw = np.random.default_rng(seed)
        self._draws = [_Draw(process, draw) for process in curves.processes]
        self._noise = np.sqrt([process.noise for process in curves.processes])

    def curve(self, values: Mapping[str, Any], trial: Sequence[int]) -> Floats:
        """What a trial reports, an epoch each.

        Args:
            trial: seeds its noise, with the world's seed.
        """
        return self.curves(encoded(values), [np.random.default_rng([self.seed, *trial])])[0]

    def worth(self, values: Mapping[str, Any], n_seeds: int = 64) -> float:
        """The best epoch's objective, in the mean over seeds: what training the configuration again would give."""
        noises = [np.random.default_rng([self.seed, seed]) for seed in range(n_seeds)]
        return float(self.curves(encoded(values), noises).max(1).mean())

    def curves(self, row: Floats, noises: Sequence[np.random.Generator]) -> Floats:
        """One encoded configuration trained with several noises, (noises, epochs)."""
        scores = np.array([draw.at(row[None])[0] for draw in self._draws])
        noisy = np.stack([scores + self._noise * noise.standard_normal(len(scores)) for noise in noises])
        smooth = self.table.center + noisy @ self.table.components
        alike = np.argsort(np.abs(self.final - smooth[:, -1:]), axis=1)[:, :N_ALIKE]
        jitter = [self.jitter[noise.choice(near)] for noise, near in zip(noises, alike, strict=True)]
        return from_log_odds(smooth + jitter)


class _Draw:
    """A function drawn from a process' posterior: one of the prior's, moved to agree with the table."""

    def __init__(self, process: Process, draw: np.random.Generator) -> None:
        self.process = process
        # The Matérn kernel's spectral density is a multivariate t of 2 nu degrees of freedom.
        normal = draw.standard_normal((N_WAVES, len(process.lengths))) / process.lengths
        self._waves = normal * np.sqrt(2 * SMOOTHNESS / draw.chisquare(2 * SMOOTHNESS, (N_WAVES, 1)))
        self._phases = draw.uniform(0, 2 * np.pi, N_WAVES)
        self._heights = draw.standard_normal(N_WAVES) * np.sqrt(2 * process.variance / N_WAVES)
        noise = draw.standard_normal(len(process.scores)) * np.sqrt(process.noise)
        self._moves = process.solve @ (process.scores - self._prior(process.rows) - noise)

    def at(self, asked: Floats) -> Floats:
        return self._prior(asked) + self.process.covariance(asked) @ self._moves

    def _prior(self, asked: Floats) -> Floats:
        return np.cos(asked @ self._waves.T + self._phases) @ self._heights


def held_out(curves: Curves, groups: Sequence[int]) -> Table:
    """How well curves of unseen configurations are predicted, beside the table's mean curve.

    Kernels and components are those of the whole table; what they see leaves the fold out.

    Args:
        groups: runs of one configuration share a number, and are held out together.
    """
    objective = from_log_odds(curves.curves)
    predicted, mean = np.empty_like(objective), np.empty_like(objective)
    for seen, unseen in GroupKFold(N_FOLDS).split(curves.rows, groups=groups):
        predicted[unseen] = curves.seeing(seen).predicted(curves.rows[unseen])
        mean[unseen] = objective[seen].mean(0)
    title = f"curves predicted, {N_FOLDS}-fold, {len(objective)} runs"
    table = Table("by", "value", "R2", "rank correlation", "mean error", title=title, title_justify="left")
    for by, told in (("Gaussian process", predicted), ("mean curve", mean)):
        for value, one, other in (
            ("final", told[:, -1], objective[:, -1]),
            ("best", told.max(1), objective.max(1)),
            ("every epoch", told.ravel(), objective.ravel()),
        ):
            r2 = 1 - ((one - other) ** 2).sum() / ((other - other.mean()) ** 2).sum()
            correlation, error = spearmanr(one, other)[0], np.abs(one - other).mean()
            table.add_row(by, value, f"{r2:.2f}", f"{correlation:.2f}", f"{error:.3f}")
    return table


def noise_of_seeds(curves: Curves, groups: Sequence[int]) -> Table:
    """How far two runs of one configuration lie apart, in the table and in the world: their standard deviation."""
    pairs = [(groups.index(group), at) for at, group in enumerate(groups) if groups.index(group) != at]
    title = f"standard deviation over training seeds, {len(pairs)} configurations run twice"
    table = Table("of", "final", "best", "every epoch", title=title, title_justify="left")
    if pairs:
        real = from_log_odds(curves.curves)
        world, noises = World(curves, seed=0), [np.random.default_rng(seed) for seed in (1, 2)]
        drawn = np.stack([world.curves(curves.rows[one], noises) for one, _ in pairs], 1)
        for of, (first, second) in (("table", real[np.transpose(pairs)]), ("world", drawn)):
            apart = first[:, -1] - second[:, -1], first.max(1) - second.max(1), first - second
            table.add_row(of, *(f"{np.sqrt((values**2).mean() / 2):.3f}" for values in apart))
    return table
