"""Ranges as types: ``rate: Share = 0.1`` says what a field may hold, and other values are refused.

A registered class is checked by ``@register``, any other dataclass by ``@checked``, a single value by ``check``. A rule
across fields, such as low < high, stays in the class's ``__post_init__``, which finds each field in its range.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Sequence
from numbers import Integral, Number, Real
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen

from toadstone.errors import ToadstoneError

C = TypeVar("C", bound=type)
T = TypeVar("T")

Share = Annotated[float, Gt(0), Lt(1)]  # some, but not all
Fraction = Annotated[float, Gt(0), Le(1)]  # some or all
Remainder = Annotated[float, Ge(0), Lt(1)]  # none or some, but not all
Minority = Annotated[float, Gt(0), Le(0.5)]
Probability = Annotated[float, Ge(0), Le(1)]
Finite = Annotated[float, Gt(-math.inf), Lt(math.inf)]
Positive = Annotated[float, Gt(0), Lt(math.inf)]
NonNegative = Annotated[float, Ge(0), Lt(math.inf)]
Whole = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]
Several = Annotated[int, Ge(2)]
Level = Annotated[int, Ge(0), Le(255)]  # the grey level of a pixel
GreyLevels = Annotated[int, Ge(1), Le(255)]  # how far a pixel may move
Filled = Annotated[tuple[T, ...], MinLen(1)]

_HOLDS = {
    Gt: lambda limit, value: value > limit.gt,
    Ge: lambda limit, value: value >= limit.ge,
    Lt: lambda limit, value: value < limit.lt,
    Le: lambda limit, value: value <= limit.le,
}


def checked(cls: C) -> C:
    """Class decorator, above ``@dataclass``: the arguments of ``cls(...)`` must fit the types of its fields.

    >>> @checked
    ... @dataclasses.dataclass(frozen=True)
    ... class Mix:
    ...     share: Share = 0.5
    ...     steps: Count | None = None
    >>> Mix(share=1)
    Traceback (most recent call last):
    toadstone.errors.ToadstoneError: share must lie in (0, 1), not 1.
    >>> Mix(steps=2.5)
    Traceback (most recent call last):
    toadstone.errors.ToadstoneError: steps must be a whole number, not 2.5.
    """
    make = cls.__init__  # type: ignore[misc]
    names = [field.name for field in dataclasses.fields(cls) if field.init and not field.kw_only]

    @functools.wraps(make)
    def init(self: object, *args: Any, **kwargs: Any) -> None:
        kinds = _kinds(cls)
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            check(name, value, kinds.get(name, Any))
        make(self, *args, **kwargs)

    cls.__init__ = init  # type: ignore[misc]
    return cls


def check(name: str, value: object, kind: Any) -> None:
    """Raise ToadstoneError unless ``value`` fits ``kind``, such as Share; ``name`` begins the sentence.

    >>> check("which", "worst", Literal["random", "nearest"])
    Traceback (most recent call last):
    toadstone.errors.ToadstoneError: which is 'worst': use random or nearest.
    """
    refusal = _refusal(kind, value)
    if refusal:
        raise ToadstoneError(f"{name}{refusal}.")


def describe(cls: type) -> dict[str, str]:
    """What each field of a dataclass may hold, in words.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Mix:
    ...     share: Fraction = 0.5
    ...     steps: Count | None = None
    ...     shares: Filled[Positive] = (1.0,)
    ...     which: Literal["random", "nearest"] = "random"
    >>> for name, words in describe(Mix).items():
    ...     print(f"{name}: {words}")
    share: a number in (0, 1]
    steps: a whole number of at least 1, or None
    shares: at least one value, each a finite number above 0
    which: random or nearest
    """
    return {name: _words(kind) for name, kind in _kinds(cls).items()}


@functools.cache
def _kinds(cls: type) -> dict[str, Any]:
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError:  # a name that only a type checker imports: nothing can be said of the fields
        return {}
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def _split(kind: Any) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """The bare type, the type's arguments and the limits of a type such as Annotated[tuple[int, ...], MinLen(1)]."""
    limits: Any = ()
    if get_origin(kind) is Annotated:
        kind, *limits = get_args(kind)
    origin = get_origin(kind)
    return Union if origin is types.UnionType else origin or kind, get_args(kind), tuple(limits)


def _refusal(kind: Any, value: Any) -> str:
    """What is wrong with ``value``, as the rest of a sentence that begins with its name; empty when it fits."""
    base, args, _ = _split(kind)
    if base in (int, float):
        return _number_refusal(kind, value)
    if base is Literal:
        fits_word = any(isinstance(value, type(word)) and value == word for word in args)
        return "" if fits_word else f" is {value!r}: use {_words(kind)}"
    if base is Union:
        return _union_refusal(kind, value)
    if base in (tuple, list, Sequence):
        return _sequence_refusal(kind, value)
    plain = value is None or isinstance(value, str | bytes | Number)  # never an instance of another class
    fits = isinstance(value, base) if base in (str, bool) else not (plain and isinstance(base, type))
    return "" if fits or base in (Any, object) else f" must be {_words(kind)}, not {value!r}"


