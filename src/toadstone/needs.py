"""What an algorithm needs of its model and rows: a word, a check and an error message for each need.

``registry.register`` guards the verb of every algorithm with its words, so that no algorithm has to check them,
even when it is called directly. A setting that is out of range is a plain ToadstoneError instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from numbers import Number
from os import PathLike
from typing import Any

import numpy as np

from toadstone.core import Data, FeatureModel, Pool
from toadstone.errors import NotApplicableError, ToadstoneError, no_gradients
from toadstone.overlay import Overlay
from toadstone.rows import check_two_classes

VERBS = ("poison", "train", "implant", "fit", "score", "inspect", "repair", "watch", "purify")
Arguments = Mapping[str, Any]  # the arguments of a verb under its own names


def _rows(arguments: Arguments) -> dict[str, Any]:
    """The sets of rows among the arguments: the one in question first, then the trusted ones, or both as a pool."""
    if isinstance(arguments.get("pool"), Pool):
        return {"data": arguments["pool"].data}
    return {name: arguments[name] for name in ("data", "train", "inputs", "clean") if arguments.get(name) is not None}


def _labelled(arguments: Arguments) -> tuple[str, Data]:
    return next((name, rows) for name, rows in _rows(arguments).items() if isinstance(rows, Data))


def _labels(arguments: Arguments) -> None:
    name, rows = _labelled(arguments)
    if not rows.classes:
        raise NotApplicableError(f"{name} is a regression set; a classification set is needed here.")


def _two_classes(arguments: Arguments) -> None:
    name, rows = _labelled(arguments)
    check_two_classes(rows, name)


def _numbers(arguments: Arguments) -> None:
    name, rows = _labelled(arguments)
    if rows.classes:
        raise NotApplicableError(
            f"{name} is a classification set; a regression set (float y, classes=()) is needed here."
        )


def _images(arguments: Arguments) -> None:
    for name, rows in _rows(arguments).items():
        x = rows.x if isinstance(rows, Data) else rows
        if isinstance(x, np.ndarray | Overlay) and (x.dtype != np.uint8 or x.ndim not in (3, 4)):
            raise NotApplicableError(f"{name} must hold uint8 images, not {x.dtype} rows of shape {x.shape[1:]}.")


def _image_model(arguments: Arguments) -> None:
    modality = getattr(getattr(arguments["model"], "encode", None), "modality", "other rows")
    if modality != "image":
        raise NotApplicableError(f"model {_kind(arguments)} reads {modality}: one that reads images is needed here.")


def _text(arguments: Arguments) -> None:
    for name, rows in _rows(arguments).items():
        x = rows.x if isinstance(rows, Data) else rows
        if x.dtype != object:
            raise NotApplicableError(f"{name} must hold text, not {x.dtype} rows of shape {x.shape[1:]}.")


def _trusted(arguments: Arguments) -> None:
    pool = arguments.get("pool")
    if arguments.get("clean") is None and (pool is None or not pool.trusted.any()):
        raise NotApplicableError("clean is missing: give trusted rows, or choose an algorithm that needs none.")


def _trusted_if_any(arguments: Arguments) -> None:
    """Nothing to check: it works without them, and better with them."""


def _probs(arguments: Arguments) -> None:
    if not hasattr(arguments["model"], "probs"):
        raise NotApplicableError(f"model {_kind(arguments)} gives no probabilities: a classifier is needed here.")


def _features(arguments: Arguments) -> None:
    if not isinstance(arguments["model"], FeatureModel):
        raise NotApplicableError(
            f"model {_kind(arguments)} has no features to read: choose an algorithm that needs none."
        )


def _gradients(arguments: Arguments) -> None:
    # what a TorchModel has and no other; the class itself lives above this floor
    if not all(hasattr(arguments["model"], part) for part in ("net", "encode", "frozen")):
        raise NotApplicableError(f"model is a {_kind(arguments)}, without gradients: a TorchModel is needed here.")
    if not _attached(arguments):
        raise no_gradients("model")


def _attached(arguments: Arguments) -> bool:
    """Whether the model's answer to some of the rows can be differentiated, as far as it can say."""
    ask, rows = getattr(arguments["model"], "attached", None), next(iter(_rows(arguments).values()), None)
    if ask is None or rows is None:
        return True
    try:
        return bool(ask(rows.x if isinstance(rows, Data) else rows))
    except Exception:  # rows that it does not take, which the algorithm says better
        return True


