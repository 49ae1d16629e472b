import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toadstone.core import Data
from toadstone.defenses.model.fine_pruning import FinePruning, prune, prune_order
from toadstone.errors import ToadstoneError
from toadstone.models import TorchModel
from toadstone.models.encode import Pixels, Words
from toadstone.models.nets import MLP, BagOfEmbeddings, Logistic, PreActResNet, SmallCNN, TextCNN
from toadstone.overlay import Overlay
from toadstone.training import Train

NAMES = tuple("0123456789")


def dead(net, layer):
    """The channels of ``layer`` whose weights and biases are all exactly zero."""
    m = net.get_submodule(layer)
    bias = torch.zeros(len(m.weight)) if m.bias is None else m.bias
    return {c for c in range(len(m.weight)) if not m.weight[c].any() and not bias[c].any()}


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 999))
def test_order_against_the_slow_loop(n, d, seed):
    a = np.random.default_rng(seed).normal(size=(n, d))
    mean = [sum(max(0.0, a[i, c]) for i in range(n)) / n for c in range(d)]
    got = prune_order(a)
    assert sorted(got) == list(range(d))
    assert all(mean[got[i]] <= mean[got[i + 1]] + 1e-12 for i in range(d - 1))


@pytest.mark.parametrize(
    ("curve", "kept"),
    [
        ([0.9, 0.9, 0.88, 0.8, 0.7], 2),
        ([0.9, 0.8, 0.9, 0.9, 0.9], 0),  # the first break ends it, though the curve recovers
        ([0.9, 0.86, 0.92, 0.86, 0.0], 3),  # the bound itself is within the bound
        ([0.9, 0.9, 0.9, 0.9, 0.9], 4),  # the last channel is kept whatever the accuracy says
    ],
)
def test_the_last_net_before_the_bound_broke_is_kept(curve, kept):
    net = nn.Sequential(nn.Conv2d(1, 5, 1), nn.ReLU())
    before, order = copy.deepcopy(net), np.array([3, 0, 4, 1, 2])

    def accuracy(trial):
        return curve[len(dead(trial, "0"))]

    pruned, channels = prune(net, "0", order, accuracy, 0.04)
    assert channels.tolist() == order[:kept].tolist()
    assert dead(pruned, "0") == set(order[:kept].tolist())
    assert accuracy(pruned) >= curve[0] - 0.04 - 1e-12
    for c in order[kept:]:  # not an alias of the net in which the bound broke
        assert torch.equal(pruned[0].weight[c], before[0].weight[c])
        assert torch.equal(pruned[0].bias[c], before[0].bias[c])
    assert same_weights(net, before)


def pixels(n, seed, side=4):
    """Four classes, one for each corner that is bright, in noise; pixel (1, 1) numbers the row."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 150, (n, side, side), np.uint8), rng.integers(0, 4, n)
    x[np.arange(n), (y // 2) * (side - 1), (y % 2) * (side - 1)] += 105
    x[:, 1, 1] = np.arange(n)
    return Data(x, y, NAMES[:4])


def test_the_bound_is_read_on_one_half_of_the_rows_and_on_no_other():
    """Every channel's share of the rows is known, so that halves disagree; the half is read off what was encoded."""
    differ = 0
    for seed in range(6):
        data, order = pixels(100, seed), []
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = nn.Sequential(nn.Conv2d(1, 12, 4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
            optimizer = torch.optim.Adam(net.parameters(), 0.02)
            x = torch.from_numpy(data.x[:, None] / np.float32(255))
            for _ in range(60):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), torch.from_numpy(data.y)).backward()
                optimizer.step()
        seen = []

        class Watched(Pixels):
            def __call__(self, rows, seen=seen):
                if len(rows) > 10:  # a half; fewer are only asked whether they have gradients
                    seen.append(tuple(rows[:, 1, 1].tolist()))
                return super().__call__(rows)

        model = TorchModel(net.eval(), "1", Watched(4, 4), NAMES[:4])
        mended = FinePruning(bound=0.04, steps=0).repair(model, data, seed=seed).model
        halves = sorted(set(seen), key=seen.count)
        assert len(halves) == 2
        assert sorted(halves[0] + halves[1]) == list(range(100))
        assert seen.count(halves[0]) == 1  # ranked on one half, once
        with torch.inference_mode():
            order = prune_order(net[1](net[0](x[list(halves[0])])).flatten(1).numpy()).tolist()

        def brute(rows, net=net, order=order, x=x, data=data):
            """How many channels go before the accuracy on ``rows`` breaks the bound."""
            rows, curve = list(rows), []
            with torch.inference_mode():
                for count in range(12):
                    hidden = net[:3](x[rows])
                    hidden[:, order[:count]] = 0
                    curve.append((net[3](hidden).argmax(1).numpy() == data.y[rows]).mean())
            return next((c - 1 for c in range(12) if curve[c] < curve[0] - 0.04 - 1e-12), 11)

        assert dead(mended.net, "0") == set(order[: brute(halves[1])])
        differ += brute(halves[1]) != brute(halves[0])
    assert differ >= 2  # the halves do disagree, so that reading the wrong one would be seen


