import pytest

from search.doctor.finding import Verdict
from search.doctor.versions import bad_pairs, by_name, unmet
from tests.search.doctor.judged import verdicts


def test_requirements_that_are_met_are_one_line_and_each_that_is_not_has_the_command_that_mends_it():
    required = ["torch<2.12,>=2.11", "optuna<5.1,>=5.0", "onnx>=1.18; extra == 'export'"]
    installed = {"torch": "2.11.0+cpu", "optuna": "5.0.0"}
    (met,) = unmet(required, installed)
    assert met.verdict is Verdict.FINE and "torch 2.11.0+cpu, optuna 5.0.0; all 2" in met.told
    missing, wrong = sorted(unmet(required, {"torch": "2.13.0"}), key=lambda finding: finding.told)
    assert verdicts([missing, wrong]) == [Verdict.MEND] * 2
    assert missing.told.startswith("optuna is not installed") and missing.remedy == "pip install 'optuna<5.1,>=5.0'"
    assert wrong.told == "torch 2.13.0; distune needs <2.12,>=2.11"


def test_a_name_that_is_spelt_otherwise_is_the_same_package():
    (met,) = unmet(["huggingface-hub<3,>=1", "PyYAML>=6"], by_name([("huggingface_hub", "2.4.0"), ("pyyaml", "6.1")]))
    assert met.verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("installed", "told"),
    [
        ({"torch": "2.11.0", "torchaudio": "2.11.0", "torchvision": "0.26.0"}, None),
        ({"torch": "2.13.0+cpu", "torchaudio": "2.13.0+cpu"}, "torch 2.13.0+cpu with torchaudio 2.13.0+cpu"),
        ({"torch": "2.11.0+cu128", "torchaudio": "2.11.0+cpu"}, "torchaudio 2.11.0+cpu was built for another torch"),
        ({"torch": "2.11.0", "torchvision": "0.25.0"}, "torchvision 0.25.0 was built for another torch"),
        ({}, None),
    ],
)
def test_packages_that_do_not_get_on_are_told(installed: dict[str, str], told: str | None):
    found = list(bad_pairs(installed))
    assert verdicts(found) == [Verdict.MEND] * bool(told)
    assert not told or found[0].told.startswith(told)
