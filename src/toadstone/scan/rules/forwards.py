"""How often a training step calls one model: branches count once, loops twice, calls without gradients not at all."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from toadstone.scan.rules.calls import Hit

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
Function = ast.FunctionDef | ast.AsyncFunctionDef

_MODEL = re.compile(
    r"(self\.)?_?([a-z]\w*_)?(model|net|network|classifier|backbone|encoder|decoder|critic|discriminator)\d*"
)
_OTHER = re.compile(r"(self\.)?_?(student|teacher|generator|resnet\w*|net_?[DG]|[DG])")
_VERB = re.compile(r"(self\.)?_?(get|build|create|make|load|init|save|define|prepare|new|setup)_")
_BACKWARD = ("backward", "manual_backward")
_LOSS = re.compile(r"(^|_)loss(es)?($|_)|criterion", re.IGNORECASE)
_MOST = 400_000  # nodes that are looked at, those of a function again with each of its calls
_STEPS = ("training_step", "train_step", "compute_loss", "closure")


def own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of functions and classes inside it."""
    todo = list(ast.iter_child_nodes(scope))[::-1]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            todo += list(ast.iter_child_nodes(node))[::-1]


def is_step(scope: Scope) -> bool:
    """Whether a scope goes backward, or is a function that returns a loss."""
    nodes = list(own(scope))
    if any(_goes_backward(node) for node in nodes):
        return True
    if isinstance(scope, ast.Module) or scope.name == "forward":
        return False
    return scope.name in _STEPS or any(isinstance(n, ast.Return) and _is_loss(n.value) for n in nodes)