def kind_refusal(cls: type, name: str, value: object) -> str:
    """What is wrong with an object that a spec builds for a field: it is of another kind than the field's protocol."""
    return _protocol_refusal(_kinds(cls).get(name, Any), value)


def _protocol_refusal(kind: Any, value: object) -> str:
    base, args, _ = _split(kind)
    if base is Union:
        refusals = [_protocol_refusal(member, value) for member in args if member is not type(None)]
        return "" if "" in refusals or value is None else refusals[0]
    if base in (tuple, list, Sequence):
        several = value if args and isinstance(value, list | tuple) else ()
        return next((refusal for one in several if (refusal := _protocol_refusal(args[0], one))), "")
    if not getattr(base, "_is_runtime_protocol", False) or isinstance(value, base):
        return ""
    return f" must be {_words(kind)}, not {_article(type(value).__name__)}"


def _union_refusal(kind: Any, value: Any) -> str:
    members = get_args(kind)
    refusals = [_refusal(member, value) for member in members if member is not type(None)]
    if "" in refusals or (value is None and type(None) in members):
        return ""
    return refusals[0] if len(refusals) == 1 else f" must be {_words(kind)}, not {value!r}"


def _number_refusal(kind: Any, value: Any) -> str:
    base, _, limits = _split(kind)
    if not isinstance(value, Integral if base is int else Real) or isinstance(value, bool):
        return f" must be {_words(base)}, not {value!r}"
    if not math.isnan(value) and all(_HOLDS[type(limit)](limit, value) for limit in limits):
        return ""
    limited = _range(base, limits)
    if not limited or limited.startswith("finite"):
        return f" must be {_words(kind)}, not {value}"
    return f" must {'lie' if limited.startswith('in ') else 'be'} {limited}, not {value}"


def _sequence_refusal(kind: Any, value: Any) -> str:
    base, args, limits = _split(kind)
    if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
        return f" must be {_words(kind)}, not {value!r}"
    if limits and not len(value):
        return " must hold at least one value"
    if not args:
        return ""
    if base is tuple and args[-1] is not Ellipsis and len(value) != len(args):
        return f" must hold {len(args)} values, not {len(value)}"
    items = args if base is tuple and args[-1] is not Ellipsis else (args[0],) * len(value)
    refusals = ((i, _refusal(item, v)) for i, (item, v) in enumerate(zip(items, value, strict=True)) if item is not Any)
    return next((f"[{i}]{refused}" for i, refused in refusals if refused), "")


def _range(base: type, limits: tuple[Any, ...]) -> str:
    """The limits of a number in words: "in (0, 1]", "at least 1", "above 0", "finite and above 0"; empty for none."""
    low = next((limit for limit in limits if isinstance(limit, Gt | Ge)), None)
    high = next((limit for limit in limits if isinstance(limit, Lt | Le)), None)
    start = "" if low is None else f"above {low.gt}" if isinstance(low, Gt) else f"at least {low.ge}"
    if isinstance(high, Lt) and high.lt == math.inf:
        return "finite" if start == "above -inf" else f"finite {start}"
    if low is None or high is None:
        return start
    (a, left), (b, right) = _end(low, "(["), _end(high, ")]")
    return f"in {a}..{b}" if base is int and left + right == "[]" else f"in {left}{a}, {b}{right}"


def _end(limit: Gt | Ge | Lt | Le, brackets: str) -> tuple[Any, str]:
    """The number of a limit and its bracket: of ``brackets``, the first leaves the number out."""
    closed = isinstance(limit, Ge | Le)
    return next(iter(dataclasses.asdict(limit).values())), brackets[closed]


def _words(kind: Any) -> str:
    """What fits ``kind``, such as "a number in (0, 1]" or "random or nearest"."""
    base, args, limits = _split(kind)
    if base in (int, float):
        noun, limited = "whole number" if base is int else "number", _range(base, limits)
        if limited.startswith("finite"):
            noun, limited = f"finite {noun}", limited.removeprefix("finite").strip()
        return f"a {noun} {'of ' * limited.startswith('at ')}{limited}".strip()
    if base is Literal:
        return " or ".join(args) if len(args) < 3 else f"one of {', '.join(args)}"
    if base is Union:
        members = [_words(member) for member in args if member is not type(None)]
        return ", or ".join(members + ["None"] * (type(None) in args))
    if base in (tuple, list, Sequence):
        if not args:
            return "values"
        size = (
            "at least one value"
            if limits
            else "values"
            if args[-1] is Ellipsis or base is not tuple
            else f"{len(args)} values"
        )
        return size if args[0] is Any else f"{size}, each {_words(args[0])}"
    return {Any: "anything", str: "a text", bool: "True or False"}.get(base) or _article(base.__name__)


def _article(noun: str) -> str:
    noun = "array" if noun == "ndarray" else noun
    return f"{'an' if noun[0] in 'AEIOUaeiou' else 'a'} {noun}"
