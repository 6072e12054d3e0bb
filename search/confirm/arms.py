"""Which configurations are confirmed, and what the baselines beside them are tuned among. Nothing trains here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from optuna.trial import FrozenTrial

from search.confirm.results import Kind, family_of, settings_of
from spaces.space import ALIGNED, ENABLED, Choice, Range, Space
from spaces.sweep import SweepConfig
from spaces.trial import Distillation, TrialConfig

RATE = "training.learning_rate"
# The search's seeds are 1000 * search.seed + the trial's number, and no student has a million trials.
FIRST_CONFIRM_SEED, FIRST_TUNING_SEED = 1_000_000, 2_000_000


@dataclass(frozen=True)
class Setting:
    """A configuration, and the number of the search trial that had it, if one did."""

    config: TrialConfig
    trial_number: int | None


def confirm_seeds(sweep: SweepConfig) -> list[int]:
    """The seeds on which every arm runs; more of them begin with the same ones."""
    first = FIRST_CONFIRM_SEED + 1000 * sweep.search.seed
    return list(range(first, first + sweep.confirm.seeds))


def tuning_seed(sweep: SweepConfig) -> int:
    """The one seed of all tuning, which no arm is confirmed on."""
    return FIRST_TUNING_SEED + 1000 * sweep.search.seed


def with_seed(config: TrialConfig, seed: int) -> TrialConfig:
    """The configuration as it is confirmed: to its last epoch, whatever its patience."""
    return TrialConfig.from_flat(config.flat() | {"training.early_stopping_patience": 0, "seed": seed})


def ranked(best_first: Iterable[FrozenTrial]) -> list[Setting]:
    """The configurations of finished trials, each once, in their order."""
    configs = ((TrialConfig.from_flat(trial.user_attrs["config"]), trial.number) for trial in best_first)
    return distinct(Setting(with_seed(config, 0), number) for config, number in configs)


def distinct(settings: Iterable[Setting]) -> list[Setting]:
    """Each configuration once, in order, seeds aside."""
    kept: list[Setting] = []
    for setting in settings:
        if all(settings_of(setting.config) != settings_of(other.config) for other in kept):
            kept.append(setting)
    return kept


def baselines_of(space: Space) -> tuple[Kind, ...]:
    """The baselines that mean something: a space that holds distillation off has no logits to compare with."""
    if space.fixed.get(ENABLED) is False:
        return ("no_distillation",)
    return ("no_distillation", "logits_only")


def tuning_points(kind: Kind, best_first: Sequence[Setting], space: Space, n_rates: int) -> list[Setting]:
    """What a baseline's configuration is chosen among.

    The search's best trial of that kind, and the winner's settings with its teaching switched, at ``n_rates``
    learning rates of the space.

    Args:
        best_first: see :func:`ranked`, not empty.
    """
    own = [setting for setting in best_first if family_of(setting.config) == kind][:1]
    logits = next((each.config.distillation for each in best_first if _teaches_logits(each.config)), Distillation())
    bare = switched(best_first[0].config, kind, logits)
    rates = learning_rates(bare.training.learning_rate, space, n_rates)
    return distinct([*own, *(Setting(TrialConfig.from_flat(bare.flat() | {RATE: rate}), None) for rate in rates)])


def switched(config: TrialConfig, kind: Kind, logits: Distillation) -> TrialConfig:
    """The configuration with a baseline's teaching and nothing else changed.

    Args:
        logits: gives alpha and temperature, for logits alone.
    """
    flat = {key: value for key, value in config.flat().items() if not key.startswith("distillation.")}
    if kind == "no_distillation":
        return TrialConfig.from_flat(flat | {ENABLED: False})
    taught = {
        f"distillation.{key}": value
        for key, value in logits.model_dump(include={"alpha", "temperature", "temperature_scheduler"}).items()
    }
    return TrialConfig.from_flat(flat | taught | {ENABLED: True, ALIGNED: False})


def learning_rates(own: float, space: Space, n: int) -> list[float]:
    """``n`` rates of the space, ascending: the middles of equal parts of its range on a log scale.

    ``own`` stands in place of the nearest; it is alone where the space does not search the rate.
    """
    parameter = space.parameters.get(RATE)
    if isinstance(parameter, Range):
        low, high = float(parameter.low), float(parameter.high)
        rates = [float(f"{low * (high / low) ** ((i + 0.5) / n):.3g}") for i in range(n)]
    elif isinstance(parameter, Choice):
        rates = sorted(float(choice) for choice in parameter.choices)
    else:
        return [own]
    nearest_first = sorted(rates, key=lambda rate: abs(log(rate / own)))
    return sorted({own, *nearest_first[1:n]})


def _teaches_logits(config: TrialConfig) -> bool:
    return config.distillation.enabled and config.distillation.alpha > 0
