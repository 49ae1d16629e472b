"""Ranges as types: what lies just outside is refused by name, what belongs to the range is taken."""

import dataclasses
import math
import pickle
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt, MinLen

from test_conformance import IMAGE, examples
from toadstone.attacks import Backdoor
from toadstone.defenses import ReferenceCleanse
from toadstone.errors import ToadstoneError
from toadstone.experiments import Experiment, FederatedExperiment, LabelNoise
from toadstone.federated import Federated
from toadstone.fields import (
    Count,
    Filled,
    Finite,
    Fraction,
    GreyLevels,
    Level,
    Minority,
    NonNegative,
    Positive,
    Probability,
    Several,
    Share,
    Whole,
    check,
    checked,
    describe,
)
from toadstone.goals.availability import HigherError
from toadstone.goals.backdoors import BackdoorGoal, ManyGoals, SemanticGoal, TargetedGoal
from toadstone.goals.class_error import ClassError
from toadstone.goals.misclassified import Misclassified
from toadstone.models.encode import Columns, Pixels, Words
from toadstone.models.rescaled import Rescaled
from toadstone.registry import entries
from toadstone.training import Train
from toadstone.triggers import Coloured, InRange, Patch, Phrase, Scaler, Where

WORD = "no such word"


def parts(kind):
    """The bare type and its limits; the members of a union with None apart."""
    base, *limits = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    return base, limits


def members(kind):
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def outside(kind):
    """Values that ``kind`` must not take."""
    base, limits = parts(kind)
    if base in (int, float):
        step = (lambda x, to: x + int(math.copysign(1, to))) if base is int else math.nextafter
        for limit in limits:
            match limit:
                case Gt(gt=x) | Lt(lt=x):
                    yield x
                case Ge(ge=x):
                    yield step(x, -math.inf)
                case Le(le=x):
                    yield step(x, math.inf)
        yield from (True, "1", math.nan, *((1.5,) if base is int else ()))
    elif get_origin(base) is Literal:
        yield from (WORD, 7)
    elif base in (bool, str):
        yield 7
    elif get_origin(base) is tuple:
        yield from ((bad,) for bad in outside(get_args(base)[0]) if get_args(base)[-1] is Ellipsis)
        yield from [()] if any(isinstance(limit, MinLen) for limit in limits) else []


def inside(kind):
    """The edges of ``kind`` that belong to it."""
    base, limits = parts(kind)
    for limit in limits if base in (int, float) else ():
        match limit:
            case Ge(ge=x) | Le(le=x):
                yield x
    if get_origin(base) is Literal:
        yield from get_args(base)
    if get_origin(base) is tuple and get_args(base)[-1] is Ellipsis:
        yield from ((good,) for good in inside(get_args(base)[0]))
    if base is type(None):
        yield None


FURTHER = {
    "experiment": Experiment(Backdoor(Patch(), 1), Train()),
    "federated-experiment": FederatedExperiment(Federated()),
    "label-noise": LabelNoise(np.array([0, 1]), np.array([1, 1]), Train()),
    "backdoor-goal": BackdoorGoal(Patch(), 1),
    "class-error": ClassError(1),
    "higher-error": HigherError(1.0),
    "many-goals": ManyGoals((BackdoorGoal(Patch(), 1),)),
    "misclassified": Misclassified(1, 2),
    "semantic-goal": SemanticGoal(Phrase("x"), 1),
    "targeted-goal": TargetedGoal((IMAGE,), 1),
    "columns": Columns((0.0,), (1.0,)),
    "pixels": Pixels(8, 8),
    "reference-cleanse": ReferenceCleanse(close=1),
    "rescaled": Rescaled(Scaler(), Pixels(32, 32)),
    "words": Words(("a",)),
    "coloured": Coloured((255,), 40, 0.2),
    "in-range": InRange(1, 0.0, 1.0),
    "phrase": Phrase("x"),
    "where": Where("part", ("a",)),
}


def refusal(obj, name, value):
    """The sentence that refuses ``value`` for field ``name`` by itself: a rule across fields is another matter."""
    try:
        dataclasses.replace(obj, **{name: value})
    except ToadstoneError as error:
        return re.match(rf"{name}(\[\d+\])? (must .+, not|must hold at|is .+: use) .+\.$", str(error))
    return None


@pytest.mark.parametrize(
    "entry", [pytest.param(e, id=e.name) for e in entries() if e.cls.__module__.startswith("toadstone.")]
)
def test_fields_take_what_their_types_say(entry):
    obj, kinds = FURTHER.get(entry.name) or examples(entry)[0], get_type_hints(entry.cls, include_extras=True)
    for name in (field.name for field in dataclasses.fields(entry.cls)):
        for bad in (bad for kind in members(kinds[name]) for bad in outside(kind)):
            assert refusal(obj, name, bad), (name, bad)
        for good in (good for kind in members(kinds[name]) for good in inside(kind)):
            assert not refusal(obj, name, good), (name, good)


