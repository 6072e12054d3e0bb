"""Splits made by speaker or content: disjoint, stable as data grows, never without a class."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from trainables.audio.entries import Entry
from trainables.audio.splits import Assignment, assign, make_splits, place

SOURCE = Path("data")


def entry(name: str, label: int, speaker: str | None = None, split=None) -> Entry:
    return Entry(Path(name), label, split=split, speaker=speaker)


def assigned(entries: list[Entry], seed: int = 0, contents: dict[Path, str] | None = None) -> Assignment:
    return assign(entries, contents or {e.path: e.path.name for e in entries}, seed=seed, source=SOURCE)


def by_speaker(n_speakers: int) -> list[Entry]:
    return [entry(f"{s}-{label}", label, f"s{s}") for s in range(n_speakers) for label in (0, 1)]


def unlike(low: float, high: float, n: int, prefix: str = "") -> list[str]:
    """``n`` units whose places under seed 0 lie in [low, high)."""
    found = (f"{prefix}{i}" for i in range(100_000) if low <= place(f"{prefix}{i}", 0) < high)
    return [next(found) for _ in range(n)]


def test_a_place_is_the_first_eight_bytes_of_a_hash_as_a_fraction():
    # sha256("0:a") begins 9df3c5fa..., by `printf 0:a | sha256sum`
    assert place("a", 0) == pytest.approx(int("9df3c5fa", 16) / 16**8, abs=1e-9)
    assert place("a", 0) != place("a", 1)


def test_units_go_to_test_below_a_tenth_to_val_below_two_tenths_else_to_train():
    test, val, train = unlike(0, 0.1, 2), unlike(0.1, 0.2, 2), unlike(0.2, 1, 3)
    splits = make_splits({unit: {0, 1} for unit in [*train, *test, *val]}, ("val", "test"), 0)
    assert splits == dict.fromkeys(test, "test") | dict.fromkeys(val, "val") | dict.fromkeys(train, "train")


def test_shares_are_80_10_10_of_many_clips():
    splits = Counter(assigned([entry(str(i), i % 2) for i in range(10_000)]).splits)
    # 10 % of 10,000 has a standard deviation of 30; 4 of them.
    assert abs(splits["test"] - 1000) < 120 and abs(splits["val"] - 1000) < 120


@pytest.mark.parametrize("n_speakers", [3, 4, 5, 10, 30])
@pytest.mark.parametrize("seed", range(5))
def test_no_speaker_is_in_two_splits_and_every_split_has_both_classes(n_speakers, seed):
    entries = by_speaker(n_speakers)
    made = assigned(entries, seed)
    if made.faults:
        assert n_speakers < 10 and [fault.key for fault in made.faults] == ["data.split_seed"] * len(made.faults)
        return
    splits_of, labels_of = defaultdict(set), defaultdict(set)
    for each, split in zip(entries, made.splits, strict=True):
        splits_of[each.speaker].add(split)
        labels_of[split].add(each.label)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert labels_of == {"train": {0, 1}, "val": {0, 1}, "test": {0, 1}}


def test_adding_clips_of_known_speakers_moves_nothing():
    before = by_speaker(6)
    after = [entry("another", 1, "s0"), *before, entry("more", 0, "s5")]
    assert assigned(after).splits[1:-1] == assigned(before).splits


def test_adding_clips_without_speakers_moves_none_of_the_old_ones():
    old = [entry(str(i), i % 2) for i in range(300)]
    new = [entry(f"new{i}", i % 2) for i in range(300)]
    assert assigned(new + old).splits[300:] == assigned(old).splits


def test_a_split_without_a_class_takes_the_lowest_unit_left_to_train():
    low, high, other = unlike(0.2, 0.4, 1)[0], unlike(0.8, 0.9, 1)[0], unlike(0.5, 0.6, 1)[0]
    splits = make_splits({high: {0, 1}, low: {0, 1}, other: {0, 1}}, ("val", "test"), 0)
    assert splits == {low: "test", other: "val", high: "train"}


def test_only_the_class_that_lacks_is_topped_up():
    negative_test, positives = unlike(0, 0.1, 1)[0], sorted(unlike(0.3, 1, 2), key=lambda unit: place(unit, 0))
    rest = unlike(0.2, 0.3, 2, prefix="n")
    labels_of = {unit: {int(unit in positives)} for unit in (negative_test, *rest, *positives)}
    splits = make_splits(labels_of, ("test",), 0)
    assert [unit for unit in splits if splits[unit] == "test"] == [negative_test, positives[0]]


def test_the_same_audio_stays_together_whatever_its_names():
    entries = [entry(str(i), i % 2) for i in range(200)]
    contents = {e.path: f"audio {int(e.path.name) // 4}" for e in entries}
    splits = assigned(entries, contents=contents).splits
    assert all(len(set(splits[i : i + 4])) == 1 for i in range(0, 200, 4))
    assert set(splits) == {"train", "val", "test"}


@pytest.mark.parametrize(("brought", "made"), [({"train", "test"}, "val"), ({"train", "val"}, "test")])
def test_a_missing_split_is_carved_out_of_train_and_the_others_stay(brought, made):
    entries = [entry(f"{s}{i}", i % 2, f"{s}{i // 2}", split=s) for s in sorted(brought) for i in range(60)]
    result = assigned(entries)
    assert result.made == (made,) and not result.faults
    for each, split in zip(entries, result.splits, strict=True):
        assert split == each.split or (each.split, split) == ("train", made)
    assert set(result.splits) == {"train", "val", "test"}


def test_carving_asks_for_the_same_place_as_making_all_splits():
    units = {f"u{i}": {0, 1} for i in range(200)}
    all_made, only_val = make_splits(units, ("val", "test"), 0), make_splits(units, ("val",), 0)
    assert {u for u in units if only_val[u] == "val"} == {u for u in units if all_made[u] == "val"}


def test_splits_that_the_data_brings_are_kept_without_looking_at_content():
    entries = [entry(f"{s}{label}", label, split=s) for s in ("test", "train", "val") for label in (0, 1)]
    result = assign(entries, {}, seed=0, source=SOURCE)
    assert result == Assignment([e.split for e in entries])


def test_too_few_speakers_of_a_class_are_refused():
    entries = [*by_speaker(2), *(entry(str(i), 0, f"n{i}") for i in range(50))]
    fault = assigned(entries).faults[0]
    assert "positive clips come from 2 speakers" in fault.remedy and len(assigned(entries).faults) == 1


def test_a_train_split_left_without_a_class_is_refused_rather_than_reshuffled():
    test, val = unlike(0, 0.1, 2, "speaker ")[:2], unlike(0.1, 0.2, 1, "speaker ")
    positives = [entry(unit, 1, unit.removeprefix("speaker ")) for unit in (*test, *val)]
    negatives = [entry(f"n{i}", 0, f"n{i}") for i in range(50)]
    faults = assigned([*positives, *negatives]).faults
    assert [(fault.key, "no positive clip" in fault.remedy) for fault in faults] == [("data.split_seed", True)]


def test_data_with_val_and_test_but_no_train_is_refused():
    fault = assigned([entry("a", 1, split="val"), entry("b", 0, split="test")]).faults[0]
    assert "no train split" in fault.remedy
