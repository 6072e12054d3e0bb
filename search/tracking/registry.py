"""Confirmed winners in MLflow's registry: a model a student, whose alias ``champion`` moves to what is better.

Two winners are compared by the mean of the objective over their confirming runs on validation, and only where both
were measured by the same objective on the same clips: of the same sweep, or of two sweeps on one set of clips. On a
tie, and where they cannot be compared, the champion stays. A sweep's own winner has the alias ``sweep-NAME``.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from search.tracking.attachments import find_model
from search.tracking.batch import WinningModel

CHAMPION = "champion"
TAG_RUN, TAG_SWEEP, TAG_SCORE = "distune.run", "distune.sweep", "distune.confirmed"
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # as MLflow says that an alias is not set
MODEL_FILE = "MLmodel"

log = logging.getLogger(__name__)


def log_winner(
    client: MlflowClient, experiment_id: str, run_id: str, parent_id: str, run_name: str, winner: WinningModel
) -> None:
    """Log a winner as the run's model and its student's, register it, and set the aliases; again changes nothing.

    Args:
        run_id: of the confirming run whose student this is.
        parent_id: of the student's run.
    """
    model = _logged(client, experiment_id, run_id, run_name, winner)
    for each in (run_id, parent_id):
        outputs = client.get_run(each).outputs
        if model.model_id not in [output.model_id for output in outputs.model_outputs]:
            client.log_outputs(each, [LoggedModelOutput(model.model_id, step=0)])
    version = _registered(client, run_id, run_name, model, winner)
    _set_alias(client, winner, own_alias(winner.sweep), version)
    current = _holder(client, winner.name, CHAMPION)
    if current is None or (str(current.version) != version and _beats(winner, current)):
        _set_alias(client, winner, CHAMPION, version)


def own_alias(sweep: str) -> str:
    """The alias of a sweep's winner; MLflow allows no dots in it, and not every word."""
    return "sweep-" + re.sub(r"[^\w-]", "-", sweep)


def beats(winner: WinningModel, champion: Mapping[str, str]) -> bool | None:
    """Whether a winner is better than a champion with these tags; ``None`` where the two cannot be compared."""
    if any(champion.get(f"distune.{key}") != value for key, value in winner.measured_by.items()):
        return None
    gain = winner.score - float(champion[TAG_SCORE])
    return gain > 0 if winner.higher_is_better else gain < 0


def _beats(winner: WinningModel, champion: ModelVersion) -> bool:
    verdict = beats(winner, champion.tags)
    told = f"the champion of {winner.name} in MLflow is version {champion.version}, of sweep"
    told += f" {champion.tags.get(TAG_SWEEP, 'unknown')}"
    if verdict is None:
        log.info("%s, measured by another objective or on other clips, and so stays; set the alias by hand", told)
    elif not verdict:
        log.info("%s, and stays: it was confirmed with %s, this winner with %g", told, champion.tags[TAG_SCORE],
                 winner.score)  # fmt: skip
    return bool(verdict)


def _logged(client: MlflowClient, experiment_id: str, run_id: str, run_name: str, winner: WinningModel) -> LoggedModel:
    """The model in MLflow with its files; one that an earlier attempt left half made is completed."""
    model = find_model(client, experiment_id, TAG_RUN, run_name) or client.create_logged_model(
        experiment_id, name=winner.name, source_run_id=run_id, tags=_tags(winner, run_name), model_type="student"
    )
    if model.status == LoggedModelStatus.READY:
        return model
    described = Model.load(winner.folder)
    described.model_id, described.run_id, described.artifact_path = model.model_id, run_id, model.artifact_location
    described.save(str(Path(winner.folder) / MODEL_FILE))
    client.log_model_artifacts(model.model_id, winner.folder)
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _registered(client: MlflowClient, run_id: str, run_name: str, model: LoggedModel, winner: WinningModel) -> str:
    """The number of the model's version, made where it is missing; its score is brought up to date."""
    if not client.search_registered_models(filter_string=f"name = '{winner.name}'"):
        client.create_registered_model(winner.name)
    tags, own = _tags(winner, run_name), (TAG_RUN, TAG_SWEEP)
    versions = client.search_model_versions(f"name = '{winner.name}'")
    found = next((each for each in versions if all(each.tags.get(key) == tags[key] for key in own)), None)
    if found is None:
        # By its place, for MLflow looks up models:/ID in the store of the process, not of the client.
        place = model.artifact_location
        made = client.create_model_version(winner.name, place, run_id, tags=tags, model_id=model.model_id)
        return str(made.version)
    for key, value in tags.items():
        if found.tags.get(key) != value:
            client.set_model_version_tag(winner.name, found.version, key, value)
    return str(found.version)


def _tags(winner: WinningModel, run_name: str) -> dict[str, str]:
    measured = {f"distune.{key}": value for key, value in winner.measured_by.items()}
    own = {TAG_RUN: run_name, TAG_SWEEP: winner.sweep, TAG_SCORE: repr(winner.score)}
    return {f"distune.{key}": value for key, value in winner.facts.items()} | measured | own


def _holder(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        raise


def _set_alias(client: MlflowClient, winner: WinningModel, alias: str, version: str) -> None:
    holder = _holder(client, winner.name, alias)
    if holder is None or str(holder.version) != version:
        client.set_registered_model_alias(winner.name, alias, version)
        log.info("MLflow: models:/%s@%s is version %s now, of sweep %s", winner.name, alias, version, winner.sweep)
