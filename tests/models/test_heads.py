"""What nets return, and how they are built: a plain net, wrapped by hand in each way, must be read as the same one."""

from __future__ import annotations

import collections
import copy
import dataclasses
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from toadstone import Data, ToadstoneError
from toadstone.models.foreign import adapt, among, answer, as_logits, users_net
from toadstone.models.torch_model import TorchModel, differentiable
from toadstone.training.adapt import understand

SIDE, K = 6, 4


def rows(classes=K, n=120, seed=0):
    draw = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return Data(draw.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8), y, tuple("abcdefgh"[:classes]))


def plain(outputs=K):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, outputs)
        )
        net[1].running_mean.uniform_(0.1, 0.3)
        net[-1].weight.data.mul_(6)
    return net.eval()


class Wrapped(nn.Module):
    def __init__(self, net, end):
        super().__init__()
        self.net, self.end = net, end
        self.training = net.training

    def forward(self, x):
        return self.end(self.net(x))


Named = collections.namedtuple("Named", "features logits")


@dataclasses.dataclass
class Output:
    hidden: torch.Tensor
    logits: torch.Tensor


class Slotted:
    __slots__ = ("logits",)

    def __init__(self, logits):
        self.logits = logits


HEADS = {
    "logits": lambda z: z,
    "softmax": lambda z: z.softmax(1),
    "softmax of F": lambda z: F.softmax(z, dim=-1),
    "softmax in half precision": lambda z: z.softmax(1).bfloat16(),
    "log-softmax": lambda z: z.log_softmax(1),
    "sigmoid": torch.sigmoid,
    "sigmoid, viewed": lambda z: torch.sigmoid(z)[:, :, None, None].clone(),
    "two more axes": lambda z: z[:, :, None, None],
    "double": lambda z: z.double(),
    "softmax in double": lambda z: z.double().softmax(1),
    "tuple": lambda z: (z,),
    "tuple with features before": lambda z: (torch.ones(len(z), 64), z),
    "tuple with the loss before": lambda z: (z.sum(), z),
    "list": lambda z: [z, z.detach() * 0],
    "named tuple": lambda z: Named(z * 0 + 3, z),
    "dict": lambda z: {"logits": z},
    "dict of Hugging Face's kind": lambda z: collections.OrderedDict(loss=None, logits=z, hidden_states=(z, z)),
    "dict under another name": lambda z: {"embedding": torch.ones(len(z), 7), "y_hat": z},
    "dict of several": lambda z: {"aux": z * 0, "out": z},
    "dict of softmax": lambda z: {"probs": z.softmax(1), "features": torch.ones(len(z), 9)},
    "dict in a tuple": lambda z: ({"pred": z.softmax(1)}, None),
    "dataclass": lambda z: Output(torch.ones(len(z), 2), z),
    "object": lambda z: types.SimpleNamespace(logits=z, attentions=None),
    "object with slots": Slotted,
    "probabilities before logits": lambda z: {"probabilities": z.softmax(1), "logits": z},
}


def shares(z):
    return np.exp(z - z.max(1, keepdims=True)) / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)


def truth(net, data, scale=None):
    """Probabilities by torch alone."""
    x = torch.from_numpy(data.x.transpose(0, 3, 1, 2) / np.float32(255))
    with torch.no_grad():
        z = copy.deepcopy(net).eval().float()(x)
    return z.double().softmax(1).numpy()


def ways(net, data):
    """The model out of each of the three doors."""
    encode = adapt(plain(), data).encode
    given = TorchModel(net, "net.5" if hasattr(net, "net") else "5", encode, data.classes)
    return {"audit": adapt(net, data), "own": as_logits(given, data), "learner": understand(net, data)}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("door", ["audit", "own", "learner"])
def test_a_head_is_read_as_the_plain_net(name, door):
    data = rows()
    net = Wrapped(plain(), HEADS[name])
    model = ways(net, data)[door]
    answer(model, data)
    off = 0.02 if "half" in name else 1e-4
    np.testing.assert_allclose(model.probs(data.x), truth(net.net, data), atol=off)
    assert model.logits(data.x).dtype == np.float32
    assert differentiable(model, data.x[:32])
    assert model.features(data.x[:3]).shape == (3, 64) or door == "own"
    assert users_net(model.net) is net


SATURATED = {
    "softmax": lambda z: z.softmax(1),
    "softmax of F": lambda z: F.softmax(z, dim=1),
    "softmax of torch": lambda z: torch.softmax(z, -1),
    "softmax layer": nn.Softmax(dim=1),
    "sigmoid": torch.sigmoid,
    "sigmoid of the tensor": lambda z: z.sigmoid(),
    "sigmoid layer": nn.Sigmoid(),
    "expit": torch.special.expit,
    "in a dict": lambda z: {"probs": z.softmax(1)},
    "in half precision": lambda z: z.half().softmax(1),
}


