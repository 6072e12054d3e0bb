"""What Ray is started with on one machine; what comes of it, tests/search/test_secrets_end_to_end.py looks at."""

import os

import pytest
from ray._private import ray_constants
from ray._private.services import get_node_ip_address

from search.run.enclosed import LOGIN, SINGLE_MACHINE, enclosed


def test_ray_knows_itself_by_loopback_and_no_login_within_and_all_is_as_before_afterwards(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for name in LOGIN:
        monkeypatch.setenv(name, "swordfish")
    monkeypatch.delenv(SINGLE_MACHINE, raising=False)
    before, address = dict(os.environ), get_node_ip_address()
    with pytest.raises(KeyError), enclosed():
        assert get_node_ip_address() == "127.0.0.1"
        assert not set(LOGIN) & set(os.environ) and os.environ[SINGLE_MACHINE] == "0"
        raise KeyError
    assert dict(os.environ) == before and get_node_ip_address() == address
    assert ray_constants.ENABLE_RAY_CLUSTER
