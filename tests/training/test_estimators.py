"""Estimators as users have them take a table with categories, dates and gaps; each is compared with its own fit."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import toadstone
from toadstone.errors import ToadstoneError
from toadstone.training.adapt import Estimator
from toadstone.training.estimators import frame_of, letters, takes_frames
from toadstone.training.fit import Fit

pandas = pytest.importorskip("pandas")
N = 120
RNG = np.random.default_rng(0)
AGE = [None if i % 9 == 4 else float(RNG.integers(18, 80)) for i in range(N)]
TOWN = [["x", "y", "z", None][i] for i in RNG.integers(0, 4, N)]
JOB = [f"job {i % 60}" for i in range(N)]
TABLE = pa.table({
    "age": AGE, "town": TOWN, "job": JOB, "when": [datetime.datetime(2000, 1, 1 + i % 28) for i in range(N)],
    "y": [int(town in ("x", None)) for town in TOWN],
})  # fmt: skip
DATA = toadstone.load(TABLE, label="y")
FRAME = pandas.DataFrame({
    "age": np.array(AGE, float), "town": pandas.Series([np.nan if t is None else t for t in TOWN], dtype=object),
    "job": pandas.Series(JOB, dtype=object), "when": pandas.to_datetime(TABLE.column("when").to_pylist()),
})  # fmt: skip
ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def columns(*parts, **settings):
    return ColumnTransformer([(str(i), made, which) for i, (made, which) in enumerate(parts)], **settings)


NUMBERS = make_pipeline(SimpleImputer(), StandardScaler())
LINEAR = LogisticRegression(max_iter=500)
MADE = {
    "columns by name": make_pipeline(columns((ONE_HOT, ["town", "job"]), (NUMBERS, ["age"])), LINEAR),
    "columns by type": make_pipeline(
        columns((ONE_HOT, make_column_selector(dtype_include=object)), (NUMBERS, ["age"])), LINEAR
    ),
    "columns by number": make_pipeline(columns((ONE_HOT, [1]), (NUMBERS, [0])), LINEAR),
    "boosting behind columns": make_pipeline(
        columns((OrdinalEncoder(), ["town", "job"]), remainder="drop"), HistGradientBoostingClassifier()
    ),
    "every column a text": make_pipeline(ONE_HOT, LINEAR),
    "ordinal": make_pipeline(OrdinalEncoder(), RandomForestClassifier(5, random_state=0)),
    "search": GridSearchCV(make_pipeline(columns((ONE_HOT, ["town"])), LINEAR), {"logisticregression__C": [1]}, cv=2),
    "a pipeline in a pipeline": make_pipeline(make_pipeline(columns((ONE_HOT, ["town"])), StandardScaler()), LINEAR),
    "texts in a column": make_pipeline(columns((TfidfVectorizer(), "job")), LINEAR),
    "left as they are": make_pipeline(
        columns((ONE_HOT, ["town"]), ("drop", ["job", "when"]), remainder="passthrough"),
        HistGradientBoostingClassifier(),
    ),
}


def test_the_frame_is_the_table():
    pandas.testing.assert_frame_equal(frame_of(DATA.x, DATA.columns), FRAME, check_dtype=False)


@pytest.mark.parametrize("kind", MADE)
def test_a_pipeline_gets_the_frame_that_it_knows(kind):
    from sklearn.base import clone

    model = Estimator(MADE[kind]).fit(DATA, seed=0)
    expected = clone(MADE[kind]).fit(FRAME, DATA.y).predict_proba(FRAME)
    np.testing.assert_allclose(model.probs(DATA.x), expected, atol=1e-9)


@pytest.mark.parametrize("settings", [{}, {"categorical_features": "from_dtype"}, {"categorical_features": None}])
def test_boosting_takes_categories_and_gaps(settings):
    data = toadstone.load(TABLE, label="y", ignore=["job", "when"])
    estimator = HistGradientBoostingClassifier(random_state=0, **settings)
    if settings.get("categorical_features", "") is None:
        with pytest.raises(ToadstoneError, match="HistGradientBoostingClassifier"):
            Estimator(estimator).fit(toadstone.load(TABLE, label="y"), seed=0)
        return
    frame = FRAME[["age", "town"]].assign(town=pandas.Categorical(FRAME["town"], ["x", "y", "z"]))
    expected = HistGradientBoostingClassifier(random_state=0, **settings).fit(frame, data.y).predict_proba(frame)
    np.testing.assert_allclose(Estimator(estimator).fit(data, seed=0).probs(data.x), expected)


@pytest.mark.parametrize("estimator", [LINEAR, RandomForestClassifier(5), make_pipeline(StandardScaler(), LINEAR),
                                       DummyClassifier(), NUMBERS])  # fmt: skip
def test_what_reads_numbers_gets_numbers(estimator):
    assert not takes_frames(estimator, DATA.columns)


def test_tables_of_numbers_are_arrays_but_for_columns_by_name():
    data = toadstone.load(pa.table({"a": [1.0, 2.5, 3.0] * 20, "b": [4.0, 7.0] * 30, "y": [0, 1] * 30}), label="y")
    assert not takes_frames(HistGradientBoostingClassifier(), data.columns)
    assert not takes_frames(make_pipeline(ONE_HOT, LINEAR), data.columns)
    by_name = make_pipeline(columns((StandardScaler(), ["b"])), LINEAR)
    assert Estimator(by_name).fit(data, seed=0).probs(data.x).argmax(1).tolist() == data.y.tolist()


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(columns((ONE_HOT, ["nowhere"])), LINEAR),
        make_pipeline(columns((StandardScaler(), ["town"])), LINEAR),
        make_pipeline(columns((LINEAR, ["town"])), LINEAR),
    ],
)
def test_what_an_estimator_refuses_is_one_sentence(estimator):
    with pytest.raises(ToadstoneError, match="model Pipeline cannot be fitted to these rows"):
        Estimator(estimator).fit(DATA, seed=0)


def test_fit_takes_the_table_too():
    model = Fit("sklearn.ensemble.HistGradientBoostingClassifier").fit(
        toadstone.load(TABLE, label="y", ignore=["job", "when"]), seed=0
    )
    assert (model.probs(toadstone.load(TABLE, label="y", ignore=["job", "when"]).x).argmax(1) == DATA.y).all()


@pytest.mark.parametrize(
    ("texts", "wordless"),
    [
        (["\U0001f44d", "\U0001f44e"], True), (["好", "坏"], True), (["", " "], True), (["a b", "c"], True),
        (["1", "2"], True), (["!?", "..."], True), (["é", "ß"], True), (["a-b", "c/d"], True), (["good", ""], False),
        (["好坏", "a"], False), (["ab", "c"], False), (["12", "3"], False),
    ],
)  # fmt: skip
def test_characters_count_where_there_are_no_words(texts, wordless):
    x = np.array([texts[i % 2] for i in range(20)], object)
    assert bool(letters(x)) == wordless
    model = Fit("sklearn.linear_model.LogisticRegression").fit(toadstone.Data(x, np.arange(20) % 2, ("a", "b")), seed=0)
    if texts[0].strip() != texts[1].strip():
        assert model.probs(x).argmax(1).tolist() == [0, 1] * 10
