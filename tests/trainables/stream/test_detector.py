"""The detector against the platform's rules applied a score at a time."""

from collections import deque

import numpy as np
import pytest
from pydantic import ValidationError

from trainables.stream.detector import Streaming, Votes, detections


def fires_at(scores, streaming: Streaming) -> list[int]:
    return detections(Votes.of(np.array(scores, dtype=float), streaming), streaming)


def step_by_step(scores, streaming: Streaming) -> list[int]:
    """The platform's rules as its documentation has them: a vote a score, deaf in the cooldown, released by votes."""
    recent: deque[float] = deque(maxlen=streaming.smoothing_window)
    deaf_until, active, found = 0, False, []
    for step, score in enumerate(scores):
        now = step * streaming.hop_ms
        recent.append(score)
        if now < deaf_until:
            continue
        if not active and sum(each >= streaming.hysteresis_high for each in recent) >= streaming.n_votes:
            active, deaf_until = True, now + streaming.cooldown_ms
            found.append(step)
        elif active and sum(each < streaming.hysteresis_low for each in recent) >= streaming.n_votes:
            active = False
    return found


ONE = Streaming(smoothing_window=1, cooldown_ms=0)


def test_the_defaults_are_those_of_the_platforms_streaming_section():
    assert Streaming().model_dump(exclude={"hop_ms"}) == {
        "hysteresis_high": 0.7,
        "hysteresis_low": 0.3,
        "smoothing_window": 5,
        "cooldown_ms": 500,
    }


def test_three_of_five_scores_fire_and_two_do_not():
    assert fires_at([0, 0.8, 0, 0.8, 0, 0, 0], Streaming()) == []
    assert fires_at([0, 0.8, 0, 0.8, 0.8, 0, 0], Streaming()) == [4]


def test_it_stays_active_between_the_two_thresholds():
    assert fires_at([0.8, 0.5, 0.8, 0.5, 0.8], ONE) == [0]
    assert fires_at([0.8, 0.2, 0.8, 0.2, 0.8], ONE) == [0, 2, 4]


def test_nothing_is_heard_in_the_cooldown():
    deaf = Streaming(smoothing_window=1, cooldown_ms=300)
    # Released at step 3, the first after 300 ms, so that it can fire at step 4.
    assert fires_at([0.8, 0.0, 0.8, 0.0, 0.8], deaf) == [0, 4]


@pytest.mark.parametrize("seed", range(30))
def test_it_fires_as_the_platforms_rules_do_step_by_step(seed):
    generator = np.random.default_rng(seed)
    streaming = Streaming(
        smoothing_window=int(generator.integers(1, 8)),
        cooldown_ms=int(generator.integers(0, 900)),
        hop_ms=int(generator.integers(1, 20)) * 10,
        hysteresis_low=0.4,
        hysteresis_high=0.6,
    )
    scores = np.clip(np.convolve(generator.random(400), np.ones(3) / 3, "same") * 1.4 - 0.2, 0, 1)
    found = fires_at(scores, streaming)
    assert found == step_by_step(scores, streaming) and len(found) > 2


def test_another_threshold_takes_the_low_one_along_only_where_it_must():
    assert Streaming().at(0.9).hysteresis_low == 0.3
    assert Streaming().at(0.2).hysteresis_low == 0.2


@pytest.mark.parametrize("wrong", [{"hysteresis_low": 0.8}, {"hop_ms": 95}, {"smoothing_window": 0}, {"cooldwn_ms": 1}])
def test_a_detector_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValidationError):
        Streaming.model_validate(wrong)
