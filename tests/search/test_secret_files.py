"""Files that hold secrets: which are refused, and that distune's own are closed."""

from pathlib import Path

import pytest
import yaml

from search.home import Home
from search.secret_files import narrow_ray_token, read_secret, refuse_open_secrets, write_secret
from spaces.errors import InputError
from spaces.sweep import SweepConfig
from tests.search.commands import Run, assert_refused
from tests.search.conftest import RecordedSweep

URI = "http://ann:swordfish@127.0.0.1:5000"


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_a_sweep_file_with_a_password_is_its_owners_alone(tmp_path: Path):
    file = tmp_path / "first.yaml"
    file.write_text(yaml.safe_dump({"data": {"path": "clips"}, "students": ["tiny_conv"], "tracking": {"uri": URI}}))
    for wide in (0o644, 0o640, 0o604, 0o620):
        file.chmod(wide)
        with pytest.raises(InputError) as refused:
            SweepConfig.load(file)
        (told,) = str(refused.value).splitlines()
        assert "tracking.uri: holds a secret, and other users of this machine can open the file" in told
        assert f"`chmod 600 {file}`" in told
        assert "MLFLOW_TRACKING_PASSWORD" in told and "swordfish" not in told
    for narrow in (0o600, 0o400):
        file.chmod(narrow)
        assert SweepConfig.load(file).tracking.uri == URI


def test_it_is_told_together_with_everything_else(tmp_path: Path):
    file = tmp_path / "first.yaml"
    file.write_text(yaml.safe_dump({"data": {}, "students": ["tiny_conv"], "tracking": {"uri": URI}}))
    with pytest.raises(InputError) as refused:
        SweepConfig.load(file)
    assert {fault.key for fault in refused.value.faults} == {"tracking.uri", "data.path"}


def test_a_record_keeps_the_password_apart_in_a_closed_file(recorded: RecordedSweep):
    sweep = recorded.open({"tracking.uri": URI}).sweep
    recorded.folder.write(sweep, {})
    assert "swordfish" not in recorded.folder.sweep_file.read_text()
    assert mode(recorded.folder.login_file) == 0o600
    assert recorded.folder.read()[0] == sweep
    recorded.folder.login_file.chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        recorded.folder.read()
    recorded.folder.write(recorded.open({"tracking.uri": "http://127.0.0.1:5000"}).sweep, {})
    assert not recorded.folder.login_file.exists()


def test_what_is_written_is_closed_also_where_something_open_stood_there(tmp_path: Path):
    for name in (".secret.new", "secret"):
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(0o644)
    write_secret(tmp_path / "secret", "new")
    assert (read_secret(tmp_path / "secret"), mode(tmp_path / "secret")) == ("new", 0o600)
    assert read_secret(tmp_path / "none") is None


def test_ray_and_mlflow_take_no_secret_from_a_file_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    token, credentials = tmp_path / "token", tmp_path / ".mlflow" / "credentials"
    refuse_open_secrets()
    credentials.parent.mkdir()
    for file in (token, credentials):
        file.write_text("secret")
        file.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    with pytest.raises(InputError) as refused:
        refuse_open_secrets()
    assert [fault.file for fault in refused.value.faults] == [str(credentials), str(token)]
    assert "or set RAY_AUTH_TOKEN" in refused.value.faults[1].remedy
    credentials.chmod(0o600)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")  # goes before the file
    refuse_open_secrets()


def test_the_token_that_ray_itself_made_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    token = tmp_path / ".ray" / "auth_token"
    narrow_ray_token()
    token.parent.mkdir()
    token.write_text("secret")
    token.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    narrow_ray_token()
    assert mode(token) == 0o644
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    narrow_ray_token()
    assert mode(token) == 0o600


@pytest.mark.parametrize(
    "arguments",
    [("sweep", "x.yaml", "--set", f"tracking.uri={URI}"), ("list", "--store", URI), ("status", "x", f"--store={URI}")],
)
def test_a_password_on_the_command_line_is_refused_where_it_could_be_read_by_all(run: Run, arguments: tuple[str, ...]):
    done = run(*arguments)
    assert_refused(done, "has a password, which every user of this machine could read")
    assert "ann:***@" in done.told and "swordfish" not in done.told


def test_a_home_without_secrets_has_no_such_file(home: Home):
    assert not list(home.root.rglob("*.secret"))
