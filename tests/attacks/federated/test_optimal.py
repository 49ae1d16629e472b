from dataclasses import dataclass, replace

import numpy as np
import pytest

from attacker_views import honest, seen
from toadstone.attacks.federated import optimal
from toadstone.attacks.federated.optimal import OptimalALIE, OptimalIPM, best_scale, coordinates, turns
from toadstone.checks.federated import check_client_attack
from toadstone.defenses.federated.centered_clipping import CenteredClipping
from toadstone.defenses.federated.geometric_median import GeometricMedian
from toadstone.defenses.federated.krum import Krum, MultiKrum
from toadstone.defenses.federated.mean import Mean
from toadstone.defenses.federated.median import CoordinateMedian
from toadstone.defenses.federated.nnm import NNM
from toadstone.defenses.federated.trimmed_mean import TrimmedMean
from toadstone.errors import ToadstoneError

TURNING = [Krum(3), MultiKrum(3), GeometricMedian(), CenteredClipping(3.0), NNM(3, MultiKrum(3)), Mean()]
OTHERS = [CoordinateMedian(), TrimmedMean(3), NNM(3, CoordinateMedian())]


@pytest.mark.parametrize("attack", [OptimalALIE(), OptimalIPM()], ids=str)
def test_keeps_the_contract(attack):
    check_client_attack(attack)


def error(rule, rows, sent, f):
    return np.linalg.norm(rule(np.concatenate([rows, np.tile(sent, (f, 1))])).update - rows.mean(0))


def along(attack, rows, t):
    exact = rows.astype(np.float64)
    sent = exact.mean(0) - t * exact.std(0) if isinstance(attack, OptimalALIE) else -t * exact.mean(0)
    return sent.astype(np.float32)


@pytest.mark.parametrize("attack", [OptimalALIE(50.0), OptimalIPM(50.0)], ids=str)
@pytest.mark.parametrize("rule", TURNING + OTHERS, ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_no_scale_of_a_dense_grid_in_all_dimensions_does_better(attack, rule, seed):
    rows = honest(12, 60, seed)
    sent = attack.send(seen(rows, f=3, rule=rule))
    best = max(error(rule, rows, along(attack, rows, t), 3) for t in np.geomspace(0.01, 50, 600))
    assert error(rule, rows, sent[0], 3) >= 0.995 * best
    assert sent.shape == (3, 60)
    used = np.linalg.norm(sent[0] - along(attack, rows, 0)) / np.linalg.norm(
        along(attack, rows, 1) - along(attack, rows, 0)
    )
    assert 0 < used <= 50 * (1 + 1e-5)
    assert np.allclose(sent[0], along(attack, rows, used), atol=1e-3 * np.abs(sent).max())


@pytest.mark.parametrize("rule", TURNING, ids=str)
def test_rules_that_look_at_distances_are_searched_in_few_dimensions(rule):
    sizes = []

    @dataclass(frozen=True)
    class Watched:
        def __call__(self, updates, *, view=None):
            sizes.append(updates.shape)
            return rule(updates)

    OptimalALIE().send(seen(honest(12, 5000), f=3, rule=Watched()))
    assert set(sizes) == {(15, 13)}


@pytest.mark.parametrize("rule", OTHERS, ids=str)
def test_rules_that_look_at_coordinates_do_not_turn(rule):
    rows = honest(15, 13)
    assert not turns(rule, rows)
    assert all(turns(other, rows) for other in TURNING)


@pytest.mark.parametrize(("h", "d"), [(1, 4), (5, 3), (7, 400)])
def test_coordinates_keep_all_inner_products(h, d):
    rows, q = honest(h, d), honest(1, d, seed=5)[0].astype(np.float64)
    few, q_few = coordinates(rows, q)
    both, exact = np.vstack([few, q_few]), np.vstack([rows, q])
    assert np.allclose(both @ both.T, exact @ exact.T, atol=1e-5 * (exact**2).sum(1).max())


@pytest.mark.parametrize("edge", [0.02, 0.7, 1.2539, 31.0, 99.0])
def test_the_edge_of_a_cliff(edge):
    assert best_scale(lambda t: t if t <= edge else 0.1 * edge, 100.0) == pytest.approx(edge, rel=2e-4)
    assert best_scale(lambda t: -abs(t - edge), 100.0) == pytest.approx(edge, rel=2e-4)


def test_never_beyond_the_largest():
    assert best_scale(lambda t: t, 7.0) == 7.0


def test_a_rule_that_is_overcome_by_infinity_is_not_searched_there():
    assert optimal.Trials(Mean(), honest(3, 2), np.full(2, 1e38), 1.0, 2).error(1.0) >= 0

    @dataclass(frozen=True)
    class Nothing:
        def __call__(self, updates, *, view=None):
            return replace(Mean()(updates), update=np.full(updates.shape[1], np.nan, np.float32))

    assert optimal.Trials(Nothing(), honest(3, 2), np.ones(2), 1.0, 2).error(1.0) == -np.inf


def test_errors():
    for attack in (OptimalALIE, OptimalIPM):
        with pytest.raises(ToadstoneError, match=r"view.aggregator is missing"):
            attack().send(seen(honest(12)))
    with pytest.raises(ToadstoneError, match="f=3"):
        OptimalALIE().send(seen(honest(4), f=3, rule=Krum(3)))