@pytest.mark.parametrize("name", SATURATED)
def test_sure_answers_keep_their_logits_and_gradients(name):
    """Probabilities that are 0 and 1 as far as single precision tells."""
    data, net = rows(), plain()
    net[-1].weight.data.mul_(300)
    model = adapt(Wrapped(net, SATURATED[name]), data)
    x = torch.from_numpy(data.x.transpose(0, 3, 1, 2) / np.float32(255))
    want = net(x).detach()
    assert (want.max(1)[0] - want.min(1)[0]).median() > 150  # single precision ends at 103
    np.testing.assert_allclose(model.logits(data.x), want, rtol=1e-3)
    batch = x.clone().requires_grad_()
    F.cross_entropy(model.net(batch), torch.full((len(x),), 2)).backward()
    assert (batch.grad.abs().sum((1, 2, 3)) > 0).float().mean() > 0.5


def test_sigmoids_of_frozen_nets_are_seen():
    data, net = rows(), plain().requires_grad_(False)
    assert adapt(Wrapped(net, torch.sigmoid), data).net.head.scale == "sigmoids"


def test_a_plain_net_is_taken_as_it_is():
    data, net = rows(), plain()
    for model in ways(net, data).values():
        assert users_net(model.net) is net
        assert not model.notes
    assert as_logits(ways(net, data)["audit"], data).net is not net
    given = TorchModel(net, "5", adapt(net, data).encode, data.classes)
    assert as_logits(given, data) is given


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda z: z.softmax(1), "The net's answer: probabilities."),
        (lambda z: {"logits": z}, "The net's answer: answers at logits; logits."),
        (torch.sigmoid, "sigmoids"),
    ],
)
def test_how_it_was_read_is_said(end, said):
    (note,) = adapt(Wrapped(plain(), end), rows()).notes
    assert said in note


@pytest.mark.parametrize(
    "end",
    [
        lambda z: z,
        lambda z: z[:, 0],
        torch.sigmoid,
        lambda z: torch.sigmoid(z).squeeze(1),
        lambda z: {"logit": z},
        lambda z: (torch.sigmoid(z),),
    ],
)
def test_one_number_for_two_classes(end):
    data, net = rows(2), plain(1)
    x = torch.from_numpy(data.x.transpose(0, 3, 1, 2) / np.float32(255))
    second = torch.sigmoid(net(x)).detach().numpy()
    model = adapt(Wrapped(net, end), data)
    np.testing.assert_allclose(model.probs(data.x), np.concatenate([1 - second, second], 1), atol=1e-4)


def test_two_numbers_for_two_classes():
    data, net = rows(2), plain(2)
    for end in (lambda z: z, lambda z: z.softmax(1), lambda z: z.log_softmax(1)):
        np.testing.assert_allclose(adapt(Wrapped(net, end), data).probs(data.x), truth(net, data), atol=1e-4)


class Normalising(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.0))

    def forward(self, x):
        return self.net(x - self.mean)


def compiled(net):
    """As torch.compile wraps a net, without a compiler."""
    made = nn.Module()
    made._orig_mod = net
    made.forward = net.forward
    return made


class Casting(nn.Module):
    """Counts on the precision of its own weights."""

    def __init__(self, net, dtype):
        super().__init__()
        self.net, self.dtype = net.to(dtype), dtype

    def forward(self, x):
        return self.net(x.to(self.dtype))


