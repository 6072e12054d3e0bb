"""Asking the kernel for the parts of memory-mapped arrays that will soon be read."""

import mmap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


class _File(NamedTuple):
    """A mapped file whose rows begin at byte ``start`` and are ``row_bytes`` long."""

    pages: mmap.mmap
    start: int
    row_bytes: int


class MappedFiles:
    """The files under some memory-mapped arrays, each in rows; arrays that lie elsewhere are left out.

    Args:
        arrays: each with its rows along its first ``n_row_axes`` axes.
    """

    def __init__(self, arrays: Sequence[np.ndarray], n_row_axes: int = 2) -> None:
        owners: list[tuple[np.ndarray, Any]] = [(array, array.base) for array in arrays]
        self.files = [
            # A mapping ends where its array does; before the array lies the file's header.
            _File(pages, len(pages) - array.nbytes, array[(0,) * n_row_axes].nbytes)
            for array, pages in owners
            if isinstance(pages, mmap.mmap)
        ]

    def read_whole(self) -> None:
        """Have everything read in the background."""
        for file in self.files:
            file.pages.madvise(mmap.MADV_WILLNEED)

    def expect_random(self) -> None:
        """Read nothing but what is asked for: neighbours of a row in random order are of no use."""
        for file in self.files:
            file.pages.madvise(mmap.MADV_RANDOM)

    def read_rows(self, rows: Tensor) -> None:
        """Have some rows, (rows,), read in the background; 0.6 µs each where they are in memory already."""
        for pages, start, row_bytes in self.files:
            for row in rows.tolist():
                first = start + row * row_bytes
                page = first - first % mmap.PAGESIZE
                pages.madvise(mmap.MADV_WILLNEED, page, first + row_bytes - page)
