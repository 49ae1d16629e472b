import numpy as np
import pytest

from toadstone.checks.federated import check_aggregator, toy_round
from toadstone.defenses.federated.server_validation import ServerValidation
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView

WAYS = ("error", "loss", "union")


@pytest.mark.parametrize("by", WAYS)
def test_keeps_the_contract(by):
    check_aggregator(ServerValidation(4, by))


def two_faced(candidates):
    """The first coordinate is the loss, the second, in steps of a tenth, the error rate."""
    return candidates[:, 0].astype(float), np.round(candidates[:, 1].astype(float), 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("f", [0, 1, 4])
def test_by_a_slow_loop(seed, by, f):
    rows = np.random.default_rng(seed).uniform(0, 9, (11, 3)).astype(np.float32)
    rows.flags.writeable = False
    without = [np.mean([rows[j].astype(float) for j in range(11) if j != i], 0) for i in range(11)]
    by_loss = sorted(range(11), key=lambda i: without[i][0])[:f]
    by_error = sorted(range(11), key=lambda i: (round(without[i][1], 1), without[i][0]))[:f]
    rejected = set({"error": by_error, "loss": by_loss, "union": by_error + by_loss}[by])
    kept = [i for i in range(11) if i not in rejected]
    found = ServerValidation(f, by)(rows, view=ServerView(judge=two_faced))
    assert np.array_equal(np.flatnonzero(found.weights), kept)
    assert np.allclose(found.update, rows[kept].mean(0), atol=1e-5)


@pytest.mark.parametrize("by", WAYS)
def test_sign_flipped_digits_are_among_the_rejected(by):
    updates, view, _ = toy_round()
    rows = updates.copy()
    rows[:4] *= -20
    found = ServerValidation(4, by)(rows, view=view)
    assert not found.weights[:4].any() if by != "error" else found.weights[:4].sum() < 4 / 19


def test_a_model_whose_loss_is_not_a_number_is_a_bad_one():
    def judge(candidates):
        losses = candidates[:, 0].astype(float)
        losses[2] = np.nan
        return losses, np.zeros(len(losses))

    rows = np.array([[1.0], [2.0], [9.0], [5.0]], np.float32)  # without the 9 the loss would be least
    assert ServerValidation(1, "loss")(rows, view=ServerView(judge=judge)).weights.argmin() == 3


def test_rows_that_are_not_finite_are_among_the_f():
    rows = np.array([[1.0, 0], [2, 0], [9, 0], [np.nan, 0]], np.float32)
    found = ServerValidation(1, "loss")(rows, view=ServerView(judge=two_faced))
    assert np.allclose(found.weights, [1 / 3, 1 / 3, 1 / 3, 0])


def test_errors():
    with pytest.raises(ToadstoneError, match="f must be at least 0, not -1"):
        ServerValidation(-1)
    with pytest.raises(ToadstoneError, match="by is 'vote': use one of error, loss, union"):
        ServerValidation(1, "vote")
    with pytest.raises(ToadstoneError, match=r"ServerValidation needs view.judge"):
        ServerValidation(1)(np.ones((3, 2), np.float32))
    with pytest.raises(ToadstoneError, match="f=2 malicious ones of n=4"):
        ServerValidation(2)(np.ones((4, 2), np.float32), view=ServerView(judge=two_faced))
