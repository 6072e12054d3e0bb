import errno

import pytest
from ray.tune import TuneError

from search.run.tuning import _storage_told


def as_tune_tells_it(error: Exception) -> None:
    try:
        raise error
    except Exception as raised:
        raise TuneError(str(raised)) from None


def test_a_full_disk_that_ends_a_run_is_told_as_such_and_not_as_an_error_of_tune():
    with pytest.raises(OSError, match="no room"), _storage_told():
        as_tune_tells_it(OSError(errno.ENOSPC, "no room"))


def test_another_error_of_tune_stays_what_it_is():
    with pytest.raises(TuneError, match="no such thing"), _storage_told():
        as_tune_tells_it(OSError(errno.ENOENT, "no such thing"))
