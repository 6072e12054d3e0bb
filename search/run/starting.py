"""Starting Ray's nodes on a busy machine, where they may give themselves up."""

import logging
from collections.abc import Callable
from typing import TypeVar

MOST_STARTS = 3
GAVE_UP = "timed out during startup"

log = logging.getLogger(__name__)
T = TypeVar("T")


def started(start: Callable[[], T]) -> T:
    """What ``start`` gives, called again where Ray gave up the node that it starts.

    A node has 30 s to come up, and 15 s of them for its agent, which no setting changes (ray/_private/node.py;
    WaitForDashboardAgentPorts in Ray's node_manager.cc).
    """
    for _ in range(MOST_STARTS - 1):
        try:
            return start()
        except Exception as error:  # of no class of its own
            if GAVE_UP not in str(error):
                raise
        log.warning("Ray gave itself half a minute to come up, too little on this busy machine; it is started again")
    return start()
