"""Transfer learning: a new linear head on another model's features, or the whole net trained further."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import nn

from toadstone.core import Data, Trainer
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Positive
from toadstone.models.layers import last_linear
from toadstone.models.torch_model import TorchModel
from toadstone.registry import register
from toadstone.rng import child, torch_seed
from toadstone.training.train import SGD, Adam, Train

_NEVER = -1e4  # the bias of a class without rows: its optimum is minus infinity
_TOLERANCE = 1e-2  # of W: l2 times this bounds the gradient
_ITERATIONS = 20_000


@register("trainer", needs=("two classes",))
@dataclass(frozen=True)
class Transfer:
    """The net that ``base`` makes, with a new linear layer for the classes of the training rows.

    With ``frozen`` the rest stays as it is: the features of all rows are read once, and the new layer is the optimum
    of multinomial logistic regression on them,

        min over (W, b) of  mean_i CE(W f(x_i) + b, y_i) + l2 / 2 |W|^2,

    which no seed changes. Otherwise the whole net is trained further from a random new layer, with ``Train``'s loop.
    The model of ``base`` is left as it was.

    - ``base``: makes a TorchModel whose last linear layer reads its features, for instance ``Pretrained``.
    - ``frozen``: train the new layer alone.
    - ``epochs``, ``optimizer``: of the whole net; unused when ``frozen``.
    - ``l2``: the weight of the penalty, above 0; unused when not ``frozen``. Small values let single rows decide.

    Raises ToadstoneError for one class, impossible settings, and a base that makes no such model.
    """

    base: Trainer
    frozen: bool = True
    epochs: Count = 10
    optimizer: Adam | SGD = field(default_factory=Adam)
    l2: Positive = 1e-4

    def fit(self, train: Data, *, seed: int) -> TorchModel:
        """A new model for the classes of ``train``."""
        model = self.base.fit(train, seed=child(seed, "base"))
        if not isinstance(model, TorchModel):
            raise ToadstoneError(f"base makes a {type(model).__name__}: it must make a TorchModel.")
        with torch_seed(child(seed, "head")):
            net, head = _new_head(model, train)
            if self.frozen:
                weight, bias = linear_head(model.features(train.x), train.y, len(train.classes), self.l2)
                head.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
            else:
                Train(epochs=self.epochs, optimizer=self.optimizer).optimise(net, train, model.encode, seed)
        return TorchModel(net.eval(), model.feature_layer, model.encode, train.classes, model.design)


def linear_head(
    features: Float[ndarray, "n d"], y: Integer[ndarray, " n"], k: int, l2: float
) -> tuple[Float[ndarray, "k d"], Float[ndarray, " k"]]:
    """(W, b) of the optimum that ``Transfer`` describes; a class of the ``k`` without rows is never predicted.

    >>> w, b = linear_head(np.array([[-1.0], [1.0]]), np.array([0, 2]), 3, l2=0.1)
    >>> (w @ [2.0] + b).argmax(), w.round(2).ravel()
    (np.int64(2), array([-1.06,  0.  ,  1.06]))
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (slow to import)

    present, centre = np.unique(y), features.mean(0, dtype=np.float64)  # centred, the solver needs fewer steps
    c = (2 if len(present) == 2 else 1) / (l2 * len(y))  # two classes are fitted as one vector w, W = (-w/2, w/2)
    solver = LogisticRegression(C=c, tol=_TOLERANCE * l2, max_iter=_ITERATIONS)
    solver.fit(features - centre, y)
    coefficients, shift = solver.coef_, solver.intercept_
    if len(present) == 2:
        coefficients, shift = np.concatenate([-coefficients, coefficients]) / 2, np.concatenate([-shift, shift]) / 2
    weight, bias = np.zeros((k, features.shape[1])), np.full(k, _NEVER)
    weight[present], bias[present] = coefficients, shift - coefficients @ centre
    return weight, bias


def _new_head(model: TorchModel, train: Data) -> tuple[nn.Module, nn.Linear]:
    """A copy of the net whose last linear layer is a fresh one for the classes of ``train``, and that layer."""
    d, k = model.features(train.x[:1]).shape[1], len(model.classes)
    name, last = last_linear(model.net) or ("", None)
    if last is None or (last.in_features, last.out_features) != (d, k):
        raise ToadstoneError(
            f"base makes a net without a linear layer from its {d} features to its {k} classes: give one that has it."
        )
    net, head = copy.deepcopy(model.net), nn.Linear(d, len(train.classes)).to(model.device)
    net.set_submodule(name, head)
    return net, head
