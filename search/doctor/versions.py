"""Whether the packages that are installed are those that distune is tested with, and get on with each other."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from search.doctor.finding import Finding, fine, mend

NAMED = ("torch", "ray", "optuna", "mlflow", "transformers")  # whose versions are told
TORCH_FAMILY = ("torch", "torchaudio", "torchvision")
TORCHVISION_AHEAD = 15  # torch 2.11 goes with torchvision 0.26
IMPORT_SECONDS = 120
# Requirements that do harm together, and why; seen, not read of.
KNOWN_BAD = (
    (("torch>=2.13", "torchaudio"), "torch 2.13's CPU build breaks torchaudio, whose library then looks for CUDA's"),
)


def check_versions() -> Iterator[Finding]:
    """Of this Python and its packages."""
    yield fine("python", f"{sys.version.split()[0]} in {sys.prefix}")
    installed = by_name((found.name, found.version) for found in metadata.distributions())
    yield from unmet(metadata.requires("distune") or [], installed)
    yield from bad_pairs(installed)
    yield from _importable()


def by_name(distributions: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name to version; a name may be spelt in several ways, as ``huggingface_hub`` and ``huggingface-hub``."""
    return {canonicalize_name(name): version for name, version in distributions}


def unmet(requirements: Sequence[str], installed: Mapping[str, str]) -> Iterator[Finding]:
    """A line for each requirement that is not met, or one for all.

    Args:
        requirements: as a package's metadata has them; those of extras are passed over.
        installed: see `by_name`.
    """
    parsed = [Requirement(text) for text in requirements]
    needed = [found for found in parsed if found.marker is None or found.marker.evaluate({"extra": ""})]
    failing = [found for found in needed if not _meets(found, installed)]
    for found in failing:
        version = installed.get(canonicalize_name(found.name))
        told = f"{found.name} {version}" if version else f"{found.name} is not installed"
        yield mend("packages", f"{told}; distune needs {found.specifier}", f"pip install '{found}'")
    if not failing:
        told = ", ".join(f"{name} {installed[name]}" for name in NAMED if name in installed)
        yield fine("packages", f"{told}; all {len(needed)} as distune needs them")


def bad_pairs(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Combinations that are known to fail, whatever each of the two is worth alone."""
    for pair, why in KNOWN_BAD:
        found = [Requirement(text) for text in pair]
        if all(_meets(one, installed) for one in found):
            told = " with ".join(f"{one.name} {installed[one.name]}" for one in found)
            yield mend("packages", f"{told}: {why}", _torch_remedy())
    family = {name: Version(installed[name]) for name in TORCH_FAMILY if name in installed}
    if "torch" not in family:
        return
    torch = family.pop("torch")
    for name, version in family.items():
        minor = torch.minor + (TORCHVISION_AHEAD if name == "torchvision" else 0)
        if version.minor != minor or version.local != torch.local:
            told = f"{name} {version} was built for another torch than {torch}"
            yield mend("packages", told, _torch_remedy())


def _meets(requirement: Requirement, installed: Mapping[str, str]) -> bool:
    version = installed.get(canonicalize_name(requirement.name))
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _torch_remedy() -> str:
    needed = {Requirement(text).name: text for text in metadata.requires("distune") or []}
    names = " ".join(f"'{needed.get(name, name)}'" for name in TORCH_FAMILY)
    return f"pip install {names}, all from one index, so that they are of one build"


def _importable() -> Iterator[Finding]:
    """Whether the libraries that bring machine code load; in a process of its own, which a broken one may end."""
    for names in (TORCH_FAMILY, ("soundfile", "soxr")):
        script = f"import {', '.join(names)}"
        try:
            done = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, timeout=IMPORT_SECONDS
            )
        except subprocess.TimeoutExpired:
            told = f"{', '.join(names)} did not load within {IMPORT_SECONDS} s"
            yield mend("packages", told, "look at the disk that Python's packages lie on: is it a slow network's?")
            continue
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            remedy = _torch_remedy() if names == TORCH_FAMILY else "install the C library (Debian: libsndfile1)"
            yield mend("packages", f"{', '.join(names)} cannot be imported: {last}", remedy)
