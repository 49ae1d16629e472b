"""Nets whose output carries no gradient are told so by every method that needs one, and not called clean."""

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.core import Data
from toadstone.defenses.model.fine_pruning import FinePruning
from toadstone.defenses.model.neural_cleanse import NeuralCleanse
from toadstone.defenses.model.reference_cleanse import ReferenceCleanse
from toadstone.errors import ToadstoneError
from toadstone.models.encode import fit_encode
from toadstone.models.slopes import check_slope, checked_slopes
from toadstone.models.torch_model import TorchModel

DRAW = np.random.default_rng(0)
ROWS = Data(DRAW.integers(0, 255, (240, 8, 8)).astype(np.uint8), np.arange(240) % 3, ("a", "b", "c"))


def no_grad(net, x):
    with torch.no_grad():
        return net(x)


def inference(net, x):
    with torch.inference_mode():
        return net(x)


CUTS = {
    "detach": lambda net, x: net(x).detach(),
    "data": lambda net, x: net(x).data,
    "no_grad": no_grad,
    "inference_mode": inference,
    "numpy": lambda net, x: torch.from_numpy(net(x).detach().numpy()),
    "a new tensor": lambda net, x: torch.tensor(net(x).tolist()),
    "rounding": lambda net, x: net(x).round().int().float(),
    "the class alone": lambda net, x: nn.functional.one_hot(net(x).argmax(1), 3).float(),
    "a detached input": lambda net, x: net(x.detach()),
    "set_grad_enabled": lambda net, x: torch.set_grad_enabled(False)(net)(x),
}


class Cut(nn.Module):
    def __init__(self, cut):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
        self.cut = cut

    def forward(self, x):
        return self.cut(self.net, x)


def model(cut):
    return TorchModel(Cut(cut), "net.2", fit_encode(ROWS), ROWS.classes)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("inspector", [NeuralCleanse(), ReferenceCleanse()], ids=["neural", "reference"])
def test_a_cut_net_is_one_sentence_and_never_clean(cut, inspector):
    with pytest.raises(
        ToadstoneError, match=r"gradients.*: let (the forward of its net|its forward) return the tensor"
    ):
        inspector.inspect(model(CUTS[cut]), ROWS, seed=0)


@pytest.mark.parametrize("cut", ["detach", "no_grad", "numpy"])
def test_fine_tuning_a_cut_net_is_one_sentence(cut):
    with pytest.raises(ToadstoneError, match="answers without gradients"):
        FinePruning(layer="net.0").repair(model(CUTS[cut]), ROWS, seed=0)


def test_a_net_with_a_gradient_is_asked_as_before():
    whole = model(lambda net, x: net(x))
    x = whole.encode(ROWS.x[:4]).requires_grad_()
    with whole.frozen() as net:
        assert net(x).requires_grad
        assert not net(x.detach()).requires_grad  # nobody asks for a slope
        with torch.no_grad():
            net(x)
    cut = model(CUTS["detach"])
    cut.net(x)  # outside of the block nothing is checked
    with pytest.raises(ZeroDivisionError), checked_slopes(cut.net):
        cut.net(1 / 0)
    assert not cut.net._forward_hooks


def test_the_sentence_names_what_was_asked():
    check_slope(torch.ones(1, requires_grad=True), "net")
    with pytest.raises(ToadstoneError, match=r"^net answers without gradients"):
        check_slope(torch.ones(1), "net")
