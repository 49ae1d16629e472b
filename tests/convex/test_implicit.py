import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import SVC

from toadstone.convex.implicit import SVM, Smooth, SVMachine, kernel
from toadstone.errors import ToadstoneError

CASES = {
    "linear": (SVM(1.0, None), 2, 30),
    "linear, few columns": (SVM(0.3, None), 2, 3),
    "rbf": (SVM(2.0, 0.3), 2, 4),
    "logistic": (Smooth("logistic", 1.0, 1e-9), 2, 6),
    "logistic, 3 classes": (Smooth("logistic", 3.0, 1e-9), 3, 4),
    "ridge": (Smooth("ridge", 0.5), 2, 5),
    "ridge, 3 classes": (Smooth("ridge", 2.0), 3, 5),
}


def rows(n, d, k, seed):
    """Overlapping classes, some labels false: rows of all kinds (far, on the margin, inside it)."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % k
    centres = draw.normal(size=(k, d)) * 2 / np.sqrt(d)
    x, x_val = (draw.normal(size=(n, d)) + centres[y] for _ in range(2))
    wrong = y.copy()
    wrong[:5] = (y[:5] + 1) % k
    return x, wrong, x_val, y


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(2))
def test_the_gradient_is_that_of_a_retrained_learner(name, seed):
    learner, k, d = CASES[name]
    x, y, x_val, y_val = rows(24, d, k, seed)
    found = learner.fit(x, y, k).gradient(np.arange(6), x_val, y_val)
    slow, eps = np.zeros_like(found), 1e-4
    for i, j in np.ndindex(6, min(d, 5)):
        for sign in (1, -1):
            moved = x.copy()
            moved[i, j] += sign * eps
            slow[i, j] += sign * learner.fit(moved, y, k).loss(x_val, y_val) / (2 * eps)
    assert np.abs(slow).max() > 1e-3 or d == 3
    assert np.allclose(found[:, :5], slow[:, :5], rtol=1e-3, atol=2e-5)


def test_every_kind_of_row_is_among_those_checked():
    kinds = set()
    for seed in range(2):
        x, y, _, _ = rows(24, 4, 2, seed)
        beta = np.abs(SVM(2.0, 0.3).fit(x, y).beta[:6])
        kinds |= set(np.where(beta < 1e-9, "out", np.where(beta > 2 - 1e-9, "error", "margin")))
    assert {"margin", "error"} <= kinds


@pytest.mark.parametrize("gamma", [None, 0.4])
def test_the_machine_is_libsvm_s_and_fulfils_its_conditions(gamma):
    x, y, x_val, y_val = rows(40, 8, 2, 3)
    machine = SVM(1.5, gamma).fit(x, y)
    other = SVC(C=1.5, **({"kernel": "linear"} if gamma is None else {"gamma": gamma}), tol=1e-6).fit(x, y)
    f = other.decision_function(x_val)
    assert np.allclose(machine.margin(x_val), f, atol=1e-4)
    assert np.array_equal(machine.decide(x_val).argmax(1), other.predict(x_val))
    assert machine.loss(x_val, y_val) == pytest.approx(np.maximum(0, 1 - (2 * y_val - 1) * f).mean(), abs=1e-4)
    alpha, edge = np.abs(machine.beta), (2 * y - 1) * machine.margin(x)
    free = (alpha > 1e-6) & (alpha < 1.5 - 1e-6)
    assert free.any()
    assert np.allclose(edge[free], 1, atol=1e-9)
    assert machine.beta.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_the_smooth_machines_are_scikit_learn_s(k):
    x, y, x_val, y_val = rows(40, 5, k, 1)
    machine = Smooth("logistic", 2.0, 1e-8).fit(x, y, k)
    other = LogisticRegression(C=2.0, tol=1e-8, max_iter=10000).fit(x, y)
    probs = other.predict_proba(x_val)
    assert machine.loss(x_val, y_val) == pytest.approx(-np.log(probs[np.arange(40), y_val]).mean(), abs=1e-5)
    ridge = Smooth("ridge", 0.25).fit(x, y, k)
    f = RidgeClassifier(alpha=4.0).fit(x, y).decision_function(x_val)
    mine = ridge.decide(x_val)
    assert np.allclose(mine[:, 1] if k == 2 else mine, f)


def test_without_margin_support_vectors_the_threshold_is_taken_as_fixed():
    x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 5.0]])
    machine = SVMachine(x, np.array([1.0, -1.0, 0.0, 0.0]), 0.2, 1.0, None)
    x_val, y_val = x[2:], np.array([1, 0])
    slope = np.where((2 * y_val - 1) * machine.margin(x_val) < 1, -(2 * y_val - 1), 0) / 2
    assert np.allclose(machine.gradient(np.array([0, 3]), x_val, y_val), [slope @ x_val, [0, 0]])


def test_dependent_margin_support_vectors_give_finite_gradients():
    x, y, x_val, y_val = rows(24, 30, 2, 0)
    twice = SVM(1.0).fit(np.concatenate([x, x]), np.concatenate([y, y]))
    assert np.isfinite(twice.gradient(np.arange(48), x_val, y_val)).all()


def test_kernel_by_the_definition():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 4))
    slow = [[np.exp(-0.7 * np.linalg.norm(p - q) ** 2) for q in b] for p in a]
    assert np.allclose(kernel(a, b, 0.7), slow)


def test_a_class_without_a_row():
    with pytest.raises(ToadstoneError, match="2 classes but names 3"):
        Smooth().fit(np.ones((4, 2)), np.array([0, 1, 0, 1]), 3)
