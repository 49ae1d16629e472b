"""The weights in a checkpoint that fit a net, out of whatever a training script put around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from toadstone.errors import ToadstoneError
from toadstone.models.pickled import Skipped

_DEEPEST = 8  # levels of dicts and lists that are looked into
_NAMED = 3  # keys, or sets of weights, that a sentence names
_AMID = {"_orig_mod", "_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}  # wrappers of inner modules too
_COUNTER = "num_batches_tracked"  # of BatchNorm; files of torch < 0.4.1 lack it, and no answer depends on it
_PROFILE = ("total_ops", "total_params")  # what thop leaves behind in each module


@dataclass(frozen=True, eq=False)
class Part:
    """One tensor of a file: the keys of the dicts that lead to its own, and its key there without inner wrappers."""

    inside: tuple[str, ...]
    key: str
    left_off: tuple[str, ...]
    value: Tensor

    @property
    def name(self) -> str:
        """All keys in a row."""
        return ".".join((*self.inside, self.key))


@dataclass(frozen=True, eq=False)
class Fitted:
    """Tensors under one prefix, by the net's own keys; ``more`` are those beside them that the net has no place for."""

    prefix: str
    parts: Mapping[str, Part]
    more: tuple[str, ...]


def fit(net: nn.Module, content: Any, part: str | None = None) -> tuple[str, ...]:
    """Put the weights of a file's ``content`` into ``net``, and say in words where they were found.

    They may lie in dicts and lists, under any prefix that all of them share and behind those of torch.compile, Opacus
    and FSDP; ``part`` names the dict, or the prefix, where several sets fit.

    Raises ToadstoneError where none fits, with the keys on both sides, and where several do that are not the same.
    """
    parts = list(_parts(content)) if isinstance(content, Mapping | list | tuple) else []
    if not parts:
        raise ToadstoneError(_no_weights(content))
    if part is not None:
        parts = [p for p in parts if p.name.startswith(f"{part}.")]
        if not parts:
            raise ToadstoneError(f"part {part!r} is not in the file: there are {_listed(_tops(content))}.")
    own = net.state_dict()
    found = _sets(parts, own)
    fitting = [each for each in found if not _misfit(each, own)]
    if not fitting:
        raise ToadstoneError(
            f"weights do not fit the net: {_misfit(found[0], own) if found else _strangers(parts, own)}."
        )
    first = fitting[0]
    others = [each for each in fitting[1:] if not _same(each, first)]
    if others:
        names = [each.prefix.rstrip(".") or "the file itself" for each in (first, *others)]
        raise ToadstoneError(f"weights: {len(names)} sets in the file fit the net, {_listed(names)}: name one as part.")
    _put(net, first, own)
    return _words(first, own, content)


def _parts(value: Any) -> Iterator[Part]:
    for inside, key, each in _leaves(value, (), set()):
        if isinstance(each, Tensor):
            words = key.split(".")
            amid = tuple(word for word in words if word in _AMID)
            yield Part(inside, ".".join(word for word in words if word not in _AMID), amid, each)


