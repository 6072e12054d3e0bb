import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest begins first, so that nothing waits for it alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
