from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.certificates.partition import certified_radius
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses.training.partition_aggregation import Constant, PartitionAggregation, partition_of
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import MLP
from toadstone.training import Fit, Train

NEAREST = Fit("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 1})


def digits(seed=0):
    parts = split(load("digits"), test=200, clean=10, seed=seed)
    return parts.train, parts.test


def test_a_partition_depends_on_its_row_alone_and_all_are_about_as_large():
    train, _ = digits()
    part = partition_of(train.x, 10)
    assert [partition_of(train.x[i : i + 1], 10)[0] for i in range(50)] == part[:50].tolist()
    order = np.random.default_rng(0).permutation(len(train))
    assert np.array_equal(partition_of(train.x[order], 10), part[order])
    counts = np.bincount(part, minlength=10)
    assert counts.min() > 0.7 * counts.mean()
    texts = np.array(["one", "two", "one"], object)
    assert partition_of(texts, 1000)[0] == partition_of(texts, 1000)[2] != partition_of(texts, 1000)[1]


def test_votes_are_those_of_models_trained_by_hand():
    train, test = digits()
    model = PartitionAggregation(NEAREST, 7).fit(train, seed=0)
    part = partition_of(train.x, 7)
    x, votes = train.x.reshape(len(train), -1).astype(float), np.zeros((len(test), 10), int)
    for p in range(7):
        mine = np.flatnonzero(part == p)
        for i, row in enumerate(test.x.reshape(len(test), -1).astype(float)):
            nearest = mine[((x[mine] - row) ** 2).sum(1).argmin()]
            votes[i, train.y[nearest]] += 1
    assert (model.votes(test.x) == votes).mean() > 0.999  # two rows may be equally near
    assert model.probs(test.x) == pytest.approx(model.votes(test.x) / 7)


@pytest.mark.parametrize("trainer", [NEAREST, Train(MLP((16,)), epochs=2)], ids=["nearest", "net"])
def test_no_order_of_the_rows_changes_a_vote(trainer):
    train, test = digits()
    order = np.random.default_rng(1).permutation(len(train))
    one, other = (PartitionAggregation(trainer, 5).fit(data, seed=3) for data in (train, train.take(order)))
    assert np.array_equal(one.votes(test.x), other.votes(test.x))


def changed(train, count, draw):
    """One in three each: labels flipped, rows removed, rows added, ``count`` in all."""
    rows = draw.permutation(len(train))
    kinds = np.bincount(draw.integers(0, 3, count), minlength=3)
    flip, gone = rows[: kinds[0]], rows[kinds[0] : kinds[0] + kinds[1]]
    y = train.y.copy()
    y[flip] = (y[flip] + draw.integers(1, 10, len(flip))) % 10
    kept = Data(train.x, y, train.classes).take(np.setdiff1d(np.arange(len(train)), gone))
    if not kinds[2]:
        return kept
    noise = draw.integers(0, 256, (kinds[2], *train.x.shape[1:]), np.uint8)
    return kept.append(Data(noise, draw.integers(0, 10, kinds[2]), train.classes))


def test_whatever_is_done_to_so_many_rows_no_certified_prediction_changes():
    train, test = digits()
    trainer = PartitionAggregation(NEAREST, 15)
    votes = trainer.fit(train, seed=0).votes(test.x)
    radius, moved = certified_radius(votes), 0
    for seed in range(12):
        count = 1 + seed % 6
        after = trainer.fit(changed(train, count, np.random.default_rng(seed)), seed=0).votes(test.x)
        assert (np.abs(after - votes).sum(1) <= 2 * count).all()
        stays = after.argmax(1) == votes.argmax(1)
        assert stays[radius >= count].all()
        moved += (~stays).sum()
    assert moved > 0  # or nothing was at stake


def test_a_part_of_one_class_or_none_votes_all_the_same():
    data = Data(np.arange(4.0)[:, None], np.array([0, 1, 1, 1]), ("a", "b"))
    model = PartitionAggregation(NEAREST, 4).fit(data, seed=0)
    part = partition_of(data.x, 4)
    expected = [
        int(np.unique(data.y[part == p]).max(initial=0)) if len(set(data.y[part == p])) < 2 else None for p in range(4)
    ]
    for member, label in zip(model.models, expected, strict=True):
        assert label is None or (isinstance(member, Constant) and member.label == label)
    assert model.votes(data.x).sum(1).tolist() == [4] * 4


def test_more_partitions_lower_accuracy_and_a_longer_proof():
    train, test = digits()
    found = []
    for k in (5, 60):
        model = PartitionAggregation(NEAREST, k).fit(train, seed=0)
        found.append((accuracy(model, test).value, np.median(certified_radius(model.votes(test.x)))))
    assert found[0][0] > found[1][0] > 0.6
    assert found[0][1] < found[1][1]


@dataclass(frozen=True)
class Never:
    def fit(self, train, *, seed):
        raise AssertionError


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (
            lambda: PartitionAggregation(Never(), 51).fit(load("digits").take(np.arange(50)), seed=0),
            "train has 50 rows",
        ),
        (lambda: PartitionAggregation(Never()).fit(Data(np.zeros((99, 2)), np.zeros(99), ()), seed=0), "regression"),
        (
            lambda: PartitionAggregation(Never()).fit(Data(np.zeros((99, 2)), np.zeros(99, int), ("a", "b")), seed=0),
            "single",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
