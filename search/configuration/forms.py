"""The forms that a configuration is exported in, and reading any of them again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from search.configuration.provenance import provenance
from search.export import export_yaml, platform_tree, yaml_text
from search.record.results import BestTrial, SweepResults
from spaces.documents import NotPlainError, read_json, read_yaml
from spaces.errors import Fault, InputError
from spaces.platform import OWN_SECTION
from spaces.trial import TrialConfig

Form = Literal["platform", "trial", "json"]
TRIAL_HEADER = """\
# Trial {number} of {student} in the sweep {sweep}, as distune's own trial: every key of `docs/keys.md` under "A trial".
# `distune reproduce` runs it again; `distune export --format platform` writes it as the platform loads it.
"""


def exported(results: SweepResults, best: BestTrial, form: Form) -> str:
    """The file's text.

    ``platform`` is the YAML that the platform loads, ``json`` the same keys and values, ``trial`` distune's own.

    Raises:
        InputError: the platform would refuse or misread a value.
    """
    if form == "platform":
        return export_yaml(results, best)
    if form == "json":
        return json.dumps(platform_tree(results, best), indent=2, allow_nan=False) + "\n"
    header = TRIAL_HEADER.format(number=best.number, student=best.student, sweep=results.sweep.name)
    return header + yaml_text(trial_tree(results, best))


def trial_tree(results: SweepResults, best: BestTrial) -> dict[str, Any]:
    """The keys of a trial, and distune's own section without them."""
    own = provenance(results, best)
    return own.pop("trial") | {OWN_SECTION: own}


def is_trial(tree: Mapping[str, Any]) -> bool:
    """Whether a file's content is distune's own trial: its top level is the trial's, and its section holds none."""
    own = tree.get(OWN_SECTION)
    return set(tree) == {*TrialConfig.model_fields, OWN_SECTION} and isinstance(own, dict) and "trial" not in own


def read_exported(file: Path) -> dict[str, Any]:
    """A file's content, in whichever form.

    Raises:
        InputError: it cannot be read, or is neither YAML nor JSON.
    """
    if file.suffix != ".json":
        return read_yaml(file)
    # Not as YAML, to which 1e-06 is text.
    try:
        tree = read_json(file)
    except OSError as error:
        remedy = f"cannot be read ({error.strerror}); give an existing file"
        raise InputError(Fault(str(file), "", None, remedy)) from None
    except NotPlainError as error:
        raise InputError(Fault(str(file), "", None, str(error))) from None
    if not isinstance(tree, dict):
        raise InputError(Fault(str(file), "", None, "holds no keys; give a file that `distune export` wrote"))
    return tree


def own_section(tree: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """distune's section of an exported file, its trial in it whichever form the file has.

    Raises:
        InputError: there is no such section.
    """
    section = tree.get(OWN_SECTION)
    if not isinstance(section, dict):
        remedy = "has no such section; give a file that `distune export` wrote"
        raise InputError(Fault(str(file), OWN_SECTION, None, remedy))
    if is_trial(tree):
        return section | {"trial": {key: tree[key] for key in TrialConfig.model_fields}}
    return section
