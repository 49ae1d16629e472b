"""Softmax regression in double precision, row by row: an oracle for the training of malicious clients."""

from dataclasses import replace

import numpy as np

from toadstone.checks.federated import toy_round


def inputs(data):
    return [np.append(np.asarray(image, float).ravel() / 255, 1.0) for image in data.x]


def slope(w, data, rows):
    """The gradient of the mean cross-entropy over some rows, as a vector."""
    x, total = inputs(data), np.zeros((65, 10))
    for row in rows:
        scores = x[row] @ w.reshape(65, 10)
        odds = np.exp(scores - scores.max())
        odds /= odds.sum()
        odds[data.y[row]] -= 1
        total += np.outer(x[row], odds)
    return total.ravel() / len(rows)


def orders(n, epochs, seed):
    """The rows of each step, a list an epoch."""
    draw = np.random.default_rng(seed)
    shuffled = [draw.permutation(n) for _ in range(epochs)]
    return [[order[i : i + 20] for i in range(0, n, 20)] for order in shuffled]


def trained(start, data, plan, change=lambda w, g: g, radius=None):
    """The update of gradient descent, ``plan`` being epochs, lr and seed, with gradients changed, or kept within a
    ball after each epoch."""
    w, (epochs, lr, seed) = start.astype(float), plan
    for epoch in orders(len(data), epochs, seed):
        for rows in epoch:
            w = w - lr * change(w, slope(w, data, rows))
        if radius is not None:
            w = start + (w - start) * min(1, radius / np.sqrt(((w - start) ** 2).sum()))
    return w - start


def round_from(seed=0, scale=0.1, **changed):
    """What 5 attackers of 23 clients see at a global model that is not zero and cannot be written to."""
    weights = (scale * np.random.default_rng(seed).normal(size=650)).astype(np.float32)
    weights.flags.writeable = False
    return replace(toy_round()[2], **{"weights": weights, **changed})


def joined(view):
    """All attackers' rows."""
    first, *others = view.data
    for other in others:
        first = first.append(other)
    return first
