import numpy as np
import pytest
from scipy.optimize import minimize

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.training.norm_svm import NormSVM


def table(seed, n=60, d=3):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return Data(rng.normal(size=(n, d)) + y[:, None], y, ("no", "yes"))


def mean_hinge(theta, data):
    return np.maximum(0, 1 - (2 * data.y - 1) * (data.x @ theta[:-1] + theta[-1])).mean()


def theta_of(model):
    return np.append(model.estimator.coef_[0], model.estimator.intercept_[0])


@pytest.mark.parametrize("norm", [0.2, 0.7, 4.0])
def test_the_loss_is_the_least_within_the_norm(norm):
    for seed in range(2):
        train = table(seed)
        theta = theta_of(NormSVM(norm).fit(train, seed=0))
        assert np.linalg.norm(theta) <= norm * (1 + 1e-9)
        within = {"type": "ineq", "fun": lambda t: norm**2 - (t**2).sum()}
        best = min(
            minimize(mean_hinge, start, (train,), "COBYLA", constraints=within, options={"maxiter": 4000}).fun
            for start in (theta, np.zeros(4))
        )
        assert mean_hinge(theta, train) <= best + 2e-3


def test_the_norm_is_reached_where_it_binds_and_the_seed_changes_nothing_much():
    train = table(0)
    one, other = (theta_of(NormSVM(0.5).fit(train, seed=s)) for s in (0, 1))
    assert np.linalg.norm(one) == pytest.approx(0.5, rel=1e-6)
    assert one == pytest.approx(other, abs=1e-2)


def test_pixels_are_scaled_and_tables_are_not():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = np.clip(rng.normal(90 + 60 * y[:, None], 30, (80, 9)), 0, 255).astype(np.uint8)
    pixels = NormSVM(0.8).fit(Data(x.reshape(80, 3, 3), y, ("a", "b")), seed=0)
    scaled = NormSVM(0.8).fit(Data(x / 255, y, ("a", "b")), seed=0)
    assert pixels.probs(x.reshape(80, 3, 3)) == pytest.approx(scaled.probs(x / 255))


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: NormSVM().fit(Data(np.array(["a", "b"], object), np.array([0, 1]), ("a", "b")), seed=0), "text"),
        (lambda: NormSVM().fit(Data(np.eye(2), np.zeros(2), ()), seed=0), "regression"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
