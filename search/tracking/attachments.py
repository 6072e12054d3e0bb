"""What a run has beside parameters, metrics and tags: the clips and the teacher it learned from, and files."""

import json
import tempfile
from pathlib import Path, PurePosixPath

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModel, LoggedModelInput, LoggedModelStatus
from mlflow.tracking import MlflowClient

from search.tracking.batch import Inputs

DIGEST_LENGTH = 36  # the longest that MLflow takes
TAG_FINGERPRINT = "distune.fingerprint"
TEACHER = "teacher"
CONTEXT = "mlflow.data.context"


def log_inputs(client: MlflowClient, experiment_id: str, run_id: str, inputs: Inputs) -> None:
    """Log the clips as a run's dataset and the teacher as its input model; again changes nothing."""
    clips = inputs.clips
    n_clips = sum(sum(labels.values()) for labels in clips["counts"].values())
    dataset = Dataset(
        name=Path(clips["path"]).name or "clips",
        digest=clips["fingerprint"][:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": clips["path"]}),
        profile=json.dumps({"num_rows": n_clips, **clips["counts"], "fingerprint": clips["fingerprint"]}),
    )
    client.log_inputs(
        run_id,
        datasets=[DatasetInput(dataset, [InputTag(CONTEXT, ", ".join(clips["counts"]))])],
        models=[LoggedModelInput(_teacher(client, experiment_id, inputs.teacher).model_id)],
    )


def _teacher(client: MlflowClient, experiment_id: str, teacher: dict[str, str]) -> LoggedModel:
    """The teacher as a model of the experiment, made where it is missing: what it is, without its weights."""
    fingerprint = teacher["fingerprint"]
    if found := find_model(client, experiment_id, TAG_FINGERPRINT, fingerprint):
        return found
    told = {key: str(value) for key, value in teacher.items() if value is not None}
    model = client.create_logged_model(
        experiment_id, name=TEACHER, tags={TAG_FINGERPRINT: fingerprint}, params=told, model_type=TEACHER
    )
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def find_model(client: MlflowClient, experiment_id: str, tag: str, value: str) -> LoggedModel | None:
    """The first model of the experiment that has the tag."""
    found = client.search_logged_models([experiment_id], filter_string=f"tags.`{tag}` = '{value}'", max_results=1)
    return next(iter(found), None)


def log_file(client: MlflowClient, run_id: str, path: str, file: Path) -> None:
    """Put a file under an artifact's path, whatever the file is called here.

    Raises:
        OSError: there is no such file, or the folder for artifacts cannot be written.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}, the artifact {path}, is not there any more")
    place = PurePosixPath(path)
    with tempfile.TemporaryDirectory(prefix="distune-") as folder:
        # MLflow keeps a file's own name.
        named = Path(folder) / place.name
        named.symlink_to(file.absolute())
        client.log_artifact(run_id, str(named), str(place.parent) if place.parent.name else None)
