"""The one training loop: gradient steps on minibatches, the step size falling as half a cosine to zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from toadstone.errors import ToadstoneError
from toadstone.models.slopes import check_slope


class Descent:
    """Gradient descent on the weights of ``net`` from where they are, for ``steps`` steps in all.

    The step size of ``optimizer`` falls as half a cosine to zero over these. ``epoch`` is the number of steps an epoch,
    by which a divergence is dated; 0 where there are none.
    """

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer, steps: int, epoch: int = 0) -> None:
        self.net, self.optimizer, self.epoch, self.done = net, optimizer, epoch, 0
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))

    def run(
        self,
        loss: Callable[[ndarray], Tensor],
        batches: Iterable[ndarray],
        after: Callable[[], None] = lambda: None,
    ) -> list[float]:
        """A step down ``loss`` of each of ``batches`` (row numbers), ``after`` it a call; the losses before each step.

        The net is in training mode meanwhile, then in evaluation mode. A later call goes on where this one ended.
        Raises ToadstoneError when a loss is not a finite number.
        """
        losses = []
        self.net.train()
        for batch in batches:
            value = loss(batch)
            losses.append(value.item())
            if not np.isfinite(losses[-1]):
                where = f"epoch {self.done // self.epoch + 1}" if self.epoch else f"step {self.done + 1}"
                raise ToadstoneError(f"training diverged in {where} (the loss is {losses[-1]}): lower lr.")
            self.optimizer.zero_grad()
            check_slope(value, "net")
            value.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
            self.done += 1
            after()
        self.net.eval()
        return losses


def minibatches(rows: ndarray, size: int) -> Iterator[ndarray]:
    """``rows`` in pieces of ``size``; a last piece of one row joins its neighbour (batch norm cannot take it)."""
    cuts = list(range(size, len(rows), size))
    if cuts and len(rows) - cuts[-1] == 1:
        cuts.pop()
    yield from np.split(rows, cuts)
