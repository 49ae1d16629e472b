from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.attacks import Backdoor
from toadstone.core import Data, Suspicion
from toadstone.data import load, split
from toadstone.defenses.data.sanitise import Sanitise, relabel, remove
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Fit, Train
from toadstone.triggers import Patch

ROWS = Data(np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1]), ("a", "b"))


def test_remove_and_relabel_touch_what_they_say():
    mask = np.array([True, False, False, True, False, False])
    assert remove(ROWS, mask).x[:, 0].tolist() == [2, 4, 8, 10]
    assert relabel(ROWS, mask, np.full(6, 1)).y.tolist() == [1, 1, 0, 1, 0, 1]
    assert relabel(ROWS, ~mask | True, ROWS.y).y.tolist() == ROWS.y.tolist()
    assert ROWS.y.tolist() == [0, 1, 0, 1, 0, 1]


@dataclass
class Last:
    """Accuses the last rows in question, ``plan`` many a call, and remembers which they were."""

    plan: list
    seen: list

    def score(self, model, pool, *, seed):
        rows, count = np.flatnonzero(~pool.trusted), self.plan.pop(0)
        self.seen.append(pool.data.x[rows, 0].tolist())
        return Suspicion(np.isin(np.arange(len(pool.data)), rows[len(rows) - count :]).astype(float))


def test_rounds_go_on_until_nothing_is_flagged_and_trusted_rows_stay():
    sizes = []

    class Counted:
        def fit(self, train, *, seed):
            sizes.append(len(train))
            return Fit().fit(train, seed=seed)

    detector = Last([2, 1, 0, 1], [])
    clean = ROWS.take(np.arange(200) % 6)
    found = Sanitise(Counted(), detector)(ROWS, clean=clean, seed=0)
    assert detector.seen == [[0, 2, 4, 6, 8, 10], [0, 2, 4, 6], [0, 2, 4]]
    assert found.rows.tolist() == [0, 1, 2]
    assert [v.rows.sum() for v in found.rounds] == [2, 1, 0]
    assert sizes == [206, 204, 203]
    assert len(Sanitise(Counted(), Last([1, 1, 1], []), rounds=2)(ROWS, clean=clean, seed=0).rounds) == 2


class Corner:
    """Accuses nine in ten of the rows that carry the square, as a good detector would, on any machine."""

    def score(self, model, pool, *, seed):
        x = np.asarray(pool.data.x)
        return Suspicion(((x[:, -2:, -2:] == 255).all((1, 2)) & (x.sum((1, 2)) % 10 > 0)).astype(float))


@pytest.mark.slow
def test_a_backdoor_goes_and_accuracy_stays():
    trainer = Train(SmallCNN(8, 64), 12, Adam(3e-3), batch_size=32)
    for seed in range(3):
        parts = split(load("digits"), test=300, clean=600, seed=seed)
        poison = Backdoor(Patch(size=2), 7, 0.05).poison(parts.train, seed=seed)
        dirty = poison.apply(parts.train)
        found = Sanitise(trainer, Corner())(dirty, clean=parts.clean, seed=seed)
        truth = poison.mask(len(dirty))
        before, goal = trainer.fit(dirty.append(parts.clean), seed=seed), poison.goal
        assert goal.success(before, parts.test).value > 0.4
        assert goal.success(found.model, parts.test).value < 0.2
        assert accuracy(found.model, parts.test).value > accuracy(before, parts.test).value - 0.05
        assert 0 < truth[found.rows].sum() <= 0.3 * truth.sum()
        assert truth[np.setdiff1d(np.arange(len(dirty)), found.rows)].all()


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: remove(ROWS, np.ones(6, bool)), "nothing would be left"),
        (lambda: relabel(ROWS, np.ones(6, bool), np.full(6, 2)), "outside 0..1"),
        (lambda: Sanitise(Fit(), Last([], []), rounds=0), "rounds"),
        (lambda: Sanitise(Fit(), Last([], []))(ROWS, clean=Data(ROWS.x, ROWS.y, ("b", "a")), seed=0), "same classes"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
