from dataclasses import dataclass
from statistics import median

import numpy as np
import pytest
import torch

from corrupted_digits import patched_and_twin
from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.defenses.data import beatrix
from toadstone.defenses.data.beatrix import Beatrix, deviations
from toadstone.defenses.data.spectral_signatures import spectral_scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models import TorchModel
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train

LAYER = "features.3"  # of SmallCNN: the second convolution, before its rectifier


def slow_entry(row, i, j, p):
    g = sum(a**p * b**p for a, b in zip(row[i], row[j], strict=True))
    return (1 if g >= 0 else -1) * abs(g) ** (1 / p)


def slow_bounds(values):
    middle = median(values)
    width = 10 * median(abs(v - middle) for v in values)
    return middle - width, middle + width


def slow_score(row, others):
    """One row against others, entry after entry, over all eight orders."""
    row, others = row.tolist(), others.tolist()
    c, found = len(row), []
    for p in range(1, 9):
        sizes = [[slow_entry(o, i, i, p) for o in others] for i in range(c)]
        floor = 0.1 * max(slow_bounds(size)[1] for size in sizes)
        if floor == 0:  # every channel sleeps in most rows
            floor = 0.1 * max(max(size) for size in sizes)
        for i in range(c):
            for j in range(i, c):
                low, high = slow_bounds([slow_entry(o, i, j, p) for o in others])
                g = slow_entry(row, i, j, p)
                below, above = max(low - g, 0) / max(abs(low), floor), max(g - high, 0) / max(abs(high), floor)
                found.append(below + above)
    return sum(found) / len(found)