class Forwards:
    """Counts of model calls in one script, whose ``scopes`` and training ``steps`` it lists."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self.left = _MOST
        self.scopes = [n for n in nodes if isinstance(n, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef)]
        self.functions = {n.name: n for n in self.scopes if not isinstance(n, ast.Module)}
        self.steps = [scope for scope in self.scopes if is_step(scope)]
        self.models = {
            ast.unparse(n.func.value)
            for n in nodes
            if isinstance(n, ast.Call)
            and isinstance(n.func, ast.Attribute)
            and n.func.attr in ("parameters", "named_parameters", "train", "eval")
            and isinstance(n.func.value, ast.Name | ast.Attribute)
        }

    def repeated(self, scope: Scope) -> dict[str, int]:
        """{model: the line of its second call} for the models that one step of ``scope`` calls more than once."""
        found = {}
        for region in _regions(scope):
            calls = self._count(region, frozenset())
            for model, count in Counter(model for model, _ in calls).items():
                if count > 1:
                    found[model] = [line for name, line in calls if name == model][1]
        return found

    def hits(self) -> Iterator[Hit]:
        """The rule on more than one forward."""
        for scope in self.steps:
            for model, line in self.repeated(scope).items():
                yield "two-forwards", line, f"One training step calls {model} more than once."

    def _count(self, nodes: Iterable[ast.AST], inside: frozenset[str]) -> list[tuple[str, int]]:
        """(model, line) of every call; what a local function calls counts where it is called."""
        calls: list[tuple[str, int]] = []
        for node in nodes:
            self.left -= 1
            if self.left < 0:
                raise RecursionError("functions that call one another are followed so far")
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
                continue
            if isinstance(node, ast.If | ast.IfExp):
                ways = [w if isinstance(w, list) else [w] for w in (node.body, node.orelse)]
                calls += self._count([node.test], inside) + _most([self._count(way, inside) for way in ways])
            elif isinstance(node, ast.With | ast.AsyncWith) and any("no_grad" in t for t in _openers(node)):
                continue
            else:
                within = self._count(ast.iter_child_nodes(node), inside)
                again = isinstance(node, ast.For | ast.AsyncFor | ast.While | ast.ListComp | ast.GeneratorExp)
                calls += within * (2 if again else 1)
                if isinstance(node, ast.Call):
                    calls += self._called(node, inside)
            calls = _twice(calls)
        return calls

    def _called(self, node: ast.Call, inside: frozenset[str]) -> list[tuple[str, int]]:
        model = self.model(node)
        if model:
            return [(model, node.lineno)]
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        local = self.functions.get(name)
        own_method = not isinstance(node.func, ast.Attribute) or ast.unparse(node.func.value) == "self"
        if local is None or name in inside or name == "forward" or not own_method or len(inside) > 3:
            return []
        given = arguments(local, node)
        calls = self._count(local.body, inside | {name})
        return [(ast.unparse(given[model]) if model in given else model, node.lineno) for model, _ in calls]

    def model(self, node: ast.Call) -> str | None:
        """The model that a call runs forward, as the script writes it."""
        func: ast.expr = node.func
        if isinstance(func, ast.Name | ast.Attribute) and ast.unparse(func).endswith("functional_call") and node.args:
            func = node.args[0]
        while isinstance(func, ast.Attribute) and func.attr in ("forward", "module", "__call__"):
            func = func.value
        if not isinstance(func, ast.Name | ast.Attribute):
            return None
        text = ast.unparse(func)
        if text in self.functions or _VERB.match(text) or text.startswith("super"):
            return None
        known = text in self.models and text not in ("trainer", "self.trainer")
        return text if known or text == "self" or _MODEL.fullmatch(text) or _OTHER.fullmatch(text) else None


def arguments(function: Function, node: ast.Call) -> dict[str, ast.expr]:
    """{parameter: argument} of a call of a function in the script."""
    names = [a.arg for a in [*function.args.posonlyargs, *function.args.args]]
    if names[:1] == ["self"] and isinstance(node.func, ast.Attribute):
        names = names[1:]
    given = dict(zip(names, node.args, strict=False))
    return given | {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}


def _regions(scope: Scope) -> list[list[ast.stmt]]:
    """The bodies that one step runs: the innermost loops that go backward, else the whole function."""
    loops = [n for n in own(scope) if isinstance(n, ast.For | ast.AsyncFor | ast.While)]
    going = [loop for loop in loops if any(_goes_backward(n) for n in own(loop))]
    outer = set(going)
    inner = [loop for loop in going if not any(node in outer for node in own(loop))]
    if inner:
        return [loop.body for loop in inner]
    return [scope.body]


def _twice(calls: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The first two calls of each model: more is no more than twice, and loops in loops would double them on and on."""
    if len(calls) < 3:
        return calls
    seen: Counter[str] = Counter()
    kept = []
    for model, line in calls:
        seen[model] += 1
        if seen[model] < 3:
            kept.append((model, line))
    return kept


def _most(ways: list[list[tuple[str, int]]]) -> list[tuple[str, int]]:
    return max(ways, key=lambda calls: max(Counter(m for m, _ in calls).values(), default=0))


def _goes_backward(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _BACKWARD


def _openers(node: ast.With | ast.AsyncWith) -> list[str]:
    texts = [ast.unparse(item.context_expr) for item in node.items]
    off = ("inference_mode", "set_grad_enabled(False)")
    return ["no_grad" if any(word in text for word in off) else text for text in texts]


def _is_loss(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Tuple):
        return any(_is_loss(item) for item in value.elts)
    if isinstance(value, ast.Dict):
        return any(isinstance(key, ast.Constant) and key.value == "loss" for key in value.keys)
    if isinstance(value, ast.Call):
        return _is_loss(value.func) or (isinstance(value.func, ast.Attribute) and _is_loss(value.func.value))
    if isinstance(value, ast.Attribute):
        return bool(_LOSS.search(value.attr)) or value.attr in ("cross_entropy",)
    if isinstance(value, ast.BinOp):
        return _is_loss(value.left) or _is_loss(value.right)
    return isinstance(value, ast.Name) and bool(_LOSS.search(value.id))
