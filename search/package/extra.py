"""The optional packages that packaging needs."""

import importlib.util

from spaces.errors import COMMAND_LINE, Fault, InputError

NEEDED = ("onnx", "onnxruntime", "onnxscript")
INSTALL = 'pip install "distune[export]"'


def need_export_extra(command: str) -> None:
    """Make sure that ONNX can be written and run here.

    Args:
        command: that needs it, for the message.

    Raises:
        InputError: a package is missing; says how to install all.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        remedy = f"needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: {INSTALL}"
        raise InputError(Fault(COMMAND_LINE, command, None, remedy))
