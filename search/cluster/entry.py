"""``python -m search.cluster.entry``, what a job runs on the head. Here is nothing that an old Python cannot read."""

import sys

OLDEST_PYTHON = (3, 11)


def main() -> None:
    """Run the order that lies in this folder, see `search.cluster.on_head`, unless this Python is too old for it."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit("refused: the head's `python`, " + sys.executable + ", is " + found + "; distune needs 3.11 or newer")
    from search.cluster.on_head import run_order

    sys.exit(run_order())


if __name__ == "__main__":
    main()
