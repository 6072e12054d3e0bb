"""Streams of randomness that do not touch one another."""

import torch

from trainables.seeding import Randomness, seeds_of

CPU = torch.device("cpu")


def draw(stream: Randomness) -> float:
    with stream.installed():
        return torch.rand(1).item()


def test_a_stream_goes_on_where_it_stopped_whatever_others_draw():
    alone, interrupted, other = Randomness(1, CPU), Randomness(1, CPU), Randomness(2, CPU)
    expected = [draw(alone) for _ in range(3)]
    found = []
    for _ in range(3):
        found.append(draw(interrupted))
        draw(other)
        torch.rand(5)
    assert found == expected and len(set(found)) == 3


def test_a_stream_leaves_torchs_own_state_alone():
    before = torch.get_rng_state()
    draw(Randomness(1, CPU))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_restored_stream_draws_what_the_saved_one_would():
    saved, restored = Randomness(1, CPU), Randomness(2, CPU)
    draw(saved)
    restored.load_state_dict(saved.state_dict())
    assert draw(restored) == draw(saved)


def test_a_trials_streams_differ_from_each_other_and_from_those_of_the_next_seed():
    assert len({*seeds_of(0), *seeds_of(1)}) == 6
    assert seeds_of(5) == seeds_of(5)
