"""By what two exported configurations differ, key by key, whichever forms they have."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from search.configuration.forms import is_trial
from search.configuration.provenance import REPRODUCED
from spaces.platform import OWN_SECTION, PlatformConfig
from spaces.trial import TrialConfig, flattened

TRIAL = f"{OWN_SECTION}.trial."
NAMES = ("config_name", "description")
# Of what distune notes: by what the two came about, and how good they are; not how the search was run.
NOTED = re.compile(
    rf"{OWN_SECTION}\.(version|student|trial_number|seeds|trial\..*|sweep\.(name|data\..*|teacher\..*)|head|packages\..*"
    rf"|(data|teacher)\.fingerprint|metrics\.({'|'.join(REPRODUCED)})|confirmed\.\w+\.mean"
    r"|operating_threshold\.threshold)$"
)


@dataclass(frozen=True)
class Difference:
    """One dotted key and what it is in either file, as people read it."""

    key: str
    here: str
    there: str


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[Difference]:
    """The keys whose values differ, settings first, then of what distune noted beside them what tells why.

    Two files of different forms, a trial and a platform's, are compared as trials. Of two platform files, a key that
    only distune's own trial has, as the alignment weight in its own unit, is told beside the platform's.
    """
    first, second = _alike(here, there)
    if not (OWN_SECTION in here and OWN_SECTION in there):
        # One of them is none of distune's.
        first, second = ({k: v for k, v in side.items() if not _is_noted(k)} for side in (first, second))
    keys = [*first, *(key for key in second if key not in first)]
    changed = [key for key in keys if key not in NAMES and not _same(first, second, key)]
    settings = [key for key in changed if not _is_noted(key)]
    noted = [key for key in changed if NOTED.match(key) and not _told(key, settings, first, second)]
    return [Difference(key, _shown(first, key), _shown(second, key)) for key in [*settings, *noted]]


def print_differences(found: Iterable[Difference], here: str, there: str) -> None:
    """A row a key.

    Args:
        here: what the first column of values is called; so ``there``.
    """
    rows = list(found)
    if not rows:
        print(f"{here} and {there} are alike")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("key", here, there):
        # Whole words, for what is cut off cannot be compared.
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(row.key, row.here, row.there)
    Console().print(table)


def _alike(here: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both as dotted keys, in one form."""
    if is_trial(here) == is_trial(there):
        return flattened(dict(here)), flattened(dict(there))
    return flattened(_as_trial(here)), flattened(_as_trial(there))


def _as_trial(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A platform's file as a trial: its own where distune wrote it, otherwise those of its keys that a trial has."""
    if is_trial(tree):
        return dict(tree)
    own = dict(tree.get(OWN_SECTION) or {})
    if "trial" in own:
        return own.pop("trial") | {OWN_SECTION: own}
    known = TrialConfig().model_dump()
    return {
        section: {key: value for key, value in values.items() if key in known[section]}
        for section, values in tree.items()
        if section in known and isinstance(values, dict)
    }


def _is_noted(key: str) -> bool:
    return key.startswith(f"{OWN_SECTION}.")


def _same(first: Mapping[str, Any], second: Mapping[str, Any], key: str) -> bool:
    if key not in first or key not in second:
        return _or_default(first, key) == _or_default(second, key)
    return bool(first[key] == second[key])


def _told(key: str, settings: list[str], first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether a key of distune's trial differs just as the platform's key of that name, which is told already."""
    name = key.removeprefix(TRIAL)
    if not key.startswith(TRIAL) or name not in settings:
        return False
    return all(side.get(key) == side.get(name) for side in (first, second))


def _or_default(side: Mapping[str, Any], key: str) -> Any:
    """The value, or what the platform takes where a file of its own leaves the key out; else ``None``."""
    is_trial_of_ours = "seed" in side
    return side.get(key) if is_trial_of_ours else side.get(key, DEFAULTS.get(key))


def _shown(side: Mapping[str, Any], key: str) -> str:
    if key in side:
        value = side[key]
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    default = _or_default(side, key)
    return "-" if default is None else f"{default} (left out: the platform's default)"


DEFAULTS: Mapping[str, Any] = flattened(PlatformConfig().model_dump())
