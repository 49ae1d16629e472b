import numpy as np
import pytest

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.core import Data
from toadstone.defenses.data.sphere_slab import SphereSlab, class_means, distances, left_out_distances
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc

CLASSES = ("a", "b", "c")


class NoModel:
    classes = CLASSES

    def probs(self, x):
        raise AssertionError("the model plays no part")


def rows(seed, n=300, d=5, k=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return Data(rng.normal(size=(n, d)) * [3, 1, 1, 1, 1] + 4 * np.eye(k, d)[y], y, CLASSES[:k])


def score(data, clean, **fields):
    return judge(SphereSlab(**fields), NoModel(), data, clean=clean, seed=0)


def test_distances_by_a_loop():
    data = rows(0, 40)
    means, others = class_means(data.x, data.y, 3)
    found = distances(data.x, data.y, means, others)
    for i in range(40):
        mean = data.x[data.y == data.y[i]].mean(0)
        way = data.x[data.y != data.y[i]].mean(0) - mean
        away = data.x[i] - mean
        assert found[i] == pytest.approx([(away @ away) ** 0.5, abs(away @ way) / (way @ way) ** 0.5])


def test_left_out_distances_by_leaving_rows_out():
    data = rows(1, 40)
    found = left_out_distances(data.x, data.y)
    for i in range(40):
        rest = np.arange(40) != i
        means, others = class_means(data.x[rest], data.y[rest], 3)
        assert found[i] == pytest.approx(distances(data.x[i : i + 1], data.y[i : i + 1], means, others)[0])


def test_the_score_exceeds_one_outside_of_sphere_or_slab():
    clean = rows(2, 600, k=2)
    data = rows(3, 400, k=2)
    values = score(data, clean, quantile=0.8).values
    means, others = class_means(clean.x, clean.y, 2)
    null = left_out_distances(clean.x, clean.y)
    far = distances(data.x, data.y, means, others)
    for c in (0, 1):
        radius, width = np.quantile(null[clean.y == c], 0.8, axis=0)
        outside = (far[data.y == c] > [radius, width]).any(1)
        assert ((values[data.y == c] > 1) == outside).all()


def test_p_values_of_clean_rows_are_uniform():
    """Few trusted rows, so that a row's part in its own mean would be seen."""
    small = []
    for seed in range(300):
        data, clean = rows(seed, 30, k=2), rows(seed + 10_000, 20, k=2)
        small.append((score(data, clean).pvalues <= 0.1).mean())
    error = np.std(small) / np.sqrt(300)
    assert np.mean(small) == pytest.approx(2 / 21, abs=0.015 + 3 * error)
    assert np.mean(small) <= 0.1 + 3 * error


def test_rows_far_out_are_found_and_rows_within_are_not():
    for seed in range(3):
        train, clean = rows(seed, 600, k=2), rows(seed + 50, 400, k=2)
        rng = np.random.default_rng(seed)
        out = Data(rng.normal(size=(40, 5)) + 12, rng.integers(0, 2, 40), train.classes)
        dirty, truth = train.append(out), np.arange(640) >= 600
        found = score(dirty, clean)
        assert auroc(found.values, truth) > 0.99
        assert flag(found, fdr=0.2).rows[truth].all()
        poison = CandidateAttack(rate=0.1, iterations=100).poison(train, seed=seed)
        hidden = score(poison.apply(train), train)
        assert (hidden.values[600:] < 1.05).all()


def test_poison_moves_the_means_where_no_rows_are_trusted():
    train = rows(0, 400, k=2)
    out = Data(np.full((200, 5), 30.0), np.zeros(200, int), train.classes)
    truth = np.arange(600) >= 400
    assert auroc(score(train.append(out), rows(1, 200, k=2)).values, truth) > 0.99
    assert auroc(score(train.append(out), None).values, truth) < 0.99
    assert score(train, None).pvalues is None


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: score(rows(0), rows(1, 3, k=3).take(np.array([0]))), "two rows or more of class"),
        (lambda: score(Data(np.ones((4, 2)), np.array([0, 0, 1, 1]), ("a", "b")), None), "no slab"),
        (
            lambda: score(Data(np.array([[0.0, 1], [0, 1], [3, 1], [3, 1]]), np.array([0, 0, 1, 1]), ("a", "b")), None),
            "radius is 0",
        ),
        (lambda: score(Data(np.array(["a", "b"], object), np.array([0, 1]), ("a", "b")), None), "text"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
