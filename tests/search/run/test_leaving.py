from search.run.leaving import Leaving


def test_a_node_is_known_to_go_within_two_seconds_and_others_are_not():
    nodes, now, n_looks = set(), 0.0, 0

    def announced() -> set[str]:
        nonlocal n_looks
        n_looks += 1
        return set(nodes)

    leaving = Leaving(announced, lambda: now)
    assert not leaving("one")
    nodes.add("one")
    now = 1.9
    assert not leaving("one") and n_looks == 1  # a look asks the cluster, and this is asked at every result
    now = 2.0
    assert leaving("one") and not leaving("two") and not leaving(None) and n_looks == 2
