"""Everyday English to speak: the words and sentences of english.txt."""

from functools import cache
from pathlib import Path

ENGLISH = Path(__file__).with_name("english.txt")
SENTENCE_ENDS = (".", "?")


@cache
def _lines() -> tuple[str, ...]:
    lines = ENGLISH.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def english_words() -> list[str]:
    """Some 670 common words, each once, in alphabetical order."""
    return sorted({word for line in _lines() if not line.endswith(SENTENCE_ENDS) for word in line.split()})


def english_sentences() -> list[str]:
    """Some 70 sentences of 5 to 8 words."""
    return [line for line in _lines() if line.endswith(SENTENCE_ENDS)]
