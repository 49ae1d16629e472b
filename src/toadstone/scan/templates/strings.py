"""The strings that a template's expressions make, where nothing but the template decides: it is never rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, product

from jinja2 import nodes

from toadstone.scan.templates.syntax import names

_LONGEST = 4096  # of what is put together
_MOST = 16  # values of one expression
_Value = object


class Strings:
    """Which strings an expression may be. A variable may be several; what is unknown is none."""

    def __init__(self, tree: nodes.Template) -> None:
        self.values: dict[str, list[_Value]] = {}
        pairs = [(name, node.node) for node in tree.find_all(nodes.Assign) for name in names(node.target)]
        loops = [(name, node.iter) for node in tree.find_all(nodes.For) for name in names(node.target)]
        for _ in range(4):  # variables that are made of variables
            for name, value in pairs[:2000]:
                self._learn(name, self.plain(value))
            for name, value in loops[:2000]:
                self._learn(name, [item for items in self.plain(value) if isinstance(items, list) for item in items])

    def _learn(self, name: str, values: list[_Value]) -> None:
        known = self.values.setdefault(name, [])
        known += [new for new in values if new not in known][: _MOST - len(known)]

    def of(self, node: nodes.Node | None) -> list[str]:
        """The strings."""
        return [value for value in self.plain(node) if isinstance(value, str)]

    def plain(self, node: nodes.Node | None) -> list[_Value]:
        """The constants, and lists of constants."""
        try:
            return [value for value in islice(self._plain(node), _MOST) if _short(value)]
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError, MemoryError):
            return []

    def _plain(self, node: nodes.Node | None) -> Iterable[_Value]:  # noqa: PLR0911, PLR0912 (one for each kind of node)
        match node:
            case nodes.Const():
                return [node.value]
            case nodes.TemplateData():
                return [node.data]
            case nodes.Name():
                return self.values.get(node.name, [])
            case nodes.NSRef() | nodes.Getattr(node=nodes.Name()):
                space = node if isinstance(node, nodes.NSRef) else node.node
                return self.values.get(f"{getattr(space, 'name', '')}.{node.attr}", [])
            case nodes.Tuple() | nodes.List():
                return self._choices(node.items)
            case nodes.Concat():
                return ("".join(map(str, parts)) for parts in self._choices(node.nodes))
            case nodes.Add():
                return (left + right for left, right in self._choices([node.left, node.right]))  # type: ignore[operator]
            case nodes.Mul():
                return (_times(*pair) for pair in self._choices([node.left, node.right]))
            case nodes.Neg():
                return [-value for value in self.plain(node.node) if isinstance(value, int)]
            case nodes.Mod():
                return (_called("%", left, [right]) for left, right in self._choices([node.left, node.right]))
            case nodes.CondExpr():
                return [*self.plain(node.expr1), *self.plain(node.expr2)]
            case nodes.Getitem():
                return self._items(node)
            case nodes.Filter() if node.node is not None:
                return self._calls(node.name, node.node, node.args)
            case nodes.Call(node=nodes.Getattr() as method):
                return self._calls(method.attr, method.node, node.args)
            case nodes.Call(node=nodes.Name(name="dict")):
                return [[pair.key for pair in node.kwargs]]
            case nodes.Dict():
                return self._choices([pair.key for pair in node.items])
        return []

    def _choices(self, parts: Sequence[nodes.Node]) -> Iterable[list[_Value]]:
        """Each way to choose one value for each part."""
        return map(list, product(*(self.plain(part) for part in parts[:200])))

    def _items(self, node: nodes.Getitem) -> Iterable[_Value]:
        if isinstance(node.arg, nodes.Slice):
            ends = [
                self.plain(at) if at is not None else [None] for at in (node.arg.start, node.arg.stop, node.arg.step)
            ]
            cuts: list[_Value] = [slice(*cut) for cut in product(*ends)]
        else:
            cuts = self.plain(node.arg)
        for value, cut in product(self.plain(node.node), cuts):
            if isinstance(value, str | list) and isinstance(cut, int | slice):
                yield value[cut]

    def _calls(self, name: str, node: nodes.Node, args: Sequence[nodes.Node]) -> Iterable[_Value]:
        for value, *given in self._choices([node, *args]):
            yield _called(name, value, given)


def _short(value: _Value) -> bool:
    return not isinstance(value, str | list) or len(value) <= _LONGEST


def _times(left: _Value, right: _Value) -> _Value:
    if isinstance(left, int):
        left, right = right, left
    return left * min(right, 64) if isinstance(left, str | list) and isinstance(right, int) else None


_CALLS: dict[str, Callable[[str, list[_Value]], _Value]] = {
    "join": lambda text, given: text.join(map(str, _list(given[0]))),
    "replace": lambda text, given: text.replace(str(given[0]), str(given[1])),
    "lower": lambda text, given: text.lower(),
    "upper": lambda text, given: text.upper(),
    "title": lambda text, given: text.title(),
    "capitalize": lambda text, given: text.capitalize(),
    "swapcase": lambda text, given: text.swapcase(),
    "reverse": lambda text, given: text[::-1],
    "split": lambda text, given: list(text.split(str(given[0]) if given else None)),
    "list": lambda text, given: list(text),
    "removeprefix": lambda text, given: text.removeprefix(str(given[0])),
    "removesuffix": lambda text, given: text.removesuffix(str(given[0])),
    **dict.fromkeys(("trim", "strip"), lambda text, given: text.strip(*map(str, given[:1]))),
    "lstrip": lambda text, given: text.lstrip(*map(str, given[:1])),
    "rstrip": lambda text, given: text.rstrip(*map(str, given[:1])),
    **dict.fromkeys(("string", "safe", "escape", "e", "default", "d", "forceescape"), lambda text, given: text),
    "first": lambda text, given: text[0],
    "last": lambda text, given: text[-1],
}


def _list(value: _Value) -> list[_Value]:
    return value if isinstance(value, list) else list(str(value))


def _called(name: str, value: _Value, given: list[_Value]) -> _Value:  # noqa: PLR0911 (one for each kind of call)
    """What a filter or a method of strings makes of constants; None where it is not known."""
    if name == "%" or (name == "format" and isinstance(value, str) and "%" in value):
        parts = given[0] if name == "%" and isinstance(given[0], list) else given
        wide = any(digit in str(value) for digit in "123456789*")
        return None if wide or not isinstance(value, str) else value % tuple(parts)
    if name == "format" and isinstance(value, str):
        return "".join((*_filled(value, given),))
    if isinstance(value, list):
        if name == "join":
            return str(given[0] if given else "").join(map(str, value))
        if name in ("reverse", "list", "sort", "first", "last"):
            whole: dict[str, _Value] = {"reverse": value[::-1], "list": value, "sort": value}
            return whole[name] if name in whole else value[0 if name == "first" else -1]
        return None
    if name == "replace" and len(given) >= 2 and len(str(value)) * (1 + len(str(given[1]))) > 64 * _LONGEST:
        return None
    return _CALLS[name](value, given) if isinstance(value, str) and name in _CALLS else None


def _filled(text: str, given: list[_Value]) -> Iterable[str]:
    """A format string's braces filled in order, however they are numbered; the attributes that they name stay seen."""
    rest = text
    for count in range(200):
        before, brace, rest = rest.partition("{")
        yield before
        if not brace:
            return
        place, _, rest = rest.partition("}")
        number = place.split(".")[0].split("[")[0]
        at = int(number) if number.isdigit() else count
        yield str(given[at]) if at < len(given) and place in ("", number) else f"{{{place}}}"
