import numpy as np
import pytest

from toadstone.defenses.federated.mean import Mean
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView

UPDATES = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32)


def test_it_is_the_mean_plain_or_by_rows():
    rows = np.array([1, 2, 3, 4, 0])
    np.testing.assert_allclose(Mean()(UPDATES).update, sum(UPDATES.astype(float)) / 5, atol=1e-6)
    by_hand = sum(k * u for k, u in zip(rows, UPDATES.astype(float), strict=True)) / 10
    found = Mean(weighted=True)(UPDATES, view=ServerView(rows=rows))
    np.testing.assert_allclose(found.update, by_hand, atol=1e-6)
    np.testing.assert_allclose(found.weights, rows / 10)


def test_clients_with_as_many_rows_count_equally():
    found = Mean(weighted=True)(UPDATES, view=ServerView(rows=np.full(5, 60)))
    np.testing.assert_allclose(found.update, Mean()(UPDATES).update, atol=1e-7)


def test_the_rows_of_the_clients_that_are_left_make_up_the_whole():
    updates = UPDATES.copy()
    updates[1, 3] = np.nan
    found = Mean(weighted=True)(updates, view=ServerView(rows=np.array([1, 96, 1, 1, 1])))
    np.testing.assert_allclose(found.weights, [0.25, 0, 0.25, 0.25, 0.25])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "weighted=True needs view.rows"),
        ([0, 0, 0, 0, 0], "view.rows must be"),
        ([1, -1, 3, 0, 0], ">= 0, not"),
    ],
)
def test_rows_must_be_known_and_counts(rows, message):
    with pytest.raises(ToadstoneError, match=message):
        Mean(weighted=True)(UPDATES, view=ServerView(rows=None if rows is None else np.array(rows)))
