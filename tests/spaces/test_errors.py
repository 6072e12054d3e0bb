"""How faults read, and which files are refused outright."""

import pydantic
import pytest

from spaces.errors import Fault, InputError, faults_of, read_yaml


class Inner(pydantic.BaseModel, extra="forbid"):
    size: int
    name: str = ""


class Outer(pydantic.BaseModel, extra="forbid"):
    inner: Inner
    items: list[int] = []

    @pydantic.model_validator(mode="after")
    def _never_empty(self) -> "Outer":
        if self.inner.size == 0:
            raise ValueError("holds nothing; add something")
        return self


def faults(tree, prefix=""):
    with pytest.raises(pydantic.ValidationError) as refused:
        Outer.model_validate(tree)
    return [str(fault) for fault in faults_of(refused.value, "file.yaml", prefix)]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Fault("a.yaml", "budget.trials", 0, "raise it"), "a.yaml: budget.trials = 0: raise it"),
        (Fault("a.yaml", "budget", None, "is missing"), "a.yaml: budget: is missing"),
        (Fault("clips", "", None, "is empty"), "clips: is empty"),
        (Fault("command line", "--set", "x", "write key=value"), "command line: --set = 'x': write key=value"),
    ],
)  # fmt: skip
def test_a_fault_reads_file_key_value_remedy(fault, line):
    assert str(fault) == line


def test_an_input_error_holds_all_faults_a_line_each_and_takes_one_alone():
    first, second = Fault("a", "", None, "one"), Fault("b", "", None, "two")
    assert str(InputError([first, second])) == "a: one\nb: two"
    assert InputError(first).faults == [first]


def test_every_fault_of_a_model_is_told_with_its_dotted_key():
    assert faults({"inner": {"size": "big", "nmae": "x"}, "items": [1, "two"]}) == [
        "file.yaml: inner.size = 'big': Input should be a valid integer, unable to parse string as an integer",
        "file.yaml: inner.nmae = 'x': unknown key; check its spelling or remove it",
        "file.yaml: items.1 = 'two': Input should be a valid integer, unable to parse string as an integer",
    ]


def test_a_missing_key_is_named_with_what_to_do():
    assert faults({"inner": {}}) == ["file.yaml: inner.size: is missing; add it"]


def test_a_rule_over_a_section_does_not_print_the_section():
    assert faults({"inner": {"size": 0}}) == ["file.yaml: holds nothing; add something"]


def test_a_prefix_goes_before_every_key():
    assert faults({"inner": {}}, prefix="distune")[0].startswith("file.yaml: distune.inner.size: ")
    assert faults({"inner": {"size": 0}}, prefix="distune") == ["file.yaml: distune: holds nothing; add something"]


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
