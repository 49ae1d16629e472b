from itertools import product

import numpy as np
import pytest

from toadstone.certificates.partition import certified_accuracy, certified_radius, median_radius
from toadstone.errors import ToadstoneError


def reachable(counts, changes):
    """Every vote that ``changes`` models or fewer can make of ``counts`` by voting otherwise, by brute force."""
    seen = {tuple(counts)}
    for _ in range(changes):
        for now in list(seen):
            for a, b in product(range(len(now)), repeat=2):
                if now[a]:
                    after = list(now)
                    after[a] -= 1
                    after[b] += 1
                    seen.add(tuple(after))
    return seen


@pytest.mark.parametrize(("models", "classes"), [(7, 2), (6, 2), (6, 3), (5, 4)])
def test_the_radius_is_exactly_what_no_change_of_votes_can_overturn(models, classes):
    for counts in product(range(models + 1), repeat=classes):
        if sum(counts) != models:
            continue
        radius = certified_radius(np.array([counts]))[0]
        won = int(np.argmax(counts))
        assert {int(np.argmax(c)) for c in reachable(counts, radius)} == {won}
        assert len({int(np.argmax(c)) for c in reachable(counts, radius + 1)}) > 1


def test_the_curve_counts_rows_one_by_one():
    draw = np.random.default_rng(0)
    votes = draw.multinomial(30, [0.5, 0.2, 0.2, 0.1], 200)
    y = draw.integers(0, 2, 200)
    curve = certified_accuracy(votes, y)
    radius = certified_radius(votes)
    for r, share in enumerate(curve):
        sure = [votes[i].argmax() == y[i] and radius[i] >= r for i in range(200)]
        assert share == pytest.approx(np.mean(sure))
    assert curve[-1] == 0 < curve[-2]
    assert (np.diff(curve) <= 0).all()
    held = np.where(votes.argmax(1) == y, radius, -1)
    assert median_radius(curve) == np.sort(held)[::-1][99]


def test_none_right():
    curve = certified_accuracy(np.array([[3, 0], [2, 1]]), np.array([1, 1]))
    assert curve.tolist() == [0]
    assert median_radius(curve) == -1


def test_bad_input():
    with pytest.raises(ToadstoneError, match="two classes"):
        certified_radius(np.ones((3, 1), int))
    with pytest.raises(ToadstoneError, match="same length"):
        certified_accuracy(np.ones((3, 2), int), np.zeros(2, int))
