"""Files that would run code in whoever reads them carelessly, for tests of those that read them."""

import os
from pathlib import Path


class Payload:
    """What makes the file ``mark`` when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._mark),)
