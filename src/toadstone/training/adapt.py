"""Whatever model a user has, in the form that an audit needs: a trainer, a trained model, or its answers."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from toadstone.core import Data, Model, Trainer
from toadstone.data.arrays import read_npz
from toadstone.errors import ToadstoneError
from toadstone.models.cache import digest_model
from toadstone.models.encode import Encode, fit_encode
from toadstone.models.foreign import ask
from toadstone.models.heads import Headed, is_plain, read_head, settled
from toadstone.models.layers import before_last_linear
from toadstone.models.nets import SmallCNN
from toadstone.models.sklearn_model import SklearnModel
from toadstone.models.torch_model import TorchModel, device_of
from toadstone.overlay import Rows
from toadstone.rng import child
from toadstone.rows import check_rows
from toadstone.training.estimators import fitted, letters
from toadstone.training.train import Adam, Train

_SMALL = 3_000_000  # values of a table that trees are grown on; larger ones get a linear model
_PAGE = 64  # texts a forward pass


@dataclass(frozen=True, eq=False)
class Precomputed:
    """Your model's answers for the rows, as arrays; those for the trusted rows follow where these are given separately.

    - ``probs``: class probabilities, (n, k). You promise that no row's come from a model trained on that row.
    - ``features``: (n, d) numbers, or None.

    Raises ToadstoneError when they are not such arrays.
    """

    probs: Float[ndarray, "n k"] | None = None
    features: Float[ndarray, "n d"] | None = None

    def __post_init__(self) -> None:
        if self.probs is None and self.features is None:
            raise ToadstoneError("probs and features are both missing: give one of them at least.")
        for name in ("probs", "features"):
            values = getattr(self, name)
            if values is not None:
                check_rows(values, name)
                if values.ndim != 2:
                    raise ToadstoneError(f"{name} has shape {values.shape}: give one line of numbers for each row.")

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Precomputed:
        """The arrays ``probs`` and ``features``, or one of them, of an .npz. ToadstoneError for anything else."""
        arrays = read_npz(Path(path))
        return Precomputed(arrays.get("probs"), arrays.get("features"))

    def check(self, rows: int, classes: int) -> None:
        """Raise ToadstoneError unless there is a line for each of ``rows`` and a column of ``probs`` for each class."""
        for name in ("probs", "features"):
            values = getattr(self, name)
            if values is not None and len(values) != rows:
                raise ToadstoneError(
                    f"{name} has {len(values)} lines but there are {rows} rows: give one for each row, then one for "
                    "each trusted row that is given separately."
                )
        if self.probs is not None and self.probs.shape[1] != classes:
            raise ToadstoneError(f"probs has {self.probs.shape[1]} columns but there are {classes} classes.")


@dataclass(frozen=True, eq=False)
class Estimator:
    """A scikit-learn estimator or pipeline as a trainer: fits a clone on flattened rows or on texts."""

    estimator: Any

    def fit(self, train: Data, *, seed: int) -> SklearnModel:
        """A new model fitted to ``train``."""
        from sklearn.base import clone  # noqa: PLC0415 (slow to import)

        estimator = clone(self.estimator)
        seeds = {name: child(seed, name) % 2**32 for name in estimator.get_params() if name.endswith("random_state")}
        estimator.set_params(**{name: value for name, value in seeds.items() if estimator.get_params()[name] is None})
        return fitted(estimator, train)


@dataclass(frozen=True, eq=False)
class HubText:
    """A Hugging Face text classifier: a tokenizer and a model that gives logits."""

    tokenizer: Any
    model: Any
    classes: tuple[str, ...]

    def probs(self, x: Rows) -> Float[ndarray, "n k"]:
        """Softmax of the logits."""
        return self._run(x)[0]

    def features(self, x: Rows) -> Float[ndarray, "n d"]:
        """The first token's last hidden state."""
        return self._run(x)[1]

    def _run(self, x: Rows) -> tuple[ndarray, ndarray]:
        answers, features, device = [], [], device_of(self.model)
        self.model.eval()
        for start in range(0, len(x), _PAGE):
            page = self.tokenizer(list(x[start : start + _PAGE]), padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                out = self.model(**{name: part.to(device) for name, part in page.items()}, output_hidden_states=True)
            answers.append(torch.softmax(out.logits.cpu().double(), 1).numpy())
            features.append(out.hidden_states[-1][:, 0].cpu().float().numpy())
        probs = np.concatenate(answers)
        if probs.shape[1] != len(self.classes):
            raise ToadstoneError(f"model knows {probs.shape[1]} classes but the data have {len(self.classes)}.")
        return probs, np.concatenate(features)


def understand(model: Any, data: Data) -> Trainer | Model | Precomputed:
    """``model`` as one of the three; None is a trainer that suits the data. ToadstoneError for anything else."""
    role = default_trainer(data) if model is None else _role(model, data)
    if role is None:
        raise ToadstoneError(
            f"model is a {type(model).__name__}: give a toadstone trainer or model, a scikit-learn estimator, a torch "
            "module, a Hugging Face text classifier, or Precomputed arrays."
        )
    if isinstance(role, Model) and role.classes != data.classes:
        raise ToadstoneError(
            f"model knows the classes {', '.join(role.classes)}: they must be the data's, in its order."
        )
    return role


def _role(model: Any, data: Data) -> Trainer | Model | Precomputed | None:
    if isinstance(model, nn.Module):
        return wrap_module(model, data)
    if isinstance(model, Precomputed | Model) or model is None:
        return model
    if hasattr(model, "fit") and hasattr(model, "get_params"):
        return Estimator(model)
    if hasattr(model, "tokenizer") and hasattr(model, "model"):
        return _hub_text(model, data)
    return model if isinstance(model, Trainer) and not isinstance(model, type) else None


def _hub_text(pipeline: Any, data: Data) -> HubText:
    try:
        importlib.import_module("transformers")
    except ImportError as error:
        raise ToadstoneError(
            "A Hugging Face text classifier needs transformers: `pip install transformers`."
        ) from error
    if data.x.dtype != object:
        raise ToadstoneError("model is a text classifier but the data are not texts.")
    return HubText(pipeline.tokenizer, pipeline.model, data.classes)


def wrap_module(net: nn.Module, data: Data) -> TorchModel:
    """A trained module that maps encoded rows (images in [0, 1], standardised columns) to logits, or to what `Head`
    makes logits of; its features are what goes into the last linear layer. The module itself stays as it is.

    Raises ToadstoneError where it cannot read the rows or its answer does not fit the classes.
    """
    encode = fit_encode(data)
    try:
        try:
            inner, order, out, rows = _asked(settled(net), encode, data)
        except Exception:  # it may count on its own precision
            inner, order, out, rows = _asked(settled(net, single=False), encode, data)
    except Exception as error:  # a stranger's module raises what it likes
        raise ToadstoneError(
            f"model cannot read the rows as {encode.modality} of shape {encode.shape}: {error}"
        ) from error
    head, count = read_head(out, rows, len(data.classes))
    if count != len(data.classes):
        raise ToadstoneError(f"model gives outputs of shape ({count},): it must give {len(data.classes)} logits.")
    layer = before_last_linear(inner, order) or order[0]
    if is_plain(out, head):
        return TorchModel(inner, layer, encode, data.classes)
    return TorchModel(Headed(inner, head), f"net.{layer}", encode, data.classes, notes=(f"The net's answer: {head}.",))


def _asked(net: nn.Module, encode: Encode, data: Data) -> tuple[nn.Module, list[str], Any, int]:
    """(the net, its parts in the order in which they answer, what it returns for some rows, how many rows)."""
    order: list[str] = []
    hooks = [m.register_forward_hook(lambda *_, n=name: order.append(n)) for name, m in net.named_modules() if name]
    try:
        return (net, order, *ask(net, net, encode, data))
    finally:
        for hook in hooks:
            hook.remove()


def default_trainer(data: Data) -> Trainer:
    """What an audit trains where no model is given."""
    if data.x.dtype == np.uint8 and data.x.ndim in (3, 4):
        return Train(SmallCNN(16, 128), epochs=max(5, min(20, 30_000 // len(data))), optimizer=Adam(2e-3))
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (slow to import)
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression, SGDClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if data.x.dtype == object:
        weights = TfidfVectorizer(**{"ngram_range": (1, 2)} | letters(data.x))
        return Estimator(make_pipeline(weights, LogisticRegression(C=10, max_iter=200)))
    if int(np.prod(data.x.shape)) <= _SMALL:
        return Estimator(RandomForestClassifier(200, min_samples_leaf=2))
    return Estimator(
        make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", max_iter=5, tol=None, average=True))
    )


def digest(model: Any) -> str | None:
    """A name for the content of a trainer, a model or arrays; None where it has none."""
    try:
        content = model.estimator if isinstance(model, Estimator) else model
        return digest_model(content) if isinstance(content, Model) else f"{type(content)} {joblib.hash(content)}"
    except Exception:  # whatever the parts raise
        return None
