"""Passwords in addresses are found wherever they stand, and told nowhere."""

import pytest

from spaces.errors import Fault
from spaces.secrets import has_password, without_login, without_password


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at postgresql://me:secret@db:5432/x", "at postgresql://me:***@db:5432/x"),
        ("postgresql://me:se/cr@t@db/x failed", "postgresql://me:***@db/x failed"),
        ("'http://me:secret@h' and ftp://a:b@c", "'http://me:***@h' and ftp://a:***@c"),
        ("mysql://db/x?user=me&password=secret&ssl=1", "mysql://db/x?user=me&password=***&ssl=1"),
        ("tracking.uri=http://:secret@h", "tracking.uri=http://:***@h"),
    ],
)
def test_what_stands_for_a_password_is_starred_out(text, told):
    assert without_password(text) == told and has_password(text)
    assert not has_password(told)


@pytest.mark.parametrize(
    "text",
    ["http://localhost:5000/x?a@b", "http://me@h", "sqlite:////var/a:b@c.db", "a: b@c", "s3://bucket/a@b:c",
     "postgresql://me@db:5432/runs"],
)  # fmt: skip
def test_what_has_no_password_stays(text):
    assert without_password(text) == text and not has_password(text)


@pytest.mark.parametrize(
    ("uri", "left"),
    [
        ("http://me:pw@host:5000/mlflow", "http://host:5000/mlflow"),
        ("postgresql://db/x?user=me&password=pw&sslmode=require", "postgresql://db/x?sslmode=require"),
        ("postgresql://db/x?password=a@b", "postgresql://db/x"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_a_login_is_taken_out_of_an_address_wherever_it_stands(uri, left):
    assert without_login(uri) == left


def test_no_fault_tells_a_password():
    fault = Fault("http://me:secret@h", "tracking.uri", "http://me:secret@h", "http://me:secret@h does not answer")
    assert str(fault) == "http://me:***@h: tracking.uri = 'http://me:***@h': http://me:***@h does not answer"
