import pickle

from search.run.halt import Halt

ONE, OTHER = ("tiny_conv", 1), ("tiny_conv", 2)


def test_a_run_ends_when_it_was_asked_to_and_no_trial_is_at_work():
    asked = False
    halt = Halt(lambda: asked)
    for key in (ONE, OTHER):
        halt.started(key)
    halt.ended(ONE)
    assert not halt.stop_all()
    asked = True
    assert not halt.stop_all()
    halt.ended(OTHER)
    assert halt.stop_all()


def test_a_trial_that_starts_once_it_was_asked_for_is_not_waited_for():
    halt = Halt(lambda: True)
    halt.started(ONE)
    assert halt.stop_all()


def test_tune_may_pickle_it_whatever_it_asks():
    with open("/dev/null") as unpicklable:
        halt = Halt(lambda: unpicklable.closed)
        pickle.dumps(halt)
    assert not halt("any", {})
