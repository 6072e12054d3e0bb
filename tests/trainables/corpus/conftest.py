"""What the tests of building and naming a corpus share: some recordings, and the recipe of a corpus of them."""

from pathlib import Path

import pytest

from tests.trainables.recipes import recipe_of, write_clips
from trainables.corpus.recipe import Recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def recipe(data: Path) -> Recipe:
    return recipe_of(data)