def nets():
    yield "features.3", SmallCNN(width=4, hidden=16), (1, 8, 8)
    yield "features.4", PreActResNet(width=4, depth=(1, 1)), (1, 8, 8)
    yield "features.3", MLP((16, 8)), (1, 8, 8)


@pytest.mark.parametrize(("layer", "design", "shape"), list(nets()))
def test_pruned_channels_stay_zero_and_the_model_given_is_untouched(layer, design, shape):
    data = pixels(60, 0, 8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = design.build(shape, 4).eval()
    for p in net.parameters():
        p.requires_grad_(False)
    before = copy.deepcopy(net)
    model = TorchModel(net, "features", Pixels(8, 8), NAMES[:4], design)
    state = torch.random.get_rng_state()
    mended = FinePruning(bound=0.9, steps=6).repair(model, data, seed=0).model
    assert torch.equal(state, torch.random.get_rng_state())
    assert same_weights(net, before)
    assert not any(p.requires_grad for p in net.parameters())
    assert not mended.net.training
    channels = dead(mended.net, layer)
    assert len(channels) == len(net.get_submodule(layer).weight) - 1
    out, _ = mended.tap(mended.encode(data.x), layer)
    assert not out[:, sorted(channels)].any()  # zero for every input, BatchNorm or not
    moved = [n for n, p in mended.net.named_parameters() if not torch.equal(p, before.get_parameter(n))]
    assert "head.weight" in moved
    kept = next(c for c in range(len(net.get_submodule(layer).weight)) if c not in channels)
    assert not torch.equal(mended.net.get_submodule(layer).weight[kept], before.get_submodule(layer).weight[kept])
    over = Data(Overlay.of(data.x, np.array([1]), data.x[1:2]), data.y, data.classes)
    again = FinePruning(bound=0.9, steps=6).repair(model, over, seed=0).model
    assert same_weights(mended.net, again.net)
    assert not same_weights(mended.net, FinePruning(bound=0.9, steps=6).repair(model, data, seed=1).model.net)
    if layer == "features.4":
        assert not torch.equal(mended.net.features[4].running_mean, before.features[4].running_mean)


def test_a_batch_norm_after_the_convolution_is_what_is_pruned():
    """Zero filters alone would leave the batch norm's bias standing in the channel."""
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 4))
    nn.init.constant_(net[1].bias, 0.5)
    model = TorchModel(net.eval(), "2", Pixels(4, 4), NAMES[:4])
    data = pixels(60, 0)
    mended = FinePruning(bound=0.9, steps=6).repair(model, data, seed=0).model
    assert len(dead(mended.net, "1")) == 5
    assert (mended.tap(mended.encode(data.x), "2")[0].amax((0, 2, 3)) > 0).sum() == 1


def test_pruned_channels_cannot_grow_back_where_a_gradient_reaches_them():
    """After a ReLU a zero channel gets no gradient anyway; after a leaky one it does."""
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(24, 4))
    model = TorchModel(net.eval(), "1", Pixels(4, 4), NAMES[:4])
    assert len(dead(FinePruning(bound=0.9, steps=6).repair(model, pixels(60, 0), seed=0).model.net, "0")) == 5


