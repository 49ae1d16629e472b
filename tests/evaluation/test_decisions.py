import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toadstone.core import Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.evaluation.decisions import cheapest


def slow_saving(p, rows, miss, alarm, prior):
    """What flagging ``rows`` is expected to save, counted one row after the other."""
    if not rows.any():
        return 0.0
    false = min((1 - prior) * len(p) * max(q for q, r in zip(p, rows, strict=True) if r), rows.sum())
    return miss * (rows.sum() - false) - alarm * false


@given(
    st.lists(st.integers(1, 20).map(lambda v: v / 20), min_size=1, max_size=15).map(np.array),
    st.floats(0.1, 10),
    st.floats(0.05, 0.95),
)
def test_no_other_cut_saves_more(p, alarm, prior):
    rows = cheapest(Scores(-p, p, 99), cost_miss=1.0, cost_alarm=alarm, prior=prior).rows
    found = slow_saving(p, rows, 1.0, alarm, prior)
    assert found == pytest.approx(max([0.0, *(slow_saving(p, p <= cut, 1.0, alarm, prior) for cut in p)]))


def test_it_costs_less_than_other_cuts_on_average():
    rng, costs = np.random.default_rng(0), []
    truth = np.arange(1000) < 50
    for _ in range(200):
        scores = calibrate(rng.normal(size=1000) + 3 * truth, rng.normal(size=999))
        rows = cheapest(scores, cost_miss=5.0, cost_alarm=1.0, prior=0.05).rows
        cuts = [rows, scores.pvalues <= 0.001, scores.pvalues <= 0.2, np.zeros(1000, bool)]
        costs.append([5 * (truth & ~cut).sum() + (cut & ~truth).sum() for cut in cuts])
    assert np.argmin(np.mean(costs, 0)) == 0


def test_too_few_trusted_rows_are_undecidable():
    values = np.zeros(1000)
    few, many = (cheapest(calibrate(values, np.ones(m)), cost_miss=1, cost_alarm=1, prior=0.01) for m in (50, 99))
    assert not few.decided
    assert "at least 99" in few.reason
    assert many.decided
    assert not cheapest(Scores(values), cost_miss=1, cost_alarm=1, prior=0.1).decided


@pytest.mark.parametrize("fields", [{"cost_miss": 0}, {"cost_alarm": -1}, {"prior": 1}], ids=str)
def test_costs_and_priors_that_cannot_be(fields):
    with pytest.raises(ToadstoneError, match=next(iter(fields))):
        cheapest(Scores(np.zeros(3)), **({"cost_miss": 1, "cost_alarm": 1, "prior": 0.1} | fields))