def _leaves(value: Any, inside: tuple[str, ...], seen: set[int]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """(keys that lead to its dict, its key, what is there); each container once, for a file may tie knots."""
    if id(value) in seen or len(inside) > _DEEPEST:
        return
    seen.add(id(value))
    pairs = value.items() if isinstance(value, Mapping) else ((str(i), each) for i, each in enumerate(value))
    for key, each in pairs:
        if isinstance(each, Mapping | list | tuple):
            if isinstance(key, str):
                yield from _leaves(each, (*inside, key), seen)
        elif isinstance(key, str):
            yield inside, key, each


def _sets(parts: list[Part], own: Mapping[str, Tensor]) -> list[Fitted]:
    """What lies under each prefix that some of the net's keys have in the file, the most keys first."""
    own = {_plain(key): value for key, value in own.items()}
    by_name: dict[str, Part] = {}
    for part in parts:
        by_name.setdefault(part.name, part)
    prefixes = Counter(name[: len(name) - len(tail)] for name in by_name for tail in _tails(name) if tail in own)
    found = []
    for prefix, _ in sorted(prefixes.items(), key=lambda item: (-item[1], len(item[0]), item[0])):
        held = {key: by_name[prefix + key] for key in own if prefix + key in by_name}
        dicts = {part.inside for part in held.values()}
        beside = [p.name[len(prefix) :] for p in parts if p.inside in dicts and p.name.startswith(prefix)]
        more = tuple(key for key in beside if key not in own and key.rpartition(".")[2] not in _PROFILE)
        found.append(Fitted(prefix, held, more))
    return found


def _plain(key: str) -> str:
    return ".".join(word for word in key.split(".") if word not in _AMID)


def _tails(name: str) -> Iterator[str]:
    words = name.split(".")
    for i in range(len(words)):
        yield ".".join(words[i:])


def _misfit(found: Fitted, own: Mapping[str, Tensor]) -> str:
    """What is wrong with a set of weights, in words; "" where it fits."""
    shapes = {_plain(key): tuple(value.shape) for key, value in own.items()}
    lacking = [key for key in shapes if key not in found.parts and key.rpartition(".")[2] != _COUNTER]
    other = [
        f"{key} is {tuple(part.value.shape)} and not {shapes[key]}"
        for key, part in found.parts.items()
        if tuple(part.value.shape) != shapes[key]
    ]
    sides = [("lack", lacking), ("have, beyond the net's,", list(found.more)), ("have another shape:", other)]
    return " and ".join(f"they {words} {_listed(keys)}" for words, keys in sides if keys)


def _strangers(parts: list[Part], own: Mapping[str, Tensor]) -> str:
    """Where no key is the same."""
    return f"the file has {_listed([part.name for part in parts])}, the net wants {_listed(list(own))}"


def _same(one: Fitted, other: Fitted) -> bool:
    pairs = [(part.value, other.parts[key].value) for key, part in one.parts.items() if key in other.parts]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def _put(net: nn.Module, found: Fitted, own: Mapping[str, Tensor]) -> None:
    held = {key: found.parts[plain].value if (plain := _plain(key)) in found.parts else own[key] for key in own}
    try:
        net.load_state_dict(held)
    except Exception as error:  # quantised, sparse or otherwise not to be copied
        said = " ".join(str(error).split())[:120]
        raise ToadstoneError(f"weights cannot be put into the net ({said}): save them as plain tensors.") from error


def _words(found: Fitted, own: Mapping[str, Tensor], content: Any) -> tuple[str, ...]:
    """Where the weights were and what was left out, where that is not plain to see."""
    some = next(iter(found.parts.values()))
    inside = ".".join(some.inside)
    under, off = (
        (inside, found.prefix[len(inside) + 1 :]) if found.prefix.startswith(f"{inside}.") else ("", found.prefix)
    )
    if len({part.inside for part in found.parts.values()}) > 1:
        under, off = found.prefix.rstrip("."), ""
    amid = dict.fromkeys(word for part in found.parts.values() for word in part.left_off)
    prefixes = [f"'{prefix}'" for prefix in (off, *(f"{word}." for word in amid)) if prefix]
    told = [f"weights under '{under}'"] * bool(under)
    told += [f"prefix {' and '.join(prefixes)} left off"] * bool(prefixes)
    counters = any(_plain(key) not in found.parts for key in own)
    told += [f"{_COUNTER} not in the file"] * counters
    skipped = _skipped(content)
    told += [f"passed over without being loaded: {_listed(skipped)}"] * bool(skipped)
    return tuple(told)


def _skipped(content: Any) -> list[str]:
    """The classes of objects that were not loaded, each once."""
    leaves = _leaves(content if isinstance(content, Mapping | list | tuple) else [content], (), set())
    return list(dict.fromkeys(each.name() for _, _, each in leaves if isinstance(each, Skipped)))


def _no_weights(content: Any) -> str:
    skipped = _skipped(content)
    whole = [name for name in skipped if name.startswith("torch.nn.")]
    if whole:
        return f"weights are those of a whole pickled model ({whole[0]}): save model.state_dict() instead."
    if any(name.startswith("numpy.") for name in skipped):
        return "weights are numpy arrays: turn them into tensors with torch.from_numpy and save the dict again."
    there = _tops(content)
    return f"weights are not in the file{f', which has {_listed(there)}' if there else ''}: save model.state_dict()."


def _tops(content: Any) -> list[str]:
    return [str(key) for key in content] if isinstance(content, Mapping) else []


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return f"{', '.join(keys[:_NAMED])}{more}"
