"""Which arrays rules see, by plain dictionaries of numpy's arrays: Flower is not needed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.defenses.federated.geometric_median import GeometricMedian
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.errors import ToadstoneError
from toadstone.federated.flower.vectors import difference, flat, middle_counters, moved

ROWS = (8, 16, 24, 32, 40, 48, 400, 400)  # of each client; the last two attack, and train as long as one another


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))


def state(model, without=()):
    return {k: v.numpy().copy() for k, v in model.state_dict().items() if not k.endswith(tuple(without) or "\0")}


def trained(start, seed, rows, flip):
    """The net after one epoch of batches of four on a client's pictures; attackers train on the other label."""
    model, draw = copy.deepcopy(start).train(), torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 1, 8, 8, generator=draw)
    y = (x.mean((1, 2, 3)) > 0.5).long() ^ flip
    sgd = torch.optim.SGD(model.parameters(), 0.05)
    for a, b in zip(x.split(4), y.split(4), strict=True):
        sgd.zero_grad()
        nn.functional.cross_entropy(model(a), b).backward()
        sgd.step()
    return model


@pytest.fixture(scope="module")
def round_():
    start = net()
    return start, [trained(start, i, rows, int(i >= 6)) for i, rows in enumerate(ROWS)]


@pytest.mark.parametrize("rule", [MultiKrum(f=2), GeometricMedian(), GeometricMedian(steps=50)])
def test_the_malicious_share_is_that_of_the_same_net_without_counters(round_, rule):
    def share(without):
        sent = state(round_[0], without)
        weights = rule(np.stack([difference(state(m, without), sent) for m in round_[1]])).weights
        return weights[6:].sum() / weights.sum()

    assert [k for k in state(round_[0]) if k.endswith("num_batches_tracked")] == ["1.num_batches_tracked"]
    assert share(()) == share(("num_batches_tracked",))


def test_a_counter_in_the_vector_would_change_the_share(round_):
    """What the test above guards against is there to be seen in this round."""
    everything = np.stack(
        [np.concatenate([state(m)[k].ravel() - v.ravel() for k, v in state(round_[0]).items()]) for m in round_[1]]
    ).astype(np.float32)
    floating = np.stack([difference(state(m), state(round_[0])) for m in round_[1]])
    with_counter, without = (GeometricMedian()(rows).weights[6:].sum() for rows in (everything, floating))
    assert abs(with_counter - without) > 0.05


def test_the_vector_is_the_floating_entries_in_order():
    start = {"a": np.zeros(2, np.float32), "n": np.array(3), "b": np.zeros((1, 2), np.float64)}
    reply = {"a": np.array([1, 2], np.float32), "n": np.array(9), "b": np.array([[3.0, 4.0]])}
    np.testing.assert_array_equal(difference(reply, start), np.array([1, 2, 3, 4], np.float32))
    np.testing.assert_array_equal(flat(reply), np.array([1, 2, 3, 4], np.float32))
    again = moved(start, difference(reply, start), middle_counters([reply]))
    for name, array in reply.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == start[name].dtype


COUNTERS = {
    "one": ([5], 5),
    "three": ([1, 9, 4], 4),
    "two take the lower": ([8, 2], 2),
    "four take the lower of the middle": ([1, 2, 3, 4], 2),
    "one attacker far above": ([5, 5, 6, 2**62], 5),
    "one attacker far below": ([5, 5, 6, -(2**62)], 5),
    "numbers that a double cannot hold": ([2**60 + 1] * 3, 2**60 + 1),
    "unsigned bytes": (np.array([250, 251, 255], np.uint8), 251),
    "a majority of flags": (np.array([True, True, False]), True),
    "a tie of flags": (np.array([True, False]), False),
    "arrays": (np.array([[1, 9], [2, 8], [3, 7]]), [2, 8]),
}


@pytest.mark.parametrize(("sent", "middle"), COUNTERS.values(), ids=COUNTERS)
def test_counters_take_the_median(sent, middle):
    replies = [{"n": each, "w": np.zeros(1, np.float32)} for each in map(np.asarray, np.asarray(sent))]
    found = middle_counters(replies)
    assert list(found) == ["n"]
    np.testing.assert_array_equal(found["n"], middle)
    assert found["n"].dtype == np.asarray(sent).dtype


W = {"w": np.zeros(2, np.float32), "n": np.array(1)}
WRONG = {
    "a missing array": ({"w": W["w"]}, "return those that were sent"),
    "another name": ({"v": W["w"], "n": W["n"]}, "return those that were sent"),
    "another order": ({"n": W["n"], "w": W["w"]}, "return those that were sent"),
    "another shape": ({**W, "w": np.zeros(3, np.float32)}, r"array w has shape \(3,\), not \(2,\)"),
    "a counter of another shape": ({**W, "n": np.ones(1, int)}, r"array n has shape \(1,\), not \(\)"),
    "weights as whole numbers": ({**W, "w": np.zeros(2, int)}, "array w has type int64, not float32"),
    "a counter as a float": ({**W, "n": np.array(np.nan)}, "array n has type float64, not int64"),
    "a wider counter": ({**W, "n": np.array(1, np.uint64)}, "array n has type uint64, not int64"),
    "complex weights": ({**W, "w": np.zeros(2, complex)}, "array w has type complex128: send real numbers"),
    "texts": ({**W, "w": np.array(["a", "b"])}, "array w has type <U1: send real numbers"),
    "objects": ({**W, "n": np.array(None)}, "array n has type object: send real numbers"),
}


@pytest.mark.parametrize(("reply", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_replies_are_one_sentence(reply, sentence):
    with pytest.raises(ToadstoneError, match=sentence):
        difference(reply, W)


def test_nothing_but_counters_is_an_empty_vector():
    only = {"n": np.array(1)}
    assert difference(only, only).shape == flat(only).shape == (0,)
    assert moved(only, np.empty(0, np.float32), only) == only
