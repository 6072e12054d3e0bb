"""Which files and texts are refused outright: those that are not plain values, and those that only mean harm."""

import json
import os
import threading

import pytest
import yaml

from spaces.documents import MOST_BYTES, MOST_LEVELS, MOST_VALUES, NotPlainError, parse_yaml, read_json, read_yaml
from spaces.errors import InputError
from spaces.sweep import parse_overrides


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: [1, 2", "is not YAML: "),
        (b"a: \xff\xfe", "is not YAML: "),
        (b"- a\n- b\n", "holds no keys"),
        (b"", "holds no keys"),
        (b"!!python/object/apply:os.getcwd []", "is not YAML: "),
    ],
)
def test_a_file_without_a_plain_mapping_is_refused_on_one_line(tmp_path, content, told):
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_yaml(path)
    assert str(refused.value).startswith(f"{path}: {told}") and "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path):
    with pytest.raises(InputError, match=r"absent\.yaml: cannot be read \(No such file or directory\)"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        read_yaml(tmp_path)


def test_a_mapping_is_read_whole(tmp_path):
    (tmp_path / "file.yaml").write_text("a: {b: [1, 2.5]}\nc: wörter\n", encoding="utf-8")
    assert read_yaml(tmp_path / "file.yaml") == {"a": {"b": [1, 2.5]}, "c": "wörter"}


# Limits

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
MERGED = "a0: &a0 {k: v}\n" + "".join(
    f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


def refusal(text: str) -> str:
    with pytest.raises(NotPlainError) as refused:
        parse_yaml(text)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("bomb", [LAUGHS, MERGED])
def test_an_alias_counts_as_often_as_it_stands_for_something(bomb):
    assert len(bomb) < 1000
    assert f"grows beyond {MOST_VALUES} values, aliases written out (line" in refusal(bomb)


@pytest.mark.parametrize("loop", ["&a [*a]", "a: &a {b: *a}", "&a {? *a : 1}"])
def test_an_alias_within_what_it_stands_for_is_refused(loop):
    assert "has an alias, *a, within what it stands for (line 1)" in refusal(loop)


@pytest.mark.parametrize(
    "deep",
    ["[" * 100_000, "{a: " * 100_000, "\n".join(" " * level + "a:" for level in range(MOST_LEVELS + 1)), "- " * 5000],
)
def test_deep_nesting_is_refused_before_python_gives_up(deep):
    assert f"is nested deeper than {MOST_LEVELS} levels" in refusal(deep)


def test_as_deep_and_as_long_as_allowed_is_read():
    depth = "[" * (MOST_LEVELS - 1) + "1" + "]" * (MOST_LEVELS - 1)
    assert parse_yaml(depth) == yaml.safe_load(depth)
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: {d: *a}}") == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}


@pytest.mark.parametrize("value", ["9" * 5000, "2026-02-31", "!!int ''", "!!bool maybe", "!!timestamp x", "!!float ''"])
def test_a_value_that_python_cannot_hold_is_no_traceback(value):
    assert refusal(f"a: {value}").startswith("is not YAML: a value in it cannot be read")


@pytest.mark.parametrize("tag", ["python/object/apply:os.system ['true']", "python/name:os.system", "python/module:os"])
def test_no_tag_makes_anything_but_plain_values(tag):
    assert "could not determine a constructor" in refusal(f"a: !!{tag}")


def test_keys_that_are_there_twice_are_refused_with_their_lines():
    text = "name: a\nbudget:\n  trials: 4\n  hours: 1\n  trials: 40\nname: b\nsearch: {sampler: tpe}\n"
    with pytest.raises(NotPlainError) as refused:
        parse_yaml(text)
    assert str(refused.value) == (
        "has keys twice: trials (lines 3 and 5), name (lines 1 and 6); keep the one that is meant"
    )


def test_a_key_that_a_merge_brings_too_is_not_there_twice():
    assert parse_yaml("base: &base {a: 1, b: 2}\nown: {<<: *base, a: 3}")["own"] == {"a": 3, "b": 2}


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_text("a: " + "x" * MOST_BYTES)
    with pytest.raises(InputError, match=r"large\.yaml: is larger than 256 kB"):
        read_yaml(path)
    path.write_text("a: " + "x" * (MOST_BYTES - 3))
    assert len(read_yaml(path)["a"]) == MOST_BYTES - 3


def test_a_pipe_that_never_ends_is_read_no_further_than_a_file(tmp_path):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)

    def write():
        with pytest.raises(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with pytest.raises(InputError, match="is larger than"):
        read_yaml(pipe)
    writer.join(30)
    assert not writer.is_alive()


def test_what_an_option_sets_has_the_same_limits():
    with pytest.raises(InputError, match=r"--set = .*: its value is nested deeper than"):
        parse_overrides(["name=" + "[" * 1000])


def test_json_that_is_nested_too_deeply_is_no_traceback(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(NotPlainError, match="nested too deeply"):
        read_json(path)
    path.write_text(json.dumps({"a": 1}))
    assert read_json(path) == {"a": 1}
