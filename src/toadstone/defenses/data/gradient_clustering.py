"""Gradient clustering. Chan & Ong, "Poison as a Cure", 2019, arXiv:1911.08040."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Integer
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator, eigsh

from toadstone.core import FeatureModel, Model, Pool, Suspicion
from toadstone.defenses.data.activation_clustering import accuse
from toadstone.errors import NotApplicableError
from toadstone.fields import Share
from toadstone.maths.two_means import two_means
from toadstone.models import torch_model
from toadstone.models.torch_model import TorchModel
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.registry import register


def unit(rows: Float[ndarray, "n d"]) -> Float64[ndarray, "n d"]:
    """Rows of length 1; rows of zeros stay."""
    directions: ndarray = rows / np.maximum(np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True), 1e-300)
    return directions


def output_gradients(probs: Float[ndarray, "n k"], y: Integer[ndarray, " n"]) -> Float64[ndarray, "n k"]:
    """The direction of p - e_y, the cross-entropy's gradient for the logits, however sure the model is."""
    error, at = probs.astype(np.float64), np.arange(len(y))
    error[at, y] = 0.0
    error[at, y] = -error.sum(1)  # p_y - 1, without the cancellation
    return unit(error)


def at_last_layer(model: Model, x: Rows, y: Integer[ndarray, " n"]) -> tuple[ndarray, ndarray]:
    """The factors p - e_y and (f, 1) of the direction of each row's gradient for the last layer's weights."""
    assert isinstance(model, FeatureModel)
    features = model.features(x)
    return output_gradients(model.probs(x), y), unit(np.column_stack([features, np.ones(len(features))]))


def at_input(model: Model, x: Rows, y: Integer[ndarray, " n"]) -> tuple[ndarray, ndarray]:
    """The factors 1 and the direction of the gradient for each row as the net sees it, flattened."""
    assert isinstance(model, TorchModel)
    gradients = []
    with model.frozen() as net:
        for i in range(0, len(y), torch_model.BATCH):
            rows = slice(i, i + torch_model.BATCH)
            batch = model.encode(np.asarray(x[rows])).to(model.device)
            if not batch.is_floating_point():
                raise NotApplicableError(
                    'the model reads word numbers, which have no gradient: set at to "last layer".'
                )
            logits = net(batch.requires_grad_())
            error = output_gradients(logits.detach().double().softmax(1).cpu().numpy(), y[rows])
            (gradient,) = torch.autograd.grad(logits, batch, torch.from_numpy(error).to(logits))
            gradients.append(unit(gradient.flatten(1).cpu().numpy()))
    return np.ones((len(y), 1)), np.concatenate(gradients)


def alignment(left: Float64[ndarray, "n k"], right: Float64[ndarray, "n d"]) -> Float64[ndarray, " n"]:
    """|<g, v>| for g = left outer right, row by row, and v the first right singular vector of all g; 1 where g is 0.

    These are the entries of the Gram matrix's first eigenvector times the root of its eigenvalue. Neither that matrix
    nor the n x k x d products are ever formed.

    >>> alignment(np.ones((3, 1)), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).round(6)
    array([1., 1., 0.])
    """
    aligned, some = np.ones(len(left)), left.any(1) & right.any(1)
    n, left, right = int(some.sum()), left[some], right[some]

    def gram(u: ndarray) -> ndarray:
        total = (u.reshape(-1, 1) * left).T @ right
        return (left * (right @ total.T)).sum(1)

    if n > 1:
        value, vector = eigsh(LinearOperator((n, n), gram, dtype=np.float64), k=1, v0=np.ones(n))
        aligned[some] = np.sqrt(max(value[0], 0.0)) * np.abs(vector[:, 0])
    return aligned


def suspicion(aligned: Float64[ndarray, " n"], trusted: Bool[ndarray, " n"], level: float) -> Float64[ndarray, " n"]:
    """1 - ``aligned``; where the trusted rows of the class speak against one of its two clusters at ``level``, the
    rows of that cluster gain 1, and if it is the aligned one ``aligned`` takes the place of 1 - ``aligned``."""
    part = two_means(aligned[:, None])
    apart = part if part[aligned.argmin()] else ~part
    suspect_apart, p = accuse(apart, trusted)
    if p > level:
        return 1 - aligned
    scores: ndarray = (1 - aligned if suspect_apart else aligned) + (apart == suspect_apart)
    return scores


@register("detector", needs=("two classes", "features", "probs", "trusted rows if any"))
@dataclass(frozen=True)
class GradientClustering:
    """Scores a row by how far the gradient of its loss points away from the direction that its class shares.

    Works at the last layer on wrong labels and, less sharply, on backdoors; at the input on triggers that a
    convolutional net has learnt. Fails at the input on wrong labels and in nets without convolutions (digits with a
    patch: AUROC 0.56), and on clean-label poison, which the model takes for its label as it does other rows. Clean
    rows that are hard score like poison. Where poison is most of a class, the shared direction can be the poison's:
    then trusted rows are needed.

    Per class, with the unit gradients g of the cross-entropy and v their first right singular vector,

        score = 1 - |<g, v>|.

    At the last layer g is along (p - e_y) times (f, 1), p the probabilities and f the features; at the input it is
    backpropagated. The paper cuts a class in two by |<g, v>| and takes the side along v for the poison; where clean
    rows agree on a direction, as they do here, that is the clean side. So trusted rows judge: a class is suspicious
    when one side of the cut holds fewer of them than chance allows at ``level``. The rows of that side gain 1 and,
    if it is the side along v, the class scores |<g, v>| instead.

    - ``at``: "last layer", for models with features and probabilities, or "input", for nets that read numbers.
    - ``level``: the chance that a clean class's trusted rows speak against one of its sides.

    Raises ToadstoneError when these are out of range, for a regression set, one class, trusted rows of other classes,
    a model without features ("last layer"), a model that is not a TorchModel and text ("input").
    """

    at: Literal["last layer", "input"] = "last layer"
    level: Share = 0.01

    @property
    def needs(self) -> tuple[str, ...]:
        """What ``at`` asks of the model."""
        return () if self.at == "last layer" else ("gradients",)

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. The seed plays no part."""
        x, y, values = pool.data.x, pool.data.y, np.empty(len(pool.data))
        factors = at_last_layer if self.at == "last layer" else at_input
        for c in track(np.unique(y), "gradient clustering"):
            rows = np.flatnonzero(y == c)
            aligned = alignment(*factors(model, x[rows], y[rows]))
            values[rows] = suspicion(aligned, pool.trusted[rows], self.level)
        return Suspicion(values)
