"""A model's answers for large sets of rows, computed once and stored on disk."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import joblib
import numpy as np
from numpy import ndarray
from numpy.lib.format import open_memmap

from toadstone.core import Model
from toadstone.errors import ToadstoneError
from toadstone.files import new_file, writing
from toadstone.models.torch_model import TorchModel
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.rows import check_rows

M = TypeVar("M", bound=Model)

_PIECE = 8192  # rows read and answered at once
_PROBED = 8  # rows that the model answers anew before a stored answer is used


def digest_rows(x: Rows) -> str:
    """A name for the content of ``x``: its type, its shape and every entry. A memory map is read in pieces.

    >>> digest_rows(np.zeros(3)) == digest_rows(np.zeros((3, 1)))
    False
    """
    digest = hashlib.sha256(repr((x.shape, x.dtype.str)).encode())
    for start in range(0, len(x), _PIECE):
        piece = x[start : start + _PIECE]
        if x.dtype == object:
            piece = np.array([hashlib.sha256(row.encode()).digest() for row in piece])
        digest.update(np.ascontiguousarray(piece).tobytes())
    return digest.hexdigest()


def digest_model(model: Model) -> str:
    """A name for the content of ``model``: a net's layers and weights, everything that an estimator has learnt.

    Raises ToadstoneError for a model whose parts cannot be written out, as lambda functions cannot.
    """
    content: object = model
    if isinstance(model, TorchModel):
        weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.net.state_dict().items()}
        content = repr(model.net), model.feature_layer, model.encode, model.classes, weights
    try:
        return str(joblib.hash(content, hash_name="sha1"))
    except Exception as error:  # whatever the parts raise
        raise ToadstoneError(f"model {type(model).__name__} cannot be told from another: {error}") from error


def cached(model: M, folder: str | os.PathLike[str], *rows: Rows) -> M:
    """``model``, but its features and probabilities for each of ``rows`` are computed once and then read from disk.

    They come as read-only memory maps, from files in ``folder`` that are named by the content of the model and of
    the rows, and that appear only when they are whole: a run can be killed at any time, and the answers of another
    model or for other rows are never taken. Code that a name cannot tell apart (a module whose ``forward`` was
    edited) is caught by asking the first rows anew. Other rows go to the model. The model must not change meanwhile.

    Raises ToadstoneError for a model whose content cannot be read, a folder that cannot be written, and bad rows.
    """
    for x in rows:
        check_rows(x, "rows")
    prefix, known = digest_model(model), {digest_rows(x) for x in rows}
    mine = copy.copy(model)
    for what in ("features", "probs"):
        if hasattr(model, what):
            answer = partial(_stored_answer, getattr(model, what), Path(folder), f"{prefix}-{what}", known)
            object.__setattr__(mine, what, answer)  # a model may be frozen
    return mine


def _stored_answer(ask: Callable[[Rows], ndarray], folder: Path, prefix: str, known: set[str], x: Rows) -> ndarray:
    rows = digest_rows(x) if len(x) else ""
    if rows not in known:
        return ask(x)
    place = folder / f"{hashlib.sha256(f'{prefix}-{rows}'.encode()).hexdigest()[:32]}.npy"
    if not place.exists() or not _agrees(np.load(place, mmap_mode="r"), ask(x[:_PROBED])):
        _write(ask, x, place)
    return np.load(place, mmap_mode="r")


def _agrees(stored: ndarray, fresh: ndarray) -> bool:
    head = stored[:_PROBED]
    return head.shape == fresh.shape and np.allclose(head, fresh, rtol=1e-3, atol=1e-5)


def _write(ask: Callable[[Rows], ndarray], x: Rows, place: Path) -> None:
    """Answers in pieces."""
    with writing(place), new_file(place) as draft:
        out = None
        for start in track(range(0, len(x), _PIECE), "extracting"):
            piece = ask(x[start : start + _PIECE])
            if out is None:
                out = open_memmap(draft, "w+", piece.dtype, (len(x), *piece.shape[1:]))
            out[start : start + _PIECE] = piece
        if out is not None:
            out.flush()