def _server_rows(arguments: Arguments) -> None:
    if not arguments["server_rows"]:
        raise NotApplicableError("server_rows is 0: set rows aside for the server, or choose a rule that needs none.")


def _kind(arguments: Arguments) -> str:
    return type(arguments["model"]).__name__


WORDS: dict[str, Callable[[Arguments], None]] = {
    "labels": _labels,
    "two classes": _two_classes,
    "numbers": _numbers,
    "images": _images,
    "image model": _image_model,
    "text": _text,
    "trusted rows": _trusted,
    "trusted rows if any": _trusted_if_any,
    "probs": _probs,
    "features": _features,
    "gradients": _gradients,
    "server's rows": _server_rows,
}
"""The words that ``register(needs=...)`` takes:

- "labels": rows with class labels. "two classes": and of two classes at least. "numbers": with a number to predict.
- "images": uint8 images (n, h, w) or (n, h, w, c). "image model": a model that reads them. "text": strings.
- "trusted rows": some are given. "trusted rows if any": its method reads which rows of the pool are trusted, but works
  without any. "server's rows": ``server_rows`` of a federated run is above 0; checked before its first round.
- "probs", "features", "gradients": a model that has these; gradients need a TorchModel.
"""


def check(needs: tuple[str, ...], given: Mapping[str, Any]) -> None:
    """Raise NotApplicableError unless the arguments ``given``, by name, have everything in ``needs``.

    The names are those of the contracts' verbs: model, data, pool, train, inputs, clean; of a federated run,
    server_rows.

    >>> from toadstone.core import Data
    >>> check(("two classes",), {"data": Data(np.zeros((2, 3)), np.zeros(2, int), ("one", "two"))})
    Traceback (most recent call last):
    ...
    toadstone.errors.NotApplicableError: data holds a single class; rows of at least two are needed.
    """
    for word in needs:
        WORDS[word](given)


def check_kinds(given: Mapping[str, Any]) -> None:
    """Raise ToadstoneError for an argument of a verb that is another kind of thing, as an array or a path is.

    >>> check_kinds({"train": "pictures/"})
    Traceback (most recent call last):
    ...
    toadstone.errors.ToadstoneError: train is a str, not a Data: load a path with ...
    """
    for name, kind, mend in _KINDS:
        value = given.get(name)
        if value is not None and not isinstance(value, kind):
            raise ToadstoneError(f"{name} is {_article(value)}, not {mend}.")
    model = given.get("model")
    if isinstance(model, str | PathLike | Mapping | Sequence | Number | np.ndarray):
        raise ToadstoneError(
            f"model is {_article(model)}, which cannot predict: wrap a net in toadstone.models.TorchModel, load a file "
            "with toadstone.models.load."
        )


_DATA = "a Data: load a path with toadstone.data.load, or make a Data(x, y, classes) of arrays"
_KINDS: tuple[tuple[str, Any, str], ...] = (
    ("pool", Pool, "a Pool: make one by Pool.of(data, clean), or ask toadstone.judge, which does"),
    *((name, Data, _DATA) for name in ("train", "data", "clean")),
    ("inputs", np.ndarray | Overlay, "an array of rows: give the x of a Data, or stack them"),
)


def _article(value: object) -> str:
    noun = "array" if isinstance(value, np.ndarray) else type(value).__name__
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def guard(cls: type, needs: tuple[str, ...]) -> None:
    """Let the verbs of ``cls`` check, before any work starts, the kinds of their arguments, ``needs``, and those of its
    property ``needs`` if it has one, for needs that depend on a setting.

    Raises RuntimeError for a word that is not in WORDS.
    """
    unknown = [word for word in needs if word not in WORDS]
    if unknown:
        raise RuntimeError(f"{cls.__name__} needs {unknown[0]!r}, which is not a word of needs.py: {', '.join(WORDS)}.")
    for verb in VERBS:
        if verb in vars(cls):
            setattr(cls, verb, _guarded(vars(cls)[verb], needs))


def _guarded(verb: Callable[..., Any], needs: tuple[str, ...]) -> Callable[..., Any]:
    signature = inspect.signature(verb)

    @wraps(verb)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind_partial(self, *args, **kwargs).arguments
        check_kinds(given)
        check((*getattr(self, "needs", ()), *needs), given)
        return verb(self, *args, **kwargs)

    return checked