def test_text_and_a_layer_of_ones_own():
    words = Words(tuple("abcdefgh"))
    rng = np.random.default_rng(0)
    x = np.array([" ".join(rng.choice(list("abcdefgh"), 6)) for _ in range(60)], object)
    data = Data(x, np.array([t.count("a") > 0 for t in x]).astype(int), NAMES[:2])
    for design, layer, chosen in (
        (BagOfEmbeddings(8), None, "features.1"),
        (TextCNN(8, 8, (2, 3)), "features.convs.1", "features.convs.1"),
    ):
        model = TorchModel(design.build((10,), 2).eval(), "features", words, NAMES[:2], design)
        mended = FinePruning(bound=0.9, layer=layer, steps=6).repair(model, data, seed=0).model
        assert len(dead(mended.net, chosen)) == 7
        assert mended.probs(x).shape == (60, 2)


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    raw = load_digits()
    return (raw.images * 255 / 16).round().astype(np.uint8), raw.target


def test_removes_the_square_from_digits(digits):
    """Mean over seeds: the backdoor works before, hardly ever after; accuracy stays."""
    x, y = digits
    before, after = [], []
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(len(x))
        test, clean, train = rows[:500], rows[500:800], rows[800:1600]
        stamped = x.copy()
        stamped[:, -2:, -2:] = 255
        bad = train[y[train] != 7][:80]
        xt, yt = x.copy(), y.copy()
        xt[bad], yt[bad] = stamped[bad], 7
        model = Train(SmallCNN(width=8, hidden=64), epochs=20, batch_size=32).fit(
            Data(xt[train], yt[train], NAMES), seed=seed
        )
        mended = FinePruning(steps=300, lr=0.01).repair(model, Data(x[clean], y[clean], NAMES), seed=seed).model
        for out, m in ((before, model), (after, mended)):
            others = test[y[test] != 7]
            success = (m.probs(stamped[others]).argmax(1) == 7).mean()
            out.append((success, (m.probs(x[test]).argmax(1) == y[test]).mean()))
    assert min(s for s, _ in before) > 0.6
    assert np.mean([s for s, _ in after]) < 0.1
    assert np.mean([a for _, a in after]) > np.mean([a for _, a in before]) - 0.02


@pytest.mark.parametrize(
    ("make", "design", "data", "message"),
    [
        (lambda: FinePruning(bound=0.0), None, None, "bound must lie"),
        (lambda: FinePruning(steps=-1), None, None, "steps must be at least 0"),
        (lambda: FinePruning(batch_size=1), None, None, "batch_size must be at least 2"),
        (lambda: FinePruning(lr=0.0), None, None, "lr must be a finite number above 0"),
        (FinePruning, Logistic(), pixels(210, 0), "no convolution"),
        (lambda: FinePruning(layer="nope"), MLP((8,)), pixels(210, 0), "layer 'nope'"),
        (lambda: FinePruning(layer="features.2"), MLP((8,)), pixels(210, 0), "layer 'features.2'"),
        (FinePruning, MLP((8,)), pixels(199, 0), "at least 200"),
        (FinePruning, MLP((8,)), pixels(210, 0, 5), "x has images of"),
        (FinePruning, MLP((8,)), Data(pixels(210, 0).x, np.arange(210) % 3, NAMES[:3]), "3 classes"),
        (FinePruning, MLP((8,)), Data(pixels(210, 0).x, np.zeros(210, int), NAMES[:4]), "single class"),
    ],
)
def test_errors_say_what_to_do(make, design, data, message):
    net, layer = (design or MLP((8,))).build((1, 4, 4), 4), "0" if isinstance(design, Logistic) else "features"
    model = TorchModel(net, layer, Pixels(4, 4), NAMES[:4])
    with pytest.raises(ToadstoneError, match=message):
        make().repair(model, data, seed=0)


def test_a_black_box_cannot_be_pruned():
    class Box:
        classes = NAMES

        def probs(self, x):
            return np.full((len(x), 10), 0.1)

    with pytest.raises(ToadstoneError, match="TorchModel"):
        FinePruning().repair(Box(), pixels(60, 0), seed=0)
