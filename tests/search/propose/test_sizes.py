"""The sizes that a space allows, and the limits that leave nothing to train."""

import pytest

from search.propose.rehearsal import load_spaces
from search.propose.sizes import drawn_sizes, extreme_sizes, narrowed, size_params
from spaces.errors import Fault
from spaces.space import Space
from spaces.sweep import SweepConfig

WIDTHS = "model.tcn_num_channels"


def faults_of(**students) -> list[Fault]:
    sweep = SweepConfig.model_validate({"name": "first", "data": {"path": "clips"}, "students": students})
    faults: list[Fault] = []
    load_spaces(sweep, None, faults)
    return faults


def test_a_space_that_searches_no_width_holds_one_size():
    (size,) = extreme_sizes("resnet18", Space.load("resnet18"))
    assert size.parameters == 11_171_266


def test_a_space_of_widths_reaches_from_its_narrowest_to_its_widest():
    smallest, largest = extreme_sizes("tiny_conv", Space.load("tiny_conv_widths"))
    assert smallest.parameters == 9 * 8 * (1 + 8 + 8 + 8) + 2 * 4 * 8 + 8 * 2 + 2
    assert largest.parameters == 9 * 96 * (1 + 96 + 96 + 96) + 2 * 4 * 96 + 96 * 2 + 2


def test_widths_held_fixed_are_the_only_size():
    held = Space.load("tiny_conv_widths").holding({WIDTHS: [8, 8]})
    (size,) = extreme_sizes("tiny_conv", held)
    assert size.parameters == 9 * 8 * (1 + 8) + 2 * 2 * 8 + 8 * 2 + 2


def test_random_draws_lie_between_the_extremes_and_differ():
    space = Space.load("tiny_conv_widths")
    smallest, largest = extreme_sizes("tiny_conv", space)
    found = [size.flash_kb for size in drawn_sizes("tiny_conv", space, n_layers=7, n=16)]
    assert smallest.flash_kb < min(found) < max(found) < largest.flash_kb
    assert len(set(found)) == 16


@pytest.mark.parametrize(
    ("limit", "widths"),
    [
        (None, (16, 32, 64, 64)),
        (64, (16, 32, 64, 64)),
        (50, (8, 24, 56, 56)),  # by 15/16
        (18, (8, 16, 32, 32)),  # by one half
        (1, (8, 8, 8, 8)),
    ],
)
def test_default_widths_are_narrowed_alike_until_they_meet_the_limit(limit, widths):
    space = Space.load("tiny_conv_widths")
    found = narrowed("tiny_conv", space, limit)
    assert found.parameters[WIDTHS].default == widths
    assert found.known_points == space.known_points


def test_a_space_without_widths_has_none_to_narrow():
    space = Space.load("resnet18")
    assert narrowed("resnet18", space, 100) == space


def test_mlflow_shows_a_trials_size_beside_its_keys():
    assert size_params({"model.architecture": "tiny_conv", "seed": 3}) == {
        "size.parameters": 60_530,
        "size.macs": 11_556_992,
        "size.flash_kb": 65_160 / 1024,
    }


def test_a_student_that_is_larger_than_its_limit_is_refused_with_the_smallest_size():
    (fault,) = faults_of(resnet18={"max_flash_kb": 100})
    assert (fault.key, fault.value) == ("students.resnet18.max_flash_kb", 100)
    assert fault.remedy.startswith("its smallest takes 11031.4 kB; ")


def test_a_limit_under_the_narrowest_width_is_refused():
    (fault,) = faults_of(tiny_conv={"space": "tiny_conv_widths", "max_flash_kb": 2})
    assert fault.remedy.startswith("its smallest takes 2.7 kB; ")


def test_a_limit_that_hardly_any_draw_meets_is_refused():
    (fault,) = faults_of(tiny_conv={"space": "tiny_conv_widths", "max_flash_kb": 4})
    assert fault.remedy.startswith("none of 64 random draws is so small, though 2.7 kB can be; ")


def test_widths_of_a_student_that_has_none_are_refused():
    (fault,) = faults_of(resnet18={"space": "tiny_conv_widths"})
    assert (fault.key, fault.value) == ("students.resnet18.space", "tiny_conv_widths")
    assert fault.remedy == f"searches {WIDTHS}, which changes nothing in resnet18; choose a space without it"


@pytest.mark.parametrize("limit", [None, 30, 1000])
def test_a_limit_that_draws_meet_is_none_to_object_to(limit):
    assert faults_of(tiny_conv={"space": "tiny_conv_widths", "max_flash_kb": limit}, resnet18={}) == []
