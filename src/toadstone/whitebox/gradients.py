"""Pictures whose gradient with respect to the weights matches a wanted one."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812 (torch's own idiom)

from toadstone.whitebox.budget import Budget
from toadstone.whitebox.pixels import to_pixels

_DROPS = (3 / 8, 5 / 8, 7 / 8)  # shares of the steps after which the step size falls to a tenth


def parameter_gradient(
    net: nn.Module, x: Float[Tensor, "n c h w"], y: Int[Tensor, " n"], *, differentiable: bool = False
) -> Float[Tensor, " d"]:
    """The gradient of the mean cross-entropy for all parameters, as one vector; ``net`` may be frozen."""
    weights = {name: p.detach().requires_grad_() for name, p in net.named_parameters()}
    loss = F.cross_entropy(functional_call(net, weights, (x,)), y)
    found = torch.autograd.grad(loss, list(weights.values()), create_graph=differentiable, materialize_grads=True)
    return torch.cat([g.flatten() for g in found])


def matching_loss(
    net: nn.Module, wanted: Float[Tensor, " d"], x: Float[Tensor, "n c h w"], y: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """1 - cos(wanted, gradient of training on ``x`` and ``y``), which can be differentiated for ``x``."""
    return 1 - F.cosine_similarity(wanted, parameter_gradient(net, x, y, differentiable=True), dim=0)


class Perturbation:
    """Several copies of the images ``x``, each moved by signed Adam within a budget from a random start."""

    def __init__(self, x: Float[Tensor, "n c h w"], copies: int, budget: Budget, seed: int) -> None:
        self.x, self.eps = x, budget.eps / 255
        draw = torch.Generator().manual_seed(seed)
        start = (2 * torch.rand(copies, *x.shape, generator=draw) - 1) * self.eps
        self.images = (x + start.to(x.device)).clamp(0, 1).requires_grad_()
        self.adam = torch.optim.Adam([self.images], budget.lr / 255)
        drops = [round(share * budget.steps) for share in _DROPS]
        self.schedule = torch.optim.lr_scheduler.MultiStepLR(self.adam, drops, 0.1)

    def step(self, net: nn.Module, wanted: Float[Tensor, " d"], y: Int[Tensor, " n"]) -> list[float]:
        """One step of every copy towards the gradient ``wanted``; the losses before it."""
        losses, gradients = [], []
        # All copies as one batch of vmap take longer, as each has weight gradients of its own.
        for copy in self.images:
            loss = matching_loss(net, wanted, copy, y)
            gradients += torch.autograd.grad(loss, copy)
            losses.append(loss.item())
        self.images.grad = torch.stack(gradients).sign()
        self.adam.step()
        self.schedule.step()
        with torch.no_grad():
            self.images.clamp_(self.x - self.eps, self.x + self.eps).clamp_(0, 1)
        return losses

    def stored(self, ndim: int) -> list[UInt8[ndarray, "n h w *c"]]:
        """Every copy as stored pixels, within the budget; see ``to_pixels``."""
        return [to_pixels(copy, ndim) for copy in self.images]
