from dataclasses import replace

import numpy as np
import pytest

from attacker_views import honest, seen
from toadstone.attacks.federated.fang import FangKrum, FangTrimmedMean
from toadstone.checks.federated import check_client_attack
from toadstone.defenses.federated.krum import Krum
from toadstone.defenses.federated.trimmed_mean import TrimmedMean
from toadstone.errors import ToadstoneError


@pytest.mark.parametrize("attack", [FangKrum(), FangTrimmedMean()], ids=str)
def test_keeps_the_contract(attack):
    check_client_attack(attack)


def krum(rows, f):
    """The row that Krum chooses, from the definition; in a tie the last."""
    scores = [sorted(sum((a - b) ** 2) for j, b in enumerate(rows) if j != i) for i, a in enumerate(rows)]
    sums = [sum(s[: len(rows) - f - 2]) for s in scores]
    return max(i for i, s in enumerate(sums) if s == min(sums))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("h", "f"), [(6, 3), (11, 4), (15, 2)])
def test_lambda_is_halved_until_a_slow_krum_chooses_it(seed, h, f):
    rows = honest(h, 20, seed, shift=0.3)
    sent = FangKrum().send(seen(rows, f=f))
    exact = rows.astype(np.float64)
    s = np.sign(exact.mean(0))
    scale = -float(sent[0, 0] * s[0])
    assert np.allclose(sent, -scale * s, rtol=1e-6)

    def chosen(size):
        return krum(np.concatenate([exact, [-size * s] * f]), f) >= h

    if scale >= 1e-5:
        assert chosen(scale)
    bound = np.sqrt(
        min(sum(sorted(sum((a - b) ** 2) for b in exact)[1 : h - 1]) for a in exact) / ((h - 1 - f) * 20)
    ) + max(np.sqrt(sum(a**2) / 20) for a in exact)
    halvings = np.log2(bound / scale)
    assert halvings == pytest.approx(round(halvings), abs=1e-4)
    assert round(halvings) >= 0
    assert not any(chosen(bound / 2**k) for k in range(round(halvings)))
    assert not any(chosen(bound * more) for more in (1.001, 2, 10))


def test_the_librarys_krum_falls_for_it():
    fooled = 0
    for seed in range(10):
        rows = honest(14, 50, seed, shift=0.3)
        sent = FangKrum().send(seen(rows, f=6))
        fooled += np.array_equal(Krum(6)(np.concatenate([rows, sent])).update, sent[0])
    assert fooled == 10


def test_a_step_below_the_threshold_when_none_is_chosen():
    rows = honest(30, 20, shift=50.0)
    sent = FangKrum(threshold=0.01).send(seen(rows, f=1))
    assert 0.005 <= np.abs(sent).max() < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_beyond_the_extremes_coordinate_by_coordinate(seed):
    rows = honest(9, 40, seed, shift=3.0)
    sent = FangTrimmedMean(b=3.0).send(seen(rows, f=4, seed=seed))
    for j in range(40):
        column = rows[:, j].astype(np.float64)
        if sum(column) > 0:
            m = min(column)
            low, high = (m / 3, m) if m > 0 else (3 * m, m)
        else:
            m = max(column)
            low, high = (m, 3 * m) if m > 0 else (m, m / 3)
        slack = 1e-5 * abs(m)
        assert all(low - slack <= v <= high + slack for v in sent[:, j])
        assert len(set(sent[:, j])) == 4


def test_draws_fill_the_whole_interval_and_follow_the_seed():
    rows = np.array([[-2.0] * 4000, [5.0] * 4000], np.float32)
    view = seen(rows, f=2)
    sent = FangTrimmedMean().send(view)
    assert sent.min() == pytest.approx(-4, abs=0.01)
    assert sent.max() == pytest.approx(-2, abs=0.01)
    assert sent.mean() == pytest.approx(-3, abs=0.05)
    for other in (replace(view, seed=1), replace(view, number=1)):
        assert not np.array_equal(sent, FangTrimmedMean().send(other))


def test_it_moves_the_trimmed_mean_the_wrong_way_in_each_coordinate():
    rows = honest(16, 200)
    together = np.concatenate([rows, FangTrimmedMean().send(seen(rows, f=4))])
    moved = TrimmedMean(4)(together).update - rows.mean(0)
    assert (moved * np.sign(rows.mean(0)) < 0).all()


def test_errors():
    with pytest.raises(ToadstoneError, match="has 6 finite updates of honest clients but this attack needs 7"):
        FangKrum().send(seen(honest(6), f=4))
    with pytest.raises(ToadstoneError, match="mean is zero everywhere"):
        FangKrum().send(seen(np.zeros((8, 3), np.float32), f=2))
