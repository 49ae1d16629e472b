from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP
from toadstone.training import Fit, Train, pretrained
from toadstone.training.pretrained import Pretrained
from toadstone.whitebox.pixels import image_surrogate

QUICK = Train(MLP((8,)), epochs=1)
SEEN = []


@dataclass(frozen=True)
class Spy:
    """A trainer that notes what it is given and makes nothing."""

    number: int = 0

    def fit(self, train, *, seed):
        SEEN.append((train, seed))
        return QUICK.fit(train, seed=0)


@pytest.fixture
def seen():
    SEEN.clear()
    pretrained._rows.cache_clear()
    pretrained._model.cache_clear()
    yield SEEN
    pretrained._rows.cache_clear()
    pretrained._model.cache_clear()


def test_everybody_gets_the_same_model(seen):
    digits = load("digits")
    few = Data(digits.x[:40], np.arange(40) % 3, ("a", "b", "c"))
    models = [Pretrained(Spy(), "digits").fit(train, seed=seed) for train in (digits, few) for seed in (0, 1)]
    assert all(model is models[0] for model in models)
    assert len(seen) == 1
    assert models[0].classes == digits.classes
    assert Pretrained(Spy(), "digits", version=1).fit(few, seed=0) is not models[0]
    assert seen[0][1] != seen[1][1]


def test_only_the_classes_named_in_the_order_named(seen):
    digits = load("digits")
    model = Pretrained(Spy(), "digits", (7, 2, 9)).fit(digits, seed=0)
    (given, _), rows = seen[0], [i for i in range(len(digits)) if digits.y[i] in (7, 2, 9)]
    assert model.classes == given.classes == ("7", "2", "9")
    assert np.array_equal(given.x, digits.x[rows])
    assert [given.classes[c] for c in given.y] == [digits.classes[digits.y[i]] for i in rows]


@pytest.mark.parametrize("classes", [None, (0, 1)])
def test_only_the_published_training_part(seen, monkeypatch, classes):
    x = np.arange(12, dtype=np.uint8).reshape(12, 1, 1).repeat(2, 1).repeat(2, 2)
    part = np.array(["train", "test", "train"] * 4)
    monkeypatch.setattr(pretrained, "load", lambda _: Data(x, np.arange(12) % 2, ("a", "b"), {"part": part}))
    Pretrained(Spy(), "ours", classes).fit(Data(x, np.arange(12) % 2, ("a", "b")), seed=0)
    assert seen[0][0].x[:, 0, 0].tolist() == [0, 2, 3, 5, 6, 8, 9, 11]


def test_a_surrogate_of_other_classes_than_the_data_is_refused():
    digits = load("digits")
    with pytest.raises(ToadstoneError, match="3 classes but train has 10"):
        image_surrogate(Pretrained(QUICK, "digits", (1, 2, 3)), digits, seed=0)


def test_rows_of_another_shape():
    other = Data(np.zeros((4, 9, 9), np.uint8), np.arange(4) % 2, ("a", "b"))
    with pytest.raises(ToadstoneError, match=r"\(9, 9\) but those of digits have \(8, 8\)"):
        Pretrained(QUICK, "digits").fit(other, seed=0)


@pytest.mark.parametrize("classes", [(1,), (), (1, 1), (3, 10), (-1, 2)])
def test_classes_that_are_not_there(classes):
    with pytest.raises(ToadstoneError, match="two of the 10 classes"):
        Pretrained(QUICK, "digits", classes).fit(load("digits"), seed=0)


def test_a_trainer_that_cannot_be_remembered():
    with pytest.raises(ToadstoneError, match="mutable"):
        Pretrained(Fit(), "digits")
