import numpy as np
import pytest

from toadstone.checks.common import toy
from toadstone.checks.federated import SoftmaxClients, check_aggregator
from toadstone.defenses.federated.accuracy_check import AccuracyCheck, without_each
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView


def test_keeps_the_contract():
    check_aggregator(AccuracyCheck(0.5))


def tilted(candidates):
    """Losses and error rates that can be worked out by hand: the first coordinate is the error."""
    return np.zeros(len(candidates)), np.clip(candidates[:, 0], 0, 1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.0, 0.2, 1.0])
def test_by_a_slow_loop(seed, threshold):
    rows = np.random.default_rng(seed).uniform(0, 1, (9, 3)).astype(np.float32)
    rows.flags.writeable = False
    kept = []
    for i in range(9):
        others = np.mean([rows[j].astype(float) for j in range(9) if j != i], 0)
        if rows[i, 0] - others[0] <= threshold:
            kept.append(i)
    found = AccuracyCheck(threshold)(rows, view=ServerView(judge=tilted))
    assert np.allclose(found.update, rows[kept].mean(0), atol=1e-6)
    assert np.array_equal(np.flatnonzero(found.weights), kept)


def second_round():
    """Updates of digits' clients from a model that one round has made, and the judge of what comes of them."""
    clients, data = SoftmaxClients(), [toy().train.take(np.arange(40 * i, 40 * i + 40)) for i in range(12)]
    start = clients.updates(np.zeros(650, np.float32), data, seeds=range(12)).mean(0)
    updates = clients.updates(start, data, seeds=range(12))
    return updates, ServerView(judge=clients.judge(start, toy().held))


def test_a_sign_flipped_client_is_rejected_and_honest_ones_are_not():
    rows, view = second_round()
    assert AccuracyCheck(0.5)(rows, view=view).weights.all()
    rows[4] *= -2
    assert np.array_equal(AccuracyCheck(0.5)(rows, view=view).weights > 0, np.arange(12) != 4)


def test_attackers_who_spoil_the_mean_of_the_others_pass():
    rows, view = second_round()
    rows[:4] *= -20
    assert AccuracyCheck(0.5)(rows, view=view).weights.all()


def test_a_mean_without_a_row_knows_nothing_of_it_however_long_it_is():
    rows = np.array([[0.01], [0.03], [1e17]], np.float32)
    assert without_each(rows)[2, 0] == pytest.approx(0.02, rel=1e-6)


def test_errors():
    with pytest.raises(ToadstoneError, match=r"threshold must lie in \[0, 1\], not 2"):
        AccuracyCheck(2)
    with pytest.raises(ToadstoneError, match=r"AccuracyCheck needs view.judge"):
        AccuracyCheck(0.1)(np.ones((3, 2), np.float32))
    view = ServerView(judge=tilted)
    with pytest.raises(ToadstoneError, match="it needs at least 2 finite updates"):
        AccuracyCheck(0.1)(np.array([[1.0], [np.nan]], np.float32), view=view)

    with pytest.raises(ToadstoneError, match="every update of this round is rejected: each alone errs more"):
        AccuracyCheck(0.1)(np.ones((2, 1), np.float32), view=ServerView(judge=_alone()))


def _alone():
    """A judge to whom whatever is tried first is all wrong, and right the next time."""
    rates = iter((1.0, 0.0))
    return lambda candidates: (np.zeros(len(candidates)), np.full(len(candidates), next(rates)))
