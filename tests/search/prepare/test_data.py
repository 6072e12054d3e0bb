"""What a sweep reads by URI, and the storage that it names: brought here or refused before anything starts."""

import pytest

from search.home import Home, open_home
from search.prepare.data import read_clips, read_data, storage_of
from search.screen.steps import silent_steps
from spaces.errors import Fault, InputError
from spaces.sections import Data
from spaces.sweep import SweepConfig
from tests.trainables.recipes import write_clips
from trainables.storage.cache import CACHE


@pytest.fixture
def home(tmp_path) -> Home:
    return open_home(tmp_path / "home")


def sweep(storage) -> SweepConfig:
    tree = {"name": "first", "data": {"path": "clips"}, "students": ["tiny_conv"], "resources": {"storage": storage}}
    return SweepConfig.model_validate(tree)


def test_clips_by_uri_are_the_clips_by_path_and_lie_in_the_cache(home, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "fast"))
    folder = write_clips(tmp_path / "clips")
    there = Data(path=f"file://{folder}", views={"noise": [f"file://{folder}/val"]})
    by_uri, views, sources = read_data(there, home, silent_steps)
    by_path, _, none = read_data(Data(path=folder, views={"noise": [folder / "val"]}), home, silent_steps)
    assert [clip.content_hash for clip in by_uri.clips] == [clip.content_hash for clip in by_path.clips]
    assert all(clip.clip.path.is_relative_to(tmp_path / "fast" / "data") for clip in by_uri.clips)
    assert len(sources) == 2 and none == () and len(views.views.noise) == 1
    assert home.corpora == tmp_path / "fast" / "corpora"


def test_clips_alone_need_no_recordings(home, tmp_path):
    folder = write_clips(tmp_path / "clips")
    gone = Data(path=f"file://{folder}", views={"noise": ["file:///gone"]})
    assert len(read_clips(gone, home, silent_steps)) == 17
    with pytest.raises(InputError, match=r"file:///gone: data\.views\.noise: holds no file"):
        read_data(gone, home, silent_steps)


def test_storage_is_tried_out(tmp_path):
    faults: list[Fault] = []
    assert storage_of(sweep(None), faults) is None
    assert storage_of(sweep(tmp_path / "shared"), faults).location == tmp_path / "shared"
    assert faults == [] and list((tmp_path / "shared").iterdir()) == []


def test_storage_that_cannot_be_written_is_a_fault_of_its_key(tmp_path):
    faults: list[Fault] = []
    (tmp_path / "file").touch()
    storage_of(sweep(tmp_path / "file" / "below"), faults)
    (fault,) = faults
    assert (fault.file, fault.key, fault.value) == ("first", "resources.storage", str(tmp_path / "file" / "below"))
    assert "cannot be written and read from here: " in fault.remedy and "Not a directory" in fault.remedy
