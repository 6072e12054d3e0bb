"""distune's home folder: where corpora, the records of sweeps and MLflow's store lie.

``$DISTUNE_HOME``, by default ``~/.distune``::

    corpora/<fingerprint>/                  what a teacher said of a set of clips; or under $DISTUNE_CACHE
    sweeps/<name>/{sweep.yaml, study.journal, sweep.log, ray/, confirmed/, plots/}
    sounds.sqlite                           what was measured of audio files
    mlflow.db  mlartifacts/                 what the MLflow UI shows
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from search.driver import Driver, be_driver, driver_of
from search.owned import refuse_strangers
from search.secret_files import read_secret, write_secret
from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.secrets import has_password, without_password
from spaces.sections import NAME_PATTERN, Tracking
from spaces.sweep import SweepConfig
from trainables.storage.cache import HOME, Cache

VARIABLE = HOME
NOT_RECORDED = "is not recorded here; `distune list` names those that are, DISTUNE_HOME says where"


@dataclass(frozen=True)
class SweepFolder:
    """The files of one sweep."""

    path: Path

    @property
    def sweep_file(self) -> Path:
        """The sweep as it was last started."""
        return self.path / "sweep.yaml"

    @property
    def login_file(self) -> Path:
        """MLflow's store as the sweep names it, where that has a password in it; ``sweep_file`` has it without."""
        return self.path / "tracking.secret"

    @property
    def facts_file(self) -> Path:
        """What its trials share, see `search.prepare.shared.Shared.facts`."""
        return self.path / "shared.json"

    @property
    def log(self) -> Path:
        """What happened, a line an event, the guide's advice on trials included."""
        return self.path / "sweep.log"

    @property
    def teacher(self) -> Path:
        """The teacher with the head that was fitted for the sweep."""
        return self.path / "teacher"

    @property
    def journal(self) -> Path:
        """Optuna's record, one study a student."""
        return self.path / "study.journal"

    @property
    def ray(self) -> Path:
        """Ray's experiment folder: checkpoints and logs, disposable."""
        return self.path / "ray"

    @property
    def confirmed(self) -> Path:
        """What is kept of confirmed runs, see `confirmed_run`."""
        return self.path / "confirmed"

    def confirmed_run(self, student: str, number: int) -> Path:
        """Folder of a confirming run that ended, by its number in the confirming study; see `trainables.kept`.

        ``student.safetensors`` has the weights of its best epoch; ``scores.npz`` what they say of the clips:
        ``val_scores, val_labels, test_scores, test_labels``, (clips,) each, scores as probabilities of the wake word.
        """
        return self.confirmed / f"{student}-{number:03d}"

    def plots(self, student: str) -> Path:
        """Folder of a student's plots, as MLflow has them too."""
        return self.path / "plots" / student

    @property
    def spool(self) -> Path:
        """What MLflow is yet to be told, see `search.tracking.spool`."""
        return self.path / "mlflow.spool"

    @property
    def exists(self) -> bool:
        return self.sweep_file.is_file()

    def write(self, sweep: SweepConfig, facts: Mapping[str, Any]) -> None:
        """Note the sweep and what its trials share; each file is whole at any time, the old one or the new."""
        _replace(self.facts_file, json.dumps(facts, indent=2))
        uri = sweep.tracking.uri
        if uri and has_password(uri):
            write_secret(self.login_file, uri)
            sweep = sweep.model_copy(update={"tracking": Tracking(uri=without_password(uri))})
        else:
            self.login_file.unlink(missing_ok=True)
        _replace(self.sweep_file, yaml.safe_dump(sweep.model_dump(mode="json"), sort_keys=False))

    def read(self) -> tuple[SweepConfig, dict[str, Any]]:
        """The noted sweep, and what its trials share.

        Raises:
            InputError: the folder is another user's to write, or others can read the login in it.
        """
        refuse_strangers(self.path)
        sweep = SweepConfig.load(self.sweep_file)
        if login := read_secret(self.login_file):
            sweep = sweep.model_copy(update={"tracking": Tracking(uri=login)})
        return sweep, json.loads(self.facts_file.read_text(encoding="utf-8"))

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other drivers off the sweep, see `search.driver.be_driver`.

        Raises:
            InputError: another driver is at work on the sweep, or the folder is another user's to write.
        """
        refuse_strangers(self.path)
        with be_driver(self.path):
            yield

    @property
    def driver(self) -> Driver | None:
        """Who is at work on the sweep."""
        return driver_of(self.path)

    def create(self) -> "SweepFolder":
        """Make the folder.

        Raises:
            InputError: it cannot be written.
        """
        _writable(self.ray)
        return self


@dataclass(frozen=True)
class Home:
    """Paths under the home folder; ``open_home`` makes them."""

    root: Path

    @property
    def cache(self) -> Cache:
        """This machine's corpora and fetched data; in the home folder, unless the user has another disk for it."""
        return Cache.here(self.root)

    @property
    def corpora(self) -> Path:
        return self.cache.corpora

    @property
    def sweeps(self) -> Path:
        return self.root / "sweeps"

    @property
    def sounds(self) -> Path:
        """What was measured of audio files, see `trainables.audio.sounds`."""
        return self.root / "sounds.sqlite"

    @property
    def artifacts(self) -> Path:
        return self.root / "mlartifacts"

    @property
    def tracking_uri(self) -> str:
        """MLflow's store, as an absolute SQLite URI: Ray Tune changes folder under a relative one."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def sweep(self, name: str) -> SweepFolder:
        """The folder of the sweep ``name``, whether or not there is one.

        Raises:
            InputError: ``name`` is no name of a sweep, such as one with a slash.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            remedy = "is no name of a sweep; use up to 64 letters, digits, dots, dashes and underscores"
            raise InputError(Fault(COMMAND_LINE, "NAME", name, remedy))
        return SweepFolder(self.sweeps / name)

    @property
    def has_store(self) -> bool:
        """Whether a sweep has been recorded in MLflow's store."""
        return (self.root / "mlflow.db").is_file()

    def sweep_folders(self) -> list[SweepFolder]:
        """Of sweeps, recorded or only being prepared, in alphabetical order."""
        return [SweepFolder(path) for path in sorted(self.sweeps.glob("*")) if path.is_dir()]

    def sweep_names(self) -> list[str]:
        """The recorded sweeps, in alphabetical order."""
        return sorted(path.name for path in self.sweeps.glob("*") if SweepFolder(path).exists)


def open_home(root: Path | None = None) -> Home:
    """The home folder, made where it is missing.

    Args:
        root: instead of ``$DISTUNE_HOME`` or ``~/.distune``.

    Raises:
        InputError: a folder in it cannot be made or written.
    """
    chosen = root or Path(os.environ.get(VARIABLE) or "~/.distune")
    home = Home(chosen.expanduser().absolute())
    faults = []
    for folder in (home.root, home.corpora, home.sweeps, home.artifacts):
        try:
            _writable(folder)
        except InputError as error:
            faults += error.faults
            if folder == home.root:
                break
    if faults:
        raise InputError(faults)
    return home


def _replace(file: Path, text: str) -> None:
    new = file.with_name(f".{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def _writable(folder: Path) -> None:
    """Make ``folder`` and try it: permissions say nothing of a full disk or a read-only mount."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:
        remedy = f"cannot be written ({error.strerror}); free it or set {VARIABLE} to another folder"
        raise InputError(Fault(str(folder), "", None, remedy)) from None
