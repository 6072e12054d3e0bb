"""How faults read."""

import pydantic
import pytest

from spaces.errors import Fault, InputError, faults_of


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
