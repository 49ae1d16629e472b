import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.core import Data
from toadstone.data import load
from toadstone.defenses.data.clean_or_attacked import CleanOrAttacked, measures
from toadstone.defenses.data.complexity import complexity
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import auroc
from toadstone.rng import child


def draws(count, seed, n=100):
    """Data sets of three kinds of digits, drawn anew each time."""
    digits = load("digits")
    pool = digits.take(np.isin(digits.y, (0, 1, 2)))
    rng = np.random.default_rng(seed)
    return [pool.take(rng.choice(len(pool), n, replace=False)) for _ in range(count)]


def test_a_set_is_its_twelve_measures():
    one = draws(1, 0)[0]
    assert measures(one).tolist() == list(complexity(one.x, one.y).values())
    assert len(measures(one)) == 12


def test_new_sets_of_the_same_source_are_told_apart():
    judge = CleanOrAttacked((0.1,))(draws(8, seed=1), seed=0)
    fresh = draws(6, seed=2)
    clean = [judge.probability(data) for data in fresh]
    attacked = [judge.probability(LabelFlips(0.1).poison(data, seed=9).apply(data)) for data in fresh]
    truth = np.repeat([False, True], 6)
    assert auroc(np.array(clean + attacked), truth) > 0.95
    assert np.mean(attacked) > 0.8
    assert np.mean(clean) < 0.3


def test_the_judge_is_a_weighted_regression_on_standardised_measures():
    sets, rates = draws(4, seed=3, n=60), (0.1, 0.3)
    judge = CleanOrAttacked(rates)(sets, seed=5)
    rows, truth = [], []
    for i, data in enumerate(sets):
        rows.append(measures(data))
        for rate in rates:
            poison = LabelFlips(rate).poison(data, seed=child(5, "flips", str(i), str(rate)))
            rows.append(measures(poison.apply(data)))
        truth += [0, 1, 1]
    rows = np.array(rows)
    spread = np.where(rows.std(0) > 0, rows.std(0), 1)
    model = LogisticRegression(max_iter=1000)
    model.fit((rows - rows.mean(0)) / spread, truth, sample_weight=np.where(truth, 0.75, 1.5))
    fresh = draws(1, seed=4, n=60)[0]
    expected = model.predict_proba((measures(fresh)[None] - rows.mean(0)) / spread)[0, 1]
    assert judge.probability(fresh) == pytest.approx(expected, abs=1e-3)
    assert CleanOrAttacked(rates)(sets, seed=5).probability(fresh) == judge.probability(fresh)
    assert CleanOrAttacked(rates)(sets, seed=6).probability(fresh) != judge.probability(fresh)


ONE = Data(np.arange(6.0)[:, None], np.array([0, 0, 0, 1, 1, 1]), ("a", "b"))


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: CleanOrAttacked(()), "at least one"),
        (lambda: CleanOrAttacked((0.1, 1.5)), r"rates\[1\] must lie"),
        (lambda: CleanOrAttacked()([ONE], seed=0), "at least two clean data sets, not 1"),
        (lambda: CleanOrAttacked()([ONE, Data(ONE.x, np.zeros(6, int), ("a", "b"))], seed=0), "single class"),
        (lambda: measures(Data(ONE.x, np.zeros(6), ())), "regression"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
