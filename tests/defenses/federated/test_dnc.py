import numpy as np
import pytest

from toadstone.defenses.federated.dnc import Dnc, spectral_outliers
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView


@pytest.mark.parametrize("shape", [(9, 4), (5, 40), (1, 3), (12, 12)])
def test_the_scores_are_those_of_a_full_decomposition(shape):
    rows = (np.random.default_rng(0).normal(size=shape) + 3).astype(np.float32)
    centred = rows.astype(float) - rows.astype(float).mean(0)
    first = np.linalg.svd(centred)[2][0]
    np.testing.assert_allclose(spectral_outliers(rows), [float(r @ first) ** 2 for r in centred], atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_one_repeat_on_all_coordinates_drops_the_c_f_greatest(seed):
    updates = np.random.default_rng(seed).normal(size=(15, 6)).astype(np.float32)
    scores = np.linalg.svd(updates.astype(float) - updates.astype(float).mean(0))
    scores = (scores[0][:, 0] * scores[1][0]) ** 2
    for c, dropped in ((1.0, 4), (0.5, 2), (1.5, 6), (0.1, 0)):
        found = Dnc(4, repeats=1, c=c)(updates, view=ServerView(seed=seed))
        keep = np.sort(np.argsort(scores)[: 15 - dropped])
        assert np.flatnonzero(found.weights).tolist() == keep.tolist()
        np.testing.assert_allclose(found.update, updates[keep].mean(0), atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_colluders_are_dropped_by_some_of_the_coordinates(seed):
    updates = np.random.default_rng(seed).normal(size=(20, 2000)).astype(np.float32)
    updates[:4] += 1
    found = Dnc(4, subsample=300)(updates, view=ServerView(seed=seed))
    assert found.weights[:4].sum() == 0
    assert found.weights[4:].min() == pytest.approx(1 / 16)


def test_who_is_dropped_once_is_out():
    """Rows that differ in one coordinate each are dropped only when it is drawn."""
    updates = np.zeros((9, 60), np.float32)
    updates[0, :30] = updates[1, 30:] = 5
    kept = [set(np.flatnonzero(Dnc(1, 1, repeats)(updates).weights)) for repeats in (1, 40)]
    assert len(kept[0]) == 8
    assert kept[1] == set(range(2, 9))


def test_bad_values_are_named():
    updates = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    with pytest.raises(ToadstoneError, match="each of the 9 finite updates was dropped in some repeat"):
        Dnc(4, c=3.0)(updates)
    with pytest.raises(ToadstoneError, match="subsample must be at least 1"):
        Dnc(1, subsample=0)
    with pytest.raises(ToadstoneError, match="repeats must be at least 1"):
        Dnc(1, repeats=0)
    with pytest.raises(ToadstoneError, match="c must be a finite number above 0"):
        Dnc(1, c=0.0)
