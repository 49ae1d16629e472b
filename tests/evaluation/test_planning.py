import numpy as np
import pytest

from toadstone.errors import ToadstoneError
from toadstone.evaluation.planning import Plan

PLAN = Plan(rows=4000, rate=0.05, fdr=0.1, runs=40)


def test_far_below_the_least_number_nothing_is_found_and_with_many_a_perfect_detector_finds_all():
    assert PLAN.least == 199
    assert PLAN.recall(PLAN.least // 2, 0.999999).mean < 0.1
    assert PLAN.recall(PLAN.least * 20, 0.999999).mean > 0.99


def test_recall_is_that_of_a_slow_simulation():
    """Scores drawn anew, p-values by counting, Benjamini-Hochberg by its definition."""
    rng, found = np.random.default_rng(5), []
    for _ in range(40):
        clean, bad, null = rng.normal(size=3800), rng.normal(size=200) + np.sqrt(2) * 2.3263479, rng.normal(size=800)
        p = np.array([(1 + (null >= v).sum()) / 801 for v in np.concatenate([bad, clean])])
        ranked = np.sort(p)
        below = np.flatnonzero(ranked <= 0.1 * np.arange(1, 4001) / 4000)
        found.append((p[:200] <= ranked[below[-1]]).mean() if len(below) else 0.0)
    ours = PLAN.recall(800, 0.99)
    assert ours.mean == pytest.approx(np.mean(found), abs=0.1)


def test_more_trusted_rows_and_better_detectors_find_more():
    table = PLAN.table((0.9, 0.999))
    assert [*table] == [100, 199, 398, 995, 1990]
    assert table[1990][0.999] > table[199][0.999] > table[100][0.999] == 0
    assert table[1990][0.999] > table[1990][0.9]
    assert PLAN.recall(398, 0.99) == PLAN.recall(398, 0.99)


@pytest.mark.parametrize("fields", [{"rows": 1}, {"rate": 0}, {"fdr": 1}, {"runs": 0}], ids=str)
def test_fields_out_of_range(fields):
    with pytest.raises(ToadstoneError, match=next(iter(fields))):
        Plan(**({"rows": 100} | fields))


@pytest.mark.parametrize("setting", [(0, 0.9), (10, 0.5), (10, 1.0)])
def test_settings_out_of_range(setting):
    with pytest.raises(ToadstoneError, match=r"trusted|auroc"):
        PLAN.recall(*setting)