class Mixed(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.net(x)


BUILDS = {
    "casts to double": lambda net: Casting(net, torch.float64),
    "casts to bfloat16": lambda net: Casting(net, torch.bfloat16),
    "bfloat16 by autocast": Mixed,
    "traced by fx": torch.fx.symbolic_trace,
    "half": lambda net: net.half(),
    "bfloat16": lambda net: net.bfloat16(),
    "double": lambda net: net.double(),
    "train mode": lambda net: net.train(),
    "one layer in train mode": lambda net: (net[1].train(), net)[1],
    "DataParallel": nn.DataParallel,
    "DataParallel in train mode": lambda net: nn.DataParallel(net).train(),
    "DataParallel twice": lambda net: nn.DataParallel(nn.DataParallel(net)),
    "compiled": compiled,
    "normalises inside": Normalising,
    "frozen": lambda net: net.requires_grad_(False),
    "half and in train mode": lambda net: net.half().train(),
    "softmax in half precision": lambda net: Wrapped(net.half(), HEADS["softmax"]),
}


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("door", ["audit", "learner"])
def test_a_net_is_asked_in_single_precision_and_evaluation_mode_and_stays_as_it_is(name, door):
    data, want = rows(), truth(plain(), rows())
    net = BUILDS[name](plain())
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [part.training for part in net.modules()]
    model = adapt(net, data) if door == "audit" else understand(net, data)
    answer(model, data)
    rounding = {"half": 5e-3, "bfloat16": 5e-2}
    off = next((rounding[word] for word in rounding if word in name), 1e-5)
    np.testing.assert_allclose(model.probs(data.x), want, atol=off)
    assert differentiable(model, data.x[:32])
    assert model.logits(data.x).dtype == np.float32
    assert [part.training for part in net.modules()] == modes
    after = net.state_dict()
    assert all(torch.equal(v, after[k]) and v.dtype == after[k].dtype for k, v in before.items())


class Always(nn.Module):
    """Dropout that forgets the mode."""

    def __init__(self):
        super().__init__()
        self.net = plain()

    def forward(self, x):
        return F.dropout(self.net(x), 0.5)


def test_a_net_that_answers_differently_each_time_is_refused():
    with pytest.raises(ToadstoneError, match=r"differently each time.*F.dropout\(x, training=self.training\)"):
        answer(adapt(Always(), rows()), rows())


NO_GRADIENTS = {
    "detached": lambda net, x: net(x).detach(),
    "no_grad": torch.no_grad()(lambda net, x: net(x)),
    "by way of numpy": lambda net, x: torch.from_numpy(net(x).detach().numpy()),
    "of a detached input": lambda net, x: net(x.detach()),
    "of whole grey levels": lambda net, x: net((x * 255).byte() / 255),
    "of rounded pixels": lambda net, x: net((x * 255).round() / 255),
    "the class alone": lambda net, x: F.one_hot(net(x).argmax(1), K).float(),
    "a vote": lambda net, x: (net(x) > 0).float() * 9 - 3,
    "inference mode": torch.inference_mode()(lambda net, x: net(x)),
    "detached probabilities": lambda net, x: net(x).softmax(1).detach(),
}


class Cut(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.net, self.how = plain(), how

    def forward(self, x):
        return self.how(self.net, x)


@pytest.mark.parametrize("name", NO_GRADIENTS)
def test_answers_without_gradients_are_seen(name):
    data = rows()
    model = adapt(Cut(NO_GRADIENTS[name]), data)
    answer(model, data)
    assert not differentiable(model, data.x[:32])


REFUSED = {
    "numpy": (lambda z: z.detach().numpy(), "with a ndarray but clean has 4 classes: wrap it in a torch.nn.Module"),
    "numpy in a dict": (lambda z: {"logits": z.detach().numpy()}, "with a dict"),
    "a list of numbers": (lambda z: z.tolist(), "with a list"),
    "nothing": (lambda z: None, "with a NoneType"),
    "text": (lambda z: "cat", "with a str"),
    "the class": (lambda z: z.argmax(1), r"answers \(\) a row but clean has 4 classes"),
    "the classes in order": (lambda z: z.argsort(1), r"answers \(4,\) a row"),
    "a loss": (lambda z: z.sum(), "but clean has 4 classes"),
    "too few": (lambda z: z[:, :3], r"answers \(3,\) a row but clean has 4 classes"),
    "a map of classes": (lambda z: z[:, :, None, None].expand(-1, -1, 2, 2), r"answers \(4, 2, 2\) a row"),
    "turned over": (lambda z: z.T, "but clean has 4 classes"),
    "features": (lambda z: (z[:, :2], z[:, :1]), r"answers \(2,\), \(1,\) a row"),
    "six of which four are named": (lambda z: torch.cat([z, z], 1), r"\(8,\) a row but clean has 4 classes: give the"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_answers_are_refused_with_the_way_to_wrap_them(name):
    end, words = REFUSED[name]
    with pytest.raises(ToadstoneError, match=words) as told:
        adapt(Wrapped(plain(), end), rows())
    assert "forward returns the tensor of logits" in str(told.value) or "give the names" in str(told.value)
    with pytest.raises(ToadstoneError):
        understand(Wrapped(plain(), end), rows())


def test_rows_of_some_of_the_nets_classes():
    data, net = rows(3), plain(40)
    want = truth(net, data)
    faces = Data(data.x, data.y, ("7", "039", "12"))
    model = adapt(net, faces)
    np.testing.assert_allclose(model.probs(data.x), want, atol=1e-5)
    assert model.classes == tuple(map(str, range(40)))
    all_of_them = among(faces, model.classes)
    np.testing.assert_array_equal(all_of_them.y, np.array([7, 39, 12])[data.y])
    names = [f"person {i}" for i in range(40)]
    some = Data(data.x, data.y, ("person 5", "person 30", "person 0"))
    np.testing.assert_array_equal(among(some, adapt(net, some, classes=names).classes).y, np.array([5, 30, 0])[data.y])
    told = plain(40)
    told.config = types.SimpleNamespace(id2label=dict(enumerate(names)))
    assert adapt(told, some).classes == tuple(names)
    for classes in (("7", "8", "40"), ("a", "b", "c"), ("1", "2", "x")):
        with pytest.raises(ToadstoneError, match=r"\(40,\) a row but clean has 3 classes: give the names"):
            adapt(net, Data(data.x, data.y, classes))
    with pytest.raises(ToadstoneError, match="40 classes but clean has 3, and 'c' is none of them"):
        among(Data(data.x, data.y, ("person 1", "person 2", "c")), names)
    with pytest.raises(ToadstoneError, match="two of them are the same"):
        among(Data(data.x, data.y, ("1", "01", "2")), tuple(map(str, range(40))))


def test_the_same_names_in_another_order_are_matched_by_name():
    data = rows(3)
    np.testing.assert_array_equal(among(data, ("b", "c", "a")).y, np.array([2, 0, 1])[data.y])
    assert among(data, ("a", "b", "c")) is data
    assert among(data, ("cat", "dog", "owl")) is data  # other names: in the order that they have
