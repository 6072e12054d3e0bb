"""Files that a user gives: YAML and JSON of plain values alone, within limits that no honest file comes near; secrets
in files that their owner alone can open.
"""

import json
import stat
from pathlib import Path
from typing import Any

import yaml

from spaces.errors import Fault, InputError
from spaces.secrets import without_password

MOST_BYTES = 256 * 1024  # of a YAML file; the longest that distune writes has 20 kB
MOST_LEVELS = 32
MOST_VALUES = 50_000  # with every alias written out
MERGE = "tag:yaml.org,2002:merge"
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class NotPlainError(ValueError):
    """A text is no document of plain values; the message says why, on one line."""


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's top-level mapping, of plain values.

    Raises:
        InputError: no such file, too large a one, not YAML, not plain, or not a mapping.
    """
    try:
        with path.open("rb") as file:
            # Not its size, which a pipe or a device does not tell.
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise NotPlainError(f"is larger than {MOST_BYTES // 1024} kB, as no such file is; give the one you mean")
        content = parse_yaml(data.decode("utf-8"))
    except OSError as error:
        remedy = f"cannot be read ({error.strerror}); give an existing YAML file"
        raise InputError(Fault(str(path), "", None, remedy)) from None
    except UnicodeDecodeError as error:
        raise InputError(Fault(str(path), "", None, f"is not YAML: {error}")) from None
    except NotPlainError as error:
        raise InputError(Fault(str(path), "", None, str(error))) from None
    if not isinstance(content, dict):
        raise InputError(Fault(str(path), "", None, "holds no keys; see the README for what belongs in it"))
    return content


def parse_yaml(text: str) -> Any:
    """YAML as plain values: no tag makes an object, no alias more than it seems, and no key is there twice.

    Raises:
        NotPlainError: it is not YAML, nested too deeply, grows beyond all bounds by its aliases, or has keys twice.
    """
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.YAMLError as error:
        # It quotes the line at fault.
        raise NotPlainError(f"is not YAML: {without_password(' '.join(str(error).split()))}") from None
    except NotPlainError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # What PyYAML's conversions raise of a value such as 2026-02-31, or a number of 5000 digits.
        raise NotPlainError(f"is not YAML: a value in it cannot be read ({error})") from None


def read_json(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        OSError: it cannot be read.
        NotPlainError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise NotPlainError("is not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise NotPlainError(f"is not JSON: {error}") from None


def secret_faults(file: Path, key: str = "", instead: str = "") -> list[Fault]:
    """What is wrong with the mode of a file that holds a secret: one fault where others than its owner can open it.

    Args:
        key: of the secret in the file; ``""`` where the whole file is one.
        instead: another way to give the secret, e.g. ``or set X in the environment``.
    """
    if not file.is_file() or not file.stat().st_mode & OTHERS:
        return []
    remedy = f"holds a secret, and other users of this machine can open the file; `chmod 600 {file}`"
    return [Fault(str(file), key, None, ", ".join([remedy, instead]) if instead else remedy)]


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with limits on what it composes; they hold before any value is made.

    An alias costs PyYAML nothing, and whoever walks through the values as often as it stands there everything. Of a key
    that is there twice PyYAML takes the last, where YAML allows it but once (1.2.2, section 3.2.1.1).
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._n_values: dict[int, int] = {}  # by a node's identity, aliases in it written out
        self._open: list[int] = [0]  # of nodes being composed, outermost first: values in them so far
        self._twice: list[str] = []  # keys, with the lines that they are on

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if self._twice:
            raise NotPlainError(f"has keys twice: {', '.join(self._twice)}; keep the one that is meant")
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], list[int]] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                lines.setdefault((key.tag, key.value), []).append(key.start_mark.line + 1)
        self._twice += [
            f"{key} (lines {' and '.join(map(str, on))})" for (_, key), on in lines.items() if len(on) > 1
        ]
        return node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if len(self._open) > MOST_LEVELS:
            raise NotPlainError(f"is nested deeper than {MOST_LEVELS} levels (line {line}); no key of it is so deep")
        self._open.append(1)
        node = super().compose_node(parent, index)
        n_values = self._open.pop()
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._n_values:
                raise NotPlainError(f"has an alias, *{event.anchor}, within what it stands for (line {line})")
            n_values = self._n_values[id(node)]
        self._n_values[id(node)] = n_values
        self._open[-1] += n_values
        if self._open[-1] > MOST_VALUES:
            raise NotPlainError(
                f"grows beyond {MOST_VALUES} values, aliases written out (line {line}); write down what is meant"
            )
        return node
