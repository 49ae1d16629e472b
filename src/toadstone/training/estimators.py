"""Estimators of scikit-learn as users have them: fitted on what they take, arrays, texts or frames with gaps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from toadstone.columns import Column
from toadstone.core import Data
from toadstone.data.encoding import decode
from toadstone.errors import ToadstoneError
from toadstone.models.sklearn_model import SklearnModel, flat
from toadstone.overlay import Rows

if TYPE_CHECKING:
    import pandas as pd

_WORD = re.compile(r"(?u)\b\w\w+\b")  # what scikit-learn counts as one
_DAY = 86_400_000_000  # microseconds


def fitted(estimator: Any, train: Data) -> SklearnModel:
    """A model of the estimator, fitted here. Rows of a table whose columns are known go to an estimator that takes
    frames (one that names columns, or reads categories) as a frame of pandas, with texts and gaps as in the table.

    Raises ToadstoneError where the estimator refuses the rows.
    """
    rows, name = flat(train.x), type(estimator).__name__
    if train.columns and takes_frames(estimator, train.columns):
        estimator = _on_frames(estimator, train.columns)
    try:
        return SklearnModel(estimator.fit(rows, train.y), train.classes)
    except ToadstoneError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        said = " ".join(str(error).split())[:200].rstrip(".")
        raise ToadstoneError(f"model {name} cannot be fitted to these rows: {said}.") from error


def takes_frames(estimator: Any, columns: Sequence[Column]) -> bool:
    """Whether what reads the rows first names columns, or reads categories or gaps where the table has them."""
    from sklearn.base import BaseEstimator  # noqa: PLC0415 (slow to import)
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415

    first = _first(estimator)
    if isinstance(first, ColumnTransformer):
        return True
    if all(column.part == "number" for column in columns) or not isinstance(first, BaseEstimator):
        return False
    tags = first.__sklearn_tags__().input_tags
    own = hasattr(first, "transform") and not type(first).__module__.startswith("sklearn.")
    return bool(tags.categorical or tags.string or own or _boosts(first))


def _first(estimator: Any) -> Any:
    """What reads the rows: the first step of pipelines, inside searches and the like."""
    while True:
        if getattr(estimator, "steps", None):
            estimator = estimator.steps[0][1]
        elif getattr(estimator, "transformer_list", None):
            estimator = estimator.transformer_list[0][1]
        elif hasattr(getattr(estimator, "estimator", None), "fit"):
            estimator = estimator.estimator
        else:
            return estimator


def _boosts(estimator: Any) -> bool:
    return type(estimator).__name__.startswith("HistGradientBoosting")


def _on_frames(estimator: Any, columns: Sequence[Column]) -> Any:
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 (slow to import)
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    read = partial(frame_of, columns=tuple(columns), categories=_boosts(_first(estimator)))
    return make_pipeline(FunctionTransformer(read), estimator)


def frame_of(x: ndarray, columns: Sequence[Column], categories: bool = False) -> pd.DataFrame:
    """The rows as a frame of the table's columns: numbers, dates, and texts, as pandas' categories where asked."""
    try:
        import pandas as pd  # noqa: PLC0415 (not among the packages that come along)
    except ImportError as error:
        raise ToadstoneError("model takes frames: `pip install pandas`.") from error
    made = {}
    for name, cells in decode(np.asarray(x), columns).items():
        own = [column for column in columns if column.name == name]
        if own[0].part in ("number", "date"):
            numbers = np.array(cells, np.float64)  # None is NaN
            dates = own[0].part == "date"
            made[name] = pd.to_datetime(pd.Series(numbers * _DAY), unit="us") if dates else pd.Series(numbers)
        elif categories:
            known = [text for column in own for text in column.values or (column.value,) if text]
            made[name] = pd.Series(pd.Categorical(cells, categories=known))
        else:
            made[name] = pd.Series([np.nan if cell is None else cell for cell in cells], dtype=object)
    return pd.DataFrame(made)


def letters(x: Rows) -> dict[str, Any]:
    """What a TfidfVectorizer is told of texts: their characters count where none has a word of two letters.

    >>> letters(np.array(["\U0001f44d", "a b"], object))
    {'analyzer': 'char', 'ngram_range': (1, 2)}
    """
    return {} if any(_WORD.search(text) for text in x[:]) else {"analyzer": "char", "ngram_range": (1, 2)}
