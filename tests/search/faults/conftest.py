"""A Ray head that trains nothing, to which each test of faults adds the machines that are to suffer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from search.home import Home, SweepFolder
from search.run.starting import started
from tests.search.faults.searching import Ledger, Searching
from tests.trainables.conftest import HEAD, write_corpus


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        head = {"num_cpus": 0, "include_dashboard": False}
        found = started(lambda: Cluster(initialize_head=True, head_node_args=head))
        ray.init(found.address, log_to_driver=False, logging_level="ERROR")
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.fixture
def add_node(cluster: Cluster) -> Iterator[Callable[..., Any]]:
    """A node of one CPU with ``env``, variables of its own; it is gone after the test, if it still is there."""
    added = []

    def add(num_cpus: int = 1, env: dict[str, str] | None = None, **settings: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            added.append(started(lambda: cluster.add_node(num_cpus=num_cpus, **settings)))
        return added[-1]

    yield add
    for node in added:
        if node in cluster.list_all_nodes():
            cluster.remove_node(node, allow_graceful=False)


@pytest.fixture
def searching(home: Home, tmp_path: Path) -> Callable[..., Searching]:
    """A sweep on the corpus in miniature; settings as of `Searching`."""

    def search(folder: Path | None = None, at: Home = home, **settings: Any) -> Searching:
        corpus = write_corpus(tmp_path / "corpus")
        kept = SweepFolder(folder or tmp_path / "first")
        return Searching(kept, at, corpus, HEAD, Ledger(tmp_path / "ledger"), **settings)

    return search
