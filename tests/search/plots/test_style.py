"""What is told by colour stands out from the page, light or dark, and is told by something else too."""

import pytest

from search.plots.style import BLUE, DARK, GREEN, INK, LOOKS, MUTED, PAPER, PURPLE, VERMILLION


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colour", [BLUE, VERMILLION, GREEN, PURPLE])
def test_marks_stand_out_by_three_to_one(colour):
    assert contrast(colour, PAPER) >= 3 and contrast(DARK[colour], DARK[PAPER]) >= 3


@pytest.mark.parametrize("colour", [INK, MUTED])
def test_words_stand_out_by_four_and_a_half_to_one(colour):
    assert contrast(colour, PAPER) >= 4.5 and contrast(DARK[colour], DARK[PAPER]) >= 4.5


def test_no_two_looks_share_a_colour_a_mark_or_a_dash():
    assert all(len(set(parts)) == len(LOOKS) for parts in zip(*LOOKS, strict=True))
