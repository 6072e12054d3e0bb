"""When a run measures on a stream, and what stands between."""

import pytest
import torch

from spaces.sections import Objective
from tests.trainables.stream.streams import recipe_of
from trainables.stream.epochs import WINDOW_COST, StreamEpochs, affordable_interval, epochs_due
from trainables.stream.heard import HeardStream, make_stream

CPU = torch.device("cpu")
OBJECTIVE = Objective(stream="hours", false_accepts_per_hour=300)


@pytest.fixture(scope="module")
def heard(tmp_path_factory) -> HeardStream:
    folder = tmp_path_factory.mktemp("stream")
    return HeardStream.open(make_stream(recipe_of(folder), folder))


def knowing(mel: torch.Tensor) -> torch.Tensor:
    """Logits by how far a tone at 2 kHz stands out for 0.2 s: noise has 0.01, words 0.96, other tones 0.99."""
    above = mel[:, 0, 32:37].mean(dim=1) - mel[:, 0, 40:].mean(dim=1)
    loudest = above.unfold(1, 20, 5).mean(dim=2).amax(dim=1)
    return torch.stack([torch.zeros_like(loudest), 8 * (loudest - 0.4)], dim=1)


def measured(on_stream: StreamEpochs, epoch: int, before: dict, classify=knowing) -> dict:
    return on_stream.metrics(epoch, classify, before, 16, CPU)


def test_the_first_each_so_manieth_and_the_last_epoch_are_due():
    assert epochs_due(1, 4) == [1, 2, 3, 4]
    assert epochs_due(3, 7) == [1, 3, 6, 7]
    assert epochs_due(50, 7) == [1, 7] and epochs_due(2, 1) == [1]


def test_the_interval_is_the_shortest_within_a_tenth_by_counts():
    # A measuring takes a quarter of an epoch, so a tenth of 20 epochs holds eight.
    n_windows, n_clips = 1000, int(1000 * WINDOW_COST * 4)
    assert affordable_interval(n_windows, n_clips, 20) == 3
    assert [len(epochs_due(k, 20)) for k in (2, 3)] == [11, 8]
    assert affordable_interval(n_windows // 100, n_clips, 20) == 1
    # Two measurings of an epoch each are a tenth of 20 epochs, and more than one of 19.
    assert affordable_interval(4 * n_windows, n_clips, 20) == 20
    assert affordable_interval(4 * n_windows, n_clips, 19) is None


def test_a_chosen_interval_comes_before_the_counts(heard):
    chosen = OBJECTIVE.model_copy(update={"stream_epochs": 4})
    assert StreamEpochs.of(heard, chosen, n_clips=1, n_epochs=9).due == {1, 4, 8, 9}
    with pytest.raises(ValueError, match=r"are too many for 9 epochs of 1 clips; set objective\.stream_epochs"):
        StreamEpochs.of(heard, OBJECTIVE, n_clips=1, n_epochs=9)


def test_a_student_that_knows_the_word_misses_none_at_a_rate_that_lets_the_tones_pass(heard):
    on_stream = StreamEpochs.of(heard, OBJECTIVE, n_clips=10**6, n_epochs=3)
    # The two recordings have a tone each: two false accepts in 27 s are 267 an hour.
    found = measured(on_stream, 1, {})
    assert found["stream_frr_at_fah"] == 0 and 0 < found["stream_threshold"] < 0.1 and found["stream_epoch"] == 1
    # Where but one is allowed, the louder tone decides.
    strict = StreamEpochs.of(heard, OBJECTIVE.model_copy(update={"false_accepts_per_hour": 140.0}), 10**6, 3)
    assert measured(strict, 1, {})["stream_threshold"] > 0.99


def test_a_student_that_knows_silence_and_no_words_misses_them(heard):
    def silent(mel: torch.Tensor) -> torch.Tensor:
        floor = (mel <= mel.amin(dim=(2, 3), keepdim=True) + 1e-3).float().mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(floor), 20 * (floor - 0.5)], dim=1)

    on_stream = StreamEpochs.of(heard, OBJECTIVE, n_clips=10**6, n_epochs=3)
    # Within digital silence it would find them all.
    assert measured(on_stream, 1, {}, silent)["stream_frr_at_fah"] > 0.5


def test_between_two_measurings_the_value_stands(heard):
    on_stream = StreamEpochs.of(heard, OBJECTIVE.model_copy(update={"stream_epochs": 2}), 1, 5)
    first = measured(on_stream, 2, {})
    before = {f"val_{name}": value for name, value in first.items()}
    assert measured(on_stream, 3, before, classify=lambda mel: pytest.fail("not due")) == first
    assert measured(on_stream, 4, before)["stream_epoch"] == 4


def test_scores_that_are_no_numbers_fail_the_trial(heard):
    on_stream = StreamEpochs.of(heard, OBJECTIVE, n_clips=10**6, n_epochs=3)
    with pytest.raises(FloatingPointError, match="323 of 323 scores on the stream are not finite"):
        measured(on_stream, 1, {}, classify=lambda mel: knowing(mel) * float("nan"))
