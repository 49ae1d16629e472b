import numpy as np
import pytest

from toadstone.attacks.data.narcissus import Narcissus
from toadstone.checks.common import toy, untouched
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import MLP, Logistic
from toadstone.training import Fit, Train
from toadstone.triggers.additive import Additive

QUICK = Train(MLP((16,)), epochs=1)


def test_a_linear_model_s_pattern_in_closed_form():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.integers(80, 140, (60, 4, 5, 3)) + 30 * y[:, None, None, None]).astype(np.uint8)
    model = Train(Logistic(), epochs=3).fit(Data(x, y, ("a", "b")), seed=0)
    found = Narcissus(1, QUICK, eps=7, steps=40).pattern(model, x[y == 1], seed=0)
    weight = model.net[1].weight.detach().numpy()
    assert np.array_equal(found, 7 * np.sign(weight[1] - weight[0]).reshape(3, 4, 5).transpose(1, 2, 0))


@pytest.mark.parametrize("seed", range(3))
def test_the_pattern_turns_rows_that_it_was_not_made_from(seed):
    t = toy()
    own, others = t.train.x[t.train.y == 3], t.test.x[t.test.y != 3]
    attack = Narcissus(3, QUICK, eps=32, steps=150)
    with untouched(t.model, own):
        pattern = attack.pattern(t.model, own, seed=seed)
    assert np.abs(pattern).max() == 32
    loss = [-np.log(t.model.probs(x)[:, 3]).mean() for x in (own, Additive(pattern)(own, seed=0))]
    assert loss[1] < 0.6 * loss[0]
    noise = np.random.default_rng(seed).choice([-32, 32], (8, 8))
    turned = [t.model.probs(Additive(p, 3.0)(others, seed=0))[:, 3].mean() for p in (noise, pattern)]
    assert turned[1] > turned[0] + 0.3


def test_training_rows_carry_the_pattern_once_and_test_inputs_three_times():
    train = toy().train
    poison = Narcissus(3, QUICK, rate=0.005, eps=9, steps=5).poison(train, seed=0)
    assert len(poison.index) == round(0.005 * len(train))
    assert (train.y[poison.index] == 3).all()
    assert np.array_equal(poison.y, train.y[poison.index])
    trigger = poison.goal.trigger
    assert poison.goal == BackdoorGoal(Additive(trigger.pattern, 3.0), 3)
    pattern = np.array(trigger.pattern)
    assert 0 < np.abs(pattern).max() <= 9
    assert np.array_equal(poison.x, np.clip(train.x[poison.index].astype(int) + pattern, 0, 255))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"rate": 1.0}, "rate"),
        ({"eps": 0}, "eps"),
        ({"steps": 0}, "steps"),
        ({"lr": 0.0}, "lr"),
        ({"magnify": 0.0}, "magnify"),
    ],
)
def test_bad_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        Narcissus(3, QUICK, **fields)


def test_a_surrogate_without_gradients():
    with pytest.raises(ToadstoneError, match="TorchModel"):
        Narcissus(3, Fit()).poison(toy().train, seed=0)
