"""Pictures whose gradient with respect to the weights matches a wanted one."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from toadstone.whitebox.balls import Inside, Linf
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import Adam

_DROPS = (3 / 8, 5 / 8, 7 / 8)  # shares of the steps after which the step size falls to a tenth


def parameter_gradient(
    net: nn.Module, x: Float[Tensor, "n c h w"], y: Int[Tensor, " n"], *, differentiable: bool = False
) -> Float[Tensor, " d"]:
    """The gradient of the mean cross-entropy for all parameters, as one vector; ``net`` may be frozen."""
    weights = {name: p.detach().requires_grad_() for name, p in net.named_parameters()}
    loss = F.cross_entropy(functional_call(net, weights, (x,)), y)
    gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=differentiable, materialize_grads=True)
    return torch.cat([g.flatten() for g in gradients])


def matching_loss(
    net: nn.Module, wanted: Float[Tensor, " d"], x: Float[Tensor, "n c h w"], y: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """1 - cos(wanted, gradient of training on ``x`` and ``y``), which can be differentiated for ``x``."""
    return 1 - F.cosine_similarity(wanted, parameter_gradient(net, x, y, differentiable=True), dim=0)


def within(budget: Budget, x: Float[Tensor, "*n c h w"]) -> Inside:
    """The images that ``budget`` allows around ``x``."""
    return Inside(Linf(budget.eps / 255, x))


def signed_adam(budget: Budget) -> Adam:
    """The published steps: Adam on the sign of the slope, its step size falling to a tenth three times."""
    return Adam(budget.lr / 255, signed=True, drops=tuple(round(share * budget.steps) for share in _DROPS))