@pytest.mark.parametrize("block", [1 << 18, 100])
@pytest.mark.parametrize("positions", [1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_scores_are_those_of_a_slow_loop(sign, positions, block, monkeypatch):
    monkeypatch.setattr(beatrix, "_BLOCK", block)
    rng = np.random.default_rng(positions)
    maps = rng.standard_t(1, (33, 4, positions))
    maps = maps if sign < 0 else np.maximum(maps, 0)
    trusted = np.arange(33) % 11 != 0  # 30 of them: the others are judged by these
    found = deviations(maps, trusted)
    assert found[~trusted] == pytest.approx([slow_score(row, maps[trusted]) for row in maps[~trusted]])
    rows = np.flatnonzero(trusted)
    for k in (0, 7, 29):  # a trusted row by those of the other tenths
        others = [r for n, r in enumerate(rows) if n % 10 != k % 10]
        assert found[rows[k]] == pytest.approx(slow_score(maps[rows[k]], maps[others]))
    assert (found > 0).sum() > 10
    trusted[rows[0]] = False  # 29: every row by all
    assert deviations(maps, trusted)[:5] == pytest.approx([slow_score(row, maps) for row in maps[:5]])


def test_a_layer_is_read_class_by_class_as_channels_and_positions():
    t = toy()
    data, clean = t.poisoned.take(np.arange(150)), t.inside.take(np.arange(100))
    found = judge(Beatrix(LAYER), t.model, data, clean=clean, seed=0)
    x, y = np.concatenate([np.asarray(data.x), clean.x]), np.concatenate([data.y, clean.y])
    with torch.no_grad():
        maps = t.model.net.features[:4](torch.from_numpy(x[:, None] / np.float32(255))).numpy()
    assert maps.shape == (250, 16, 4, 4)
    trusted = np.arange(250) >= 150
    for c in (0, 7):
        rows = y == c
        slow = deviations(maps[rows].reshape(rows.sum(), 16, 16), trusted[rows])
        assert found.values[rows[:150]] == pytest.approx(slow[~trusted[rows]], rel=1e-3, abs=1e-5)


@dataclass
class Lengths:
    """Two features of strings, or whatever a table holds."""

    classes: tuple = ("a", "b")

    def probs(self, x):
        return np.full((len(x), 2), 0.5)

    def features(self, x):
        if x.dtype == object:
            return np.array([[len(row), row.count(" ")] for row in x], np.float32)
        return np.asarray(x, np.float32)


def test_text_and_tables_have_features_too():
    words = np.array(["one two"] * 9 + ["one three"] * 10 + ["one " * 50], object)
    data = Data(words, np.arange(20) % 2, ("a", "b"))
    scores = judge(Beatrix(), Lengths(), data, seed=0)
    assert scores.values.argmax() == 19
    assert scores.pvalues is None


@pytest.mark.parametrize("rows", [35, 12])  # enough trusted rows a class for the bounds, and too few
def test_p_values_of_clean_rows_are_uniform_whoever_sets_the_bounds(rows):
    share = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        data, clean = (Data(rng.standard_t(1, (n, 6)), np.arange(n) % 2, ("a", "b")) for n in (400, 2 * rows))
        scores = judge(Beatrix(), Lengths(), data, clean=clean, seed=seed)
        assert scores.trusted == 2 * rows
        share.append((scores.pvalues <= 0.2).mean())
    assert 0.15 < np.mean(share) < 0.215


def test_finds_channels_that_answer_together_where_each_alone_is_as_usual():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        maps, truth = rng.uniform(0.5, 1.5, (300, 8, 16)), np.arange(300) < 15
        maps[:, 1] = 2 - maps[:, 0]  # one falls where the other rises
        clean = maps.copy()
        maps[truth, 1] = maps[truth, 0]
        assert auroc(deviations(maps, np.zeros(300, bool)), truth) > 0.95
        sizes = maps.mean(2)
        assert auroc(spectral_scores(sizes, np.zeros(300, int)), truth) < 0.8
        assert abs(auroc(deviations(clean, np.zeros(300, bool)), truth) - 0.5) < 0.25


def test_a_class_that_is_mostly_poison_takes_trusted_rows():
    for seed in range(3):
        maps, truth = np.random.default_rng(seed).uniform(0.5, 1.5, (330, 8, 16)), np.arange(330) < 180
        maps[:, 1] = np.where(truth[:, None], maps[:, 0], 2 - maps[:, 0])
        for trusted, low, high in ((np.arange(330) >= 300, 0.95, 1.0), (np.zeros(330, bool), 0.0, 0.6)):
            assert low <= auroc(deviations(maps, trusted)[:300], truth[:300]) <= high


def test_finds_a_patch_in_a_convolution_and_nothing_on_the_clean_twin():
    trainer = Train(SmallCNN(8, 64), epochs=12, optimizer=Adam(5e-3), batch_size=64)
    for seed in range(3):
        for data, clean, truth, planted in patched_and_twin(seed, 0.1, test=997, clean=400):
            model = trainer.fit(data.append(clean), seed=seed)
            scores = judge(Beatrix(LAYER), model, data, clean=clean, seed=0)
            flags = flag(scores, fdr=0.1).rows
            if planted:
                assert auroc(scores.values, truth) > 0.9
            assert flags[~(truth & planted)].sum() <= 0.25 * max(flags.sum(), 40)


class Sums(torch.nn.Module):
    """A net one of whose parts gives a number a row."""

    def __init__(self):
        super().__init__()
        self.add, self.head = torch.nn.Flatten(0), torch.nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.add(x).view(-1, 64))


@dataclass
class Oracle:
    classes: tuple = tuple("0123456789")

    def probs(self, x):
        return np.full((len(x), 10), 0.1)


@pytest.mark.parametrize(
    ("layer", "made", "word"),
    [
        ("nowhere", lambda t: t.model, "'nowhere' names no submodule"),
        ("", lambda t: t.model, "names no submodule"),
        ("features", lambda t: Lengths(), "model is a Lengths, without gradients"),
        ("add", lambda t: TorchModel(Sums(), "head", t.model.encode, t.train.classes), "gives no tensor"),
        (None, lambda t: Oracle(), "Oracle has no features"),
    ],
)
def test_bad_input(layer, made, word):
    with pytest.raises(ToadstoneError, match=word):
        judge(Beatrix(layer), made(toy()), toy().train, seed=0)