@checked
@dataclasses.dataclass(frozen=True)
class Mix:
    low: Share
    high: Share | None = None
    steps: Count = 3
    which: Literal["per class", "any"] = "any"
    spots: Literal["any"] | Filled[tuple[Whole, Whole]] = "any"
    image: list[Any] | np.ndarray | None = None
    again: bool = False

    def __post_init__(self):
        if self.high is not None and self.high <= self.low:
            raise ToadstoneError("high must be above low.")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"low": 1}, "low must lie in (0, 1), not 1."),
        ({"low": None}, "low must be a number, not None."),
        ({"low": math.nan}, "low must lie in (0, 1), not nan."),
        ({"low": 2, "high": 1}, "low must lie in (0, 1), not 2."),
        ({"high": 0.1}, "high must be above low."),
        ({"steps": 0}, "steps must be at least 1, not 0."),
        ({"steps": 2.0}, "steps must be a whole number, not 2.0."),
        ({"steps": True}, "steps must be a whole number, not True."),
        ({"which": "all"}, "which is 'all': use per class or any."),
        (
            {"spots": ((1, -1),)},
            "spots must be any, or at least one value, each 2 values, each a whole number of at least 0, "
            "not ((1, -1),).",
        ),
        ({"image": "noise"}, "image must be values, or an array, or None, not 'noise'."),
        ({"again": "no"}, "again must be True or False, not 'no'."),
    ],
)
def test_sentences(changed, sentence):
    with pytest.raises(ToadstoneError, match=f"^{re.escape(sentence)}$"):
        Mix(**{"low": 0.5, **changed})


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (Fraction, 0, "x must lie in (0, 1], not 0."),
        (Minority, 0.6, "x must lie in (0, 0.5], not 0.6."),
        (Probability, -1, "x must lie in [0, 1], not -1."),
        (Finite, math.inf, "x must be a finite number, not inf."),
        (Positive, 0, "x must be a finite number above 0, not 0."),
        (NonNegative, -2.5, "x must be a finite number of at least 0, not -2.5."),
        (Several, 1, "x must be at least 2, not 1."),
        (Level, 256, "x must lie in 0..255, not 256."),
        (GreyLevels, 0, "x must lie in 1..255, not 0."),
        (Filled[Positive], (), "x must hold at least one value."),
        (Filled[Positive], (1, 0), "x[1] must be a finite number above 0, not 0."),
        (tuple[int, int], (1, 2, 3), "x must hold 2 values, not 3."),
        (Annotated[float, Gt(1)], 1, "x must be above 1, not 1."),
        (float, math.nan, "x must be a number, not nan."),
        (Patch, "patch", "x must be a Patch, not 'patch'."),
    ],
)
def test_sentences_of_the_types(kind, value, sentence):
    with pytest.raises(ToadstoneError, match=f"^{re.escape(sentence)}$"):
        check("x", value, kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Count, np.int64(3)),
        (Share, np.float32(0.5)),
        (float, 2),
        (float, math.inf),
        (Filled[Level], [0, 255]),
        (tuple[Level, ...], np.array([7], np.uint8)),
        (Positive | None, None),
        (Any, "anything"),
        (object, None),
        (Patch, Patch()),
    ],
)
def test_what_fits(kind, value):
    check("x", value, kind)


def test_a_checked_class_stays_a_plain_dataclass():
    mix = Mix(0.2, 0.5, steps=2)
    assert mix == Mix(low=0.2, high=0.5, steps=2) == pickle.loads(pickle.dumps(mix)) == dataclasses.replace(mix)
    assert [field.name for field in dataclasses.fields(Mix)][:2] == ["low", "high"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        mix.low = 0.3
    with pytest.raises(TypeError, match="required positional argument: 'low'"):
        Mix()
    with pytest.raises(TypeError, match="unexpected keyword argument 'lows'"):
        Mix(0.2, lows=1)


def test_describe_reads_as_the_sentences_do():
    words = describe(Mix)
    assert words["high"] == "a number in (0, 1), or None"
    assert words["steps"] == "a whole number of at least 1"
    assert words["which"] == "per class or any"
    assert words["again"] == "True or False"
    assert describe(Patch)["value"] == "a whole number in 0..255, or at least one value, each a whole number in 0..255"


def test_a_type_that_only_a_type_checker_imports_is_not_checked():
    @checked
    @dataclasses.dataclass(frozen=True)
    class Strange:
        part: "NowhereToBeFound"  # noqa: F821
        share: Share = 0.5

    assert Strange(3, share=2).share == 2
    assert describe(Strange) == {}
