"""What a run says of where it came from."""

import subprocess
from importlib import metadata

from search.tracking.provenance import inputs_of, provenance


def git(*arguments: str) -> str:
    own = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    return subprocess.run(["git", *own, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_of_the_working_folder_and_whether_it_was_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "mlflow.source.git.commit" not in provenance()
    git("init", "-q")
    assert "mlflow.source.git.commit" not in provenance()  # nothing was committed yet
    (tmp_path / "sweep.yaml").write_text("name: a")
    git("add", ".")
    git("commit", "-qm", "a sweep")
    told = provenance()
    assert (told["mlflow.source.git.commit"], told["distune.git_changed"]) == (git("rev-parse", "HEAD"), "false")
    (tmp_path / "sweep.yaml").write_text("name: b")
    assert provenance()["distune.git_changed"] == "true"


def test_a_machine_without_git_tells_versions_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    told = provenance()
    assert told["distune.version.torch"] == metadata.version("torch")
    assert all(key.startswith("distune.version.") for key in told)


def test_a_record_of_an_older_distune_has_no_inputs_to_tell():
    assert inputs_of({"corpus": "corpora/1", "head": "head"}) is None
    found = inputs_of({"clips": {"path": "/clips"}, "teacher": {"fingerprint": "t1"}})
    assert found is not None and found.teacher == {"fingerprint": "t1"}
