"""Writes to the inputs or labels of a batch: in training steps, datasets, transforms and collate functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from toadstone.scan.rules.calls import Hit
from toadstone.scan.rules.forwards import Forwards, Function, Scope, arguments

_LABEL = re.compile(r"(y|yb|y_?(true|batch|train)|lbls?|tgt|(\w+_)?(labels?|targets?)(_\w+)?)")
_INPUT = re.compile(
    r"(x|xb|x_?(batch|train)|inputs?|imgs?|images?|data|samples?|input_ids|pixel_values|features?"
    r"|tokens|(\w+_)?(inputs?|images?|imgs?)(_\w+)?|pixels?)"
)
_BATCH = re.compile(r"(batch|mini_?batch|sample_batched|item|example|sample)")
_SAME = frozenset(
    {"to", "cuda", "cpu", "float", "half", "double", "long", "int", "byte", "view", "reshape", "detach"}
    | {"contiguous", "requires_grad_", "type", "unsqueeze", "squeeze", "permute", "transpose", "flatten"}
    | {"numpy", "pin_memory", "narrow", "select", "view_as", "astype", "swapaxes", "ravel", "T", "data"}
    | {"pop", "get"}
)
_COPIES = ("clone", "copy", "deepcopy")
_COPIERS = {"copy.copy", "copy.deepcopy", "torch.clone", "numpy.copy", "numpy.array", "torch.tensor"}
_VIEWERS = {"torch.as_tensor", "torch.from_numpy", "numpy.asarray", "torch.autograd.Variable"}
_WRITERS = frozenset(
    {"fill_", "copy_", "masked_fill_", "index_fill_", "index_copy_", "masked_scatter_", "scatter_"}
    | {"put_", "index_put_", "zero_", "fill", "__setitem__", "add_", "mul_", "sub_", "div_", "clamp_"}
    | {"uniform_", "normal_", "random_", "exponential_", "bernoulli_", "index_add_", "paste"}
)
_WHOLE = frozenset(
    {"add_", "mul_", "sub_", "div_", "clamp_", "normal_", "uniform_"}
)  # normalising and noise, on a whole input
_PUTTERS = {"numpy.put", "numpy.putmask", "numpy.place", "numpy.copyto", "operator.setitem"}
_FRESH = (
    "full_like",
    "zeros_like",
    "ones_like",
    "full",
    "new_full",
    "new_zeros",
    "new_ones",
    "zeros",
    "ones",
    "tensor",
)
_RANDOM = re.compile(r"rand|choice|uniform|bernoulli|multinomial|normal|shuffle|beta|sample\b|rng|generator")
_IGNORED = re.compile(r"ignore|-100|-1\b|pad_|LABEL_PAD", re.IGNORECASE)
_ROW_FUNCTIONS = ("__getitem__", "__getitems__", "__call__")


@dataclass(frozen=True)
class Held:
    """What a name holds: an "input", a "label" or a whole "batch"; or a copy of it."""

    kind: str
    copy: bool = False


def write_hits(nodes: list[ast.AST], names: Mapping[str, str], forwards: Forwards) -> Iterator[Hit]:
    """Every write to inputs or labels in the training steps and the row functions of a script."""
    modules = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.ClassDef) and any("Module" in ast.unparse(base) for base in node.bases)
        for inner in node.body
    }
    for scope in forwards.scopes:
        name = "" if isinstance(scope, ast.Module) else scope.name
        rows = (name in _ROW_FUNCTIONS and id(scope) not in modules) or "collate" in name
        if rows or scope in forwards.steps:
            twice = not rows and bool(forwards.repeated(scope))
            held = {} if isinstance(scope, ast.Module) else _parameters(scope)
            yield from _Flow(names, forwards, rows, twice).run(scope, held)


def _kind(name: str) -> str | None:
    for kind, pattern in (("label", _LABEL), ("batch", _BATCH), ("input", _INPUT)):
        if pattern.fullmatch(name):
            return kind
    return None


def _parameters(scope: Function) -> dict[str, Held]:
    names = [a.arg for a in [*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs]]
    return {name: Held(kind) for name in names if (kind := _kind(name))}


class _Flow:
    """Follows the batch through one scope, statement by statement."""

    def __init__(self, names: Mapping[str, str], forwards: Forwards, rows: bool, twice: bool) -> None:
        self.names, self.forwards, self.rows, self.twice = names, forwards, rows, twice
        self.random: set[str] = set()
        self.within: frozenset[str] = frozenset()

    def run(self, scope: Scope, held: dict[str, Held]) -> Iterator[Hit]:
        self.held = held
        yield from self._body(scope.body)

    def _body(self, body: list[ast.stmt]) -> Iterator[Hit]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    yield from self._assign(target, node.value)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
                yield from self._written(node.target.value, node.target.slice, node.value, node.lineno)
            elif isinstance(node, ast.Return) and node.value is not None:
                yield from self._returned(node.value)
            elif isinstance(node, ast.For | ast.AsyncFor):
                self._loop(node.target)
            for expression in _expressions(node):
                for call in ast.walk(expression):
                    if isinstance(call, ast.Call):
                        yield from self._call(call)
            for part in ("body", "orelse", "finalbody"):
                yield from self._body(getattr(node, part, []))
            for handler in getattr(node, "handlers", []) + getattr(node, "cases", []):
                yield from self._body(handler.body)

    def _loop(self, target: ast.expr) -> None:
        """for x, y in loader; for i, (x, y) in enumerate(loader); for batch in loader."""
        if isinstance(target, ast.Name):
            kind = _kind(target.id)
            if kind and not self.rows:
                self.held[target.id] = Held(kind)
        elif isinstance(target, ast.Tuple | ast.List):
            for item in target.elts:
                self._loop(item.value if isinstance(item, ast.Starred) else item)

    def _assign(self, target: ast.expr, value: ast.expr) -> Iterator[Hit]:
        if isinstance(target, ast.Tuple | ast.List):
            parts = value.elts if isinstance(value, ast.Tuple | ast.List) else [None] * len(target.elts)
            whole = self._of(value)
            for i, (item, part) in enumerate(zip(target.elts, parts, strict=False)):
                if part is not None:
                    yield from self._assign(item, part)
                elif isinstance(item, ast.Name):
                    kind = _kind(item.id) or (
                        ("input", "label")[min(i, 1)] if whole and whole.kind == "batch" else None
                    )
                    if kind and (whole or isinstance(value, ast.Call | ast.Subscript)):
                        self.held[item.id] = Held(kind)
                    else:
                        self._note(item.id, value)
        elif isinstance(target, ast.Name):
            yield from self._bound(target.id, value, target.lineno)
        elif isinstance(target, ast.Subscript):
            base = self._of(target.value)
            if base and base.kind == "batch" and not isinstance(target.slice, ast.Tuple | ast.Slice):
                key = target.slice.value if isinstance(target.slice, ast.Constant) else ""
                if isinstance(key, str) and _kind(key):
                    self.held.setdefault(ast.unparse(target), Held(_kind(key) or "input"))
                    yield from self._bound(ast.unparse(target), value, target.lineno)
            else:
                yield from self._written(target.value, target.slice, value, target.lineno)

    def _bound(self, name: str, value: ast.expr, line: int) -> Iterator[Hit]:
        """A name takes a new value: it may be the batch, or labels that somebody made."""
        before = self.held.get(name)
        if before and before.kind == "label":
            yield from self._relabelled(value, line)
        elif before and before.kind == "input" and self._chosen(value, "input"):
            yield "input-rewrite", line, f"{name} is replaced in places by what does not come from the batch."
        elif self.twice and _made(value) and "label" in self._kinds(value):
            yield "label-remap", line, f"{name} is a label that is the same for every row, beside a second forward."
        now = self._of(value)
        kind = _kind(name) if "[" not in name else None
        if now:
            self.held[name] = now
        elif self.rows and kind in ("input", "label") and isinstance(value, ast.Call | ast.Subscript | ast.Attribute):
            if _last(value) in (*_FRESH, "empty", "zeros", "list", "pad_sequence", "stack", "cat", "concatenate"):
                self.held.pop(name, None)
            else:
                self.held[name] = Held(kind)
        elif before and before.kind == "input" and not self._chosen(value, "input"):
            self.held.pop(name)
        self._note(name, value)

    def _note(self, name: str, value: ast.expr) -> None:
        if self._is_random(value):
            self.random.add(name)

    def _relabelled(self, value: ast.expr, line: int) -> Iterator[Hit]:
        if _IGNORED.search(ast.unparse(value)):
            return
        text = None
        if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
            text = "The label is replaced by a constant."
        elif _made(value) and ("label" in self._kinds(value) or _last(value) in _FRESH[:3]):
            text = "All labels of the batch are replaced by a constant."
        elif self._chosen(value, "label"):
            text = "Some labels of the batch are replaced."
        if text:
            own_values = self._only_labels(_condition(value))
            yield "label-remap" if own_values else "label-write", line, text
        elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod) and "label" in self._kinds(value):
            yield "label-remap", line, "Every label is moved to another class."

    def _returned(self, value: ast.expr) -> Iterator[Hit]:
        last = value.elts[-1] if isinstance(value, ast.Tuple) and value.elts else None
        fixed = isinstance(last, ast.Constant) and type(last.value) is int
        if self.rows and fixed and any(held.kind == "label" for held in self.held.values()):
            yield "label-write", value.lineno, "A row is handed out with a constant in place of its label."
        elif self.rows and isinstance(last, ast.IfExp):
            yield from self._relabelled(last, value.lineno)

    def _call(self, node: ast.Call) -> Iterator[Hit]:
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr in _WRITERS:
            held = self._of(func.value)
            whole = not isinstance(func.value, ast.Subscript) and func.attr in _WHOLE
            if held and not (held.kind == "input" and whole) and held.kind != "batch":
                index = node.args[0] if len(node.args) > 1 else None
                value = node.args[-1] if node.args else None
                yield from self._written(func.value, index, value, node.lineno)
        elif self._named(func) in _PUTTERS and len(node.args) > 1:
            yield from self._written(node.args[0], node.args[1], node.args[-1], node.lineno)
        elif isinstance(func, ast.Name) or (isinstance(func, ast.Attribute) and ast.unparse(func.value) == "self"):
            yield from self._helped(node)

    def _helped(self, node: ast.Call) -> Iterator[Hit]:
        """A function of the same script that is handed the batch."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        local = self.forwards.functions.get(name)
        if local is None or name in self.within or len(self.within) > 3 or name in ("forward", *_ROW_FUNCTIONS):
            return
        given = {p: held for p, argument in arguments(local, node).items() if (held := self._of(argument))}
        if given:
            flow = _Flow(self.names, self.forwards, self.rows, self.twice)
            flow.within = self.within | {name}
            yield from flow.run(local, given)

    def _written(self, base: ast.expr, index: ast.expr | None, value: ast.expr | None, line: int) -> Iterator[Hit]:
        held, name = self._of(base), _root(base)
        if held is None:
            return
        parts = [part for part in (index, value, base) if part is not None]
        if held.kind == "label":
            if value is not None and _IGNORED.search(ast.unparse(value)):
                return
            own_values = self._only_labels(index) or (value is not None and "label" in self._kinds(value))
            yield "label-remap" if own_values else "label-write", line, f"{name} is written to: labels are replaced."
            return
        mixed = value is not None and bool({"input", "batch"} & self._kinds(value))
        where = "a copy of the inputs" if held.copy else "the inputs"
        if mixed:
            yield "input-rewrite", line, f"{name}: parts of {where} are replaced by parts of the batch."
        elif any(self._is_random(part) for part in parts):
            yield "input-rewrite", line, f"{name}: parts of {where} are replaced at random."
        elif self.rows and isinstance(index, ast.Name) and isinstance(value, ast.Call):
            yield "input-rewrite", line, f"{name}: {where} are put together entry by entry."
        elif held.copy and not self.rows and not self.twice:
            yield "input-rewrite", line, f"{name}: a copy of the inputs is written to in a training step."
        else:
            beside = ", beside a second forward" if held.copy and not self.rows else ""
            yield "input-write", line, f"{name}: something is written over {where}{beside}."

    def _of(self, node: ast.expr) -> Held | None:  # noqa: PLR0911 (one kind of expression a line)
        """What an expression holds."""
        if isinstance(node, ast.Call):
            return self._of_call(node)
        if isinstance(node, ast.Name | ast.Subscript) and (found := self.held.get(ast.unparse(node))):
            return found
        if isinstance(node, ast.Attribute):
            base = self._of(node.value)
            if base and base.kind == "batch" and (kind := _kind(node.attr)):
                return replace(base, kind=kind)
            return base if node.attr in _SAME else None
        if isinstance(node, ast.Subscript):
            base = self._of(node.value)
            if base and base.kind == "batch" and isinstance(node.slice, ast.Constant):
                return replace(base, kind=_keyed(node.slice.value))
            return replace(base, copy=base.copy or not _is_view(node.slice)) if base else None
        return None

    def _of_call(self, node: ast.Call) -> Held | None:
        name = self._named(node.func)
        if name in _COPIERS | _VIEWERS and node.args:
            base = self._of(node.args[0])
            return base and (replace(base, copy=True) if name in _COPIERS else base)
        if isinstance(node.func, ast.Attribute):
            base = self._of(node.func.value)
            if base and node.func.attr in ("pop", "get") and node.args and isinstance(node.args[0], ast.Constant):
                return replace(base, kind=_keyed(node.args[0].value))
            if base and node.func.attr in _COPIES:
                return replace(base, copy=True)
            return base if node.func.attr in _SAME else None
        return None

    def _named(self, func: ast.expr) -> str:
        text = ast.unparse(func) if isinstance(func, ast.Name | ast.Attribute) else ""
        head, dot, tail = text.partition(".")
        return self.names.get(head, head) + dot + tail

    def _kinds(self, value: ast.AST) -> set[str]:
        """What an expression mentions."""
        found = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
        texts = {ast.unparse(n) for n in ast.walk(value) if isinstance(n, ast.Subscript)}
        return {held.kind for name, held in self.held.items() if name in found | texts}

    def _only_labels(self, index: ast.expr | None) -> bool:
        return (
            index is not None
            and self._kinds(index) == {"label"}
            and any(isinstance(n, ast.Compare) for n in ast.walk(index))
        )

    def _chosen(self, value: ast.expr, kind: str) -> bool:
        """where(mask, other, x), x.masked_fill(mask, k), k if c else x: ``kind`` in some places, else something."""
        if isinstance(value, ast.IfExp):
            sides = [value.body, value.orelse]
        elif isinstance(value, ast.Call) and _last(value) == "where" and len(value.args) in (2, 3):
            first = (
                value.func.value if len(value.args) == 2 and isinstance(value.func, ast.Attribute) else value.args[1]
            )
            sides = [first, value.args[-1]]
        elif isinstance(value, ast.Call) and _last(value) in ("masked_fill", "index_fill") and len(value.args) > 1:
            first = value.func.value if isinstance(value.func, ast.Attribute) else value.args[0]
            sides = [first, value.args[-1]]
        else:
            return False
        have = [kind in self._kinds(side) for side in sides]
        return any(have) and not all(have) and not self._is_random(value)

    def _is_random(self, value: ast.AST) -> bool:
        return any(
            (isinstance(n, ast.Name) and n.id in self.random)
            or (isinstance(n, ast.Call) and bool(_RANDOM.search(ast.unparse(n.func))))
            for n in ast.walk(value)
        )


def _expressions(node: ast.stmt) -> Iterator[ast.expr]:
    yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def _made(value: ast.expr) -> bool:
    """full_like(y, k), zeros_like(y), y * 0 + k: the same for every row."""
    if isinstance(value, ast.BinOp):
        zero = isinstance(value.op, ast.Mult) and any(
            isinstance(side, ast.Constant) and side.value == 0 for side in (value.left, value.right)
        )
        return zero or _made(value.left) or _made(value.right)
    return isinstance(value, ast.Call) and _last(value) in _FRESH[:7]


def _last(value: ast.expr) -> str:
    func = value.func if isinstance(value, ast.Call) else value
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def _condition(value: ast.expr) -> ast.expr | None:
    if isinstance(value, ast.IfExp):
        return value.test
    return value.args[0] if isinstance(value, ast.Call) and value.args and _last(value) == "where" else None


def _keyed(key: object) -> str:
    if isinstance(key, int):
        return "input" if key == 0 else "label"
    return _kind(str(key)) or "input"


def _is_view(index: ast.expr) -> bool:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return all(isinstance(p, ast.Slice | ast.Constant | ast.UnaryOp) for p in parts)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    return ast.unparse(node)
