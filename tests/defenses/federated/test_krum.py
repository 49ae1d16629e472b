import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aggregation_oracles
from toadstone.defenses.federated.krum import Krum, MultiKrum
from toadstone.errors import ToadstoneError


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(0, 6), st.integers(0, 9999), st.booleans())
def test_the_order_is_that_of_the_loop(f, more, seed, whole):
    """Whole numbers make ties, which go to the first."""
    n = 2 * f + 3 + more
    draw = np.random.default_rng(seed)
    updates = (draw.integers(0, 3, (n, 2)) if whole else draw.normal(size=(n, 6))).astype(np.float32)
    order = aggregation_oracles.krum_order(updates, f, list(range(n)))
    assert np.array_equal(Krum(f)(updates).update, updates[order[0]])
    for keep in (None, 1, 2, n):
        chosen = order[: n - f if keep is None else keep]
        found = MultiKrum(f, keep)(updates)
        assert np.flatnonzero(found.weights).tolist() == sorted(chosen)
        np.testing.assert_allclose(found.update, updates[chosen].astype(float).mean(0), atol=1e-5)


def test_distances_are_squared_once():
    """By fourth powers the row at 0 would win, by distances that are not squared the one at 6."""
    line = np.array([[0.0], [5.0], [6.0], [8.0], [-4.4]], np.float32)
    scores = {p: [sum(sorted(abs(a - b) ** p for b in line[:, 0])[1:4]) for a in line[:, 0]] for p in (1, 2, 4)}
    best = {p: int(np.argmin(s)) for p, s in scores.items()}
    assert np.array_equal(Krum(0)(line).update, line[best[2]])


def test_the_neighbours_are_n_less_f_less_2():
    """With one more neighbour, as elsewhere, the pair far away would lose."""
    line = np.array([[0.0], [1.0], [2.1], [3.2], [50.0], [50.1], [50.2]], np.float32)
    found = Krum(2)(line).update
    assert found == line[aggregation_oracles.krum_order(line, 2, list(range(7)))[0]]
    looser = aggregation_oracles.krum_order(line, 1, list(range(7)))[0]
    assert found != line[looser]


def test_large_updates_of_f_clients_never_win():
    draw = np.random.default_rng(0)
    for scale in (10, 1e6, 1e15):
        updates = draw.normal(size=(13, 50)).astype(np.float32)
        updates[:5] *= scale
        assert Krum(5)(updates).weights[:5].sum() == 0
        assert MultiKrum(5)(updates).weights[:5].sum() == 0


def test_keep_is_a_number_of_updates():
    updates = np.zeros((5, 2), np.float32)
    with pytest.raises(ToadstoneError, match="keep must be at least 1"):
        MultiKrum(1, keep=0)
    with pytest.raises(ToadstoneError, match="keep=6 must not exceed the 5 finite updates"):
        MultiKrum(1, keep=6)(updates)
