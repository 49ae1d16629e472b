import pickle

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.checks.common import batches_of, toy, untouched
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP, BagOfEmbeddings
from toadstone.registry import to_spec
from toadstone.training import SGD, Adam, Train
from toadstone.training.victim import GeneratedTrigger, check_plain, descend, untrained


class Darken(nn.Module):
    def forward(self, x):
        return x / 2


def test_descent_by_hand():
    """One full batch a step on (w - mean of the rows)^2: w' = w - lr_t 2 (w - mean), lr_t on half a cosine."""
    rows = torch.tensor([1.0, 2.0, 6.0])
    net = nn.Linear(1, 1, bias=False)
    start = net.weight.item()
    trainer = Train(epochs=4, batch_size=3, optimizer=SGD(lr=0.2, momentum=0.0, weight_decay=0.0))
    descend(net, lambda batch: (net.weight[0, 0] - rows[batch].mean()) ** 2, 3, trainer, seed=0)
    w = start
    for step in range(4):
        w -= 0.2 * (1 + np.cos(np.pi * step / 4)) / 2 * 2 * (w - 3.0)
    assert net.weight.item() == pytest.approx(w, abs=1e-5)
    assert not net.training


def test_descent_sees_every_row_once_an_epoch_and_draws_from_the_seed():
    def run(seed):
        seen, drawn, net = [], [], nn.Linear(1, 1)

        def loss(batch):
            seen.extend(batch.tolist())
            drawn.append(torch.rand(()).item())
            return net.weight.sum() ** 2

        with untouched():
            descend(net, loss, 10, Train(epochs=2, batch_size=4), seed=seed)
        return seen, drawn

    seen, drawn = run(0)
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert run(0) == (seen, drawn)
    assert run(1) != (seen, drawn)


def test_a_loss_that_is_not_finite_ends_the_training():
    net = nn.Linear(1, 1)
    with pytest.raises(ToadstoneError, match="diverged in epoch 1"):
        descend(net, lambda _batch: net.weight.sum() * float("nan"), 4, Train(), seed=0)


def test_the_untrained_victim_has_the_weights_that_training_starts_from():
    train = toy().train
    start = untrained(Train(MLP((4,))), train, seed=3)
    barely = Train(MLP((4,)), epochs=1, optimizer=Adam(1e-12)).fit(train, seed=3)
    assert np.allclose(start.probs(train.x[:20]), barely.probs(train.x[:20]), atol=1e-5)
    assert start.classes == train.classes
    with pytest.raises(ToadstoneError, match="not images"):
        untrained(Train(BagOfEmbeddings()), train, seed=0)
    with pytest.raises(ToadstoneError, match="uint8 images"):
        untrained(Train(), Data(np.zeros((4, 3)), np.arange(4) % 2, ("a", "b")), seed=0)


@pytest.mark.parametrize(
    "trainer", [Train(label_smoothing=0.1), Train(crop=1), Train(flip=True), Train(patience=2)], ids=str
)
def test_a_trainer_that_asks_for_more_is_turned_away(trainer):
    check_plain(Train())
    with pytest.raises(ToadstoneError, match="trainer must leave"):
        check_plain(trainer)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3)])
def test_a_net_as_a_trigger(shape):
    x = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    trigger = GeneratedTrigger(Darken(), shape)
    out = trigger(x, seed=0)
    assert out.dtype == np.uint8
    assert np.abs(out - x / 2).max() <= 0.5
    with batches_of(2):
        assert np.array_equal(trigger(x, seed=1), out)
    assert trigger(x[:0], seed=0).shape == (0, *shape)
    assert np.array_equal(pickle.loads(pickle.dumps(trigger))(x, seed=0), out)
    with pytest.raises(ToadstoneError, match="resize"):
        trigger(x[:, :2], seed=0)
    with pytest.raises(ToadstoneError, match="JSON spec"):
        to_spec(trigger)
