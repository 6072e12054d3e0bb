from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster

from search.doctor import cluster
from search.doctor.finding import Finding, Subject, Verdict
from search.run.starting import started
from spaces.sections import Resources, Teacher
from tests.search.doctor.judged import verdicts


def token(subject: Subject) -> Finding:
    first, *_ = cluster.check_cluster(subject)
    assert first.what == "Ray's token"
    return first


def test_where_rays_token_is_and_what_is_missing(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    assert token(subject).verdict is Verdict.FINE  # Ray will make one
    monkeypatch.setenv(cluster.MODE, "token")
    assert token(subject).verdict is Verdict.MEND and "ray get-auth-token" in token(subject).remedy
    subject.ray_folder.mkdir()
    (subject.ray_folder / "auth_token").write_text("secret")
    (subject.ray_folder / "auth_token").chmod(0o600)
    assert token(subject).verdict is Verdict.FINE and "secret" not in token(subject).told
    monkeypatch.setenv(cluster.TOKEN_PATH, str(subject.ray_folder / "none"))
    assert token(subject).verdict is Verdict.MEND
    monkeypatch.setenv(cluster.TOKEN, "secret")
    assert token(subject) == Finding("Ray's token", Verdict.FINE, f"in {cluster.TOKEN}")
    monkeypatch.setenv(cluster.MODE, "tokn")
    assert token(subject).verdict is Verdict.MEND


def test_a_token_that_others_can_read_is_told(monkeypatch: pytest.MonkeyPatch, subject: Subject):
    file = subject.ray_folder / "auth_token"
    file.parent.mkdir()
    file.write_text("secret")
    file.chmod(0o644)
    # The folders above a test's own are its user's alone; in one that is everybody's, the token would be too.
    assert token(subject).verdict is Verdict.FINE
    monkeypatch.setattr(cluster, "_in_reach", lambda path: True)
    assert (token(subject).verdict, token(subject).remedy) == (Verdict.ADVICE, f"chmod 600 {file}")
    # One that the user named would be refused by a sweep; Ray's own is closed by it.
    monkeypatch.setenv(cluster.TOKEN_PATH, str(file))
    assert (token(subject).verdict, token(subject).remedy) == (Verdict.MEND, f"chmod 600 {file}")


def test_a_machine_without_a_token_is_fine_alone_and_not_in_a_cluster(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(cluster.MODE, "disabled")
    assert token(subject).verdict is Verdict.FINE
    shared = Subject(subject.home, subject.tracking_uri, Teacher(), Resources(address="127.0.0.1:1"))
    assert next(iter(cluster._token(shared))).verdict is Verdict.ADVICE


def joined(subject: Subject, address: str) -> Finding:
    """What is found of Ray itself."""
    shared = Subject(subject.home, subject.tracking_uri, Teacher(), Resources(address=address))
    *_, last = cluster.check_cluster(shared)
    assert last.what == "Ray"
    return last


@pytest.fixture
def address(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster of one node without tokens."""
    monkeypatch.setenv(cluster.MODE, "disabled")
    settings = {"num_cpus": 3, "include_dashboard": False}
    head = started(lambda: Cluster(initialize_head=True, head_node_args=settings))
    try:
        yield head.address
    finally:
        head.shutdown()


@pytest.mark.slow
def test_a_cluster_is_joined_to_see_what_it_has(address: str, subject: Subject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "JOIN_SECONDS", 300)  # a minute may not do where the machine is busy
    assert joined(subject, address) == Finding("Ray", Verdict.FINE, f"1 nodes, 3 CPUs and 0 GPUs at {address}")


@pytest.mark.slow
def test_an_address_where_no_cluster_answers_is_told(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(cluster.MODE, "disabled")
    monkeypatch.setattr(cluster, "JOIN_SECONDS", 10)
    finding = joined(subject, "127.0.0.1:1")
    assert verdicts([finding]) == [Verdict.MEND] and "127.0.0.1:1" in finding.told and "ray start" in finding.remedy
