"""Calls of IPython's shell in a script, as `%time f(x)` is one: what they run stands in the script in their place."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from toadstone.scan.rules.ipython import python_of
from toadstone.scan.rules.magics import Meaning, cell_magic, expanded, is_magic, line_magic, python_in_shell
from toadstone.scan.rules.names import SHELL, Names

_DEEPEST = 20  # magics inside of magics
_COMMANDS = {"system", "system_raw", "system_piped", "getoutput"}
_TEXTS = {"run_cell", "run_cell_async", "ex", "ev", "run_code"}
_FILES = {"safe_execfile", "safe_execfile_ipy", "safe_run_module"}
_ARGUMENTS = {
    "run_line_magic": ("magic_name", "line"),
    "run_cell_magic": ("magic_name", "line", "cell"),
    "magic": ("arg_s",),
}


@dataclass
class Effects:
    """What calls of the shell do beside running Python: (line, what)."""

    shell: list[tuple[int, str]] = field(default_factory=list)
    runs: list[tuple[int, str]] = field(default_factory=list)
    hits: list[tuple[str, int, str]] = field(default_factory=list)
    unread: list[tuple[int, str]] = field(default_factory=list)


def run_magics(tree: ast.Module, *, cells: bool) -> Effects:
    """Put into ``tree`` what its calls of IPython's shell run, until none is left that was not read.

    ``cells``: the lines of a magic's cell are lines of the source as well, and not one literal.
    """
    effects, seen = Effects(), set[ast.Call]()
    nodes = list(ast.walk(tree))
    for _ in range(_DEEPEST):
        names = Names(nodes)
        new = [node for node in nodes if isinstance(node, ast.Call) and node not in seen]
        calls = {node: told for node in new if (told := _meaning(node, names, effects)) is not None}
        seen |= set(new)
        added = _Insert(calls, effects, cells)
        added.visit(tree)
        tree.body += added.late
        if not added.any:
            return effects
        nodes = list(ast.walk(tree))
    effects.unread.append((1, "it is nested too deeply"))
    return effects


class _Insert(ast.NodeTransformer):
    """Statements come after a call that stands alone; those of another call come at the end."""

    def __init__(self, calls: dict[ast.Call, Meaning], effects: Effects, cells: bool) -> None:
        self.calls, self.effects, self.cells = calls, effects, cells
        self.late: list[ast.stmt] = []
        self.any = False

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        if isinstance(node.value, ast.Call) and node.value in self.calls:
            return [node, *self._parsed(node.value)]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if node in self.calls:
            self.late += self._parsed(node)
        return self.generic_visit(node)

    def _parsed(self, node: ast.Call) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for at, text in self.calls[node].python:
            line = node.lineno + at * self.cells
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    part = ast.parse(text if "\n" in text else text.strip())
            except (SyntaxError, ValueError) as error:
                why = f" ({error.msg})" if isinstance(error, SyntaxError) else ""
                self.effects.unread.append((line, f"what a magic runs is not Python{why}"))
                continue
            for each in ast.walk(part):
                if isinstance(each, ast.expr | ast.stmt):
                    each.lineno = line + (each.lineno - 1) * self.cells
            found += part.body
        self.any |= bool(found)
        return found


def _meaning(node: ast.Call, names: Names, effects: Effects) -> Meaning | None:
    """What a call of the shell does; None for any other call. All but its Python goes into ``effects``."""
    shell, _, method = (names.of(node.func) or "").rpartition(".")
    if method in ("run_line_magic", "run_cell_magic") and isinstance(node.func, ast.Attribute):
        shell = SHELL  # nothing else has methods of these names
    if shell != SHELL:
        return None
    told = _told(method, node)
    effects.shell += [(node.lineno + at, text) for at, text in told.shell]
    effects.runs += [(node.lineno, script) for script in told.runs]
    effects.hits += [(rule, node.lineno, text) for rule, text in told.hits]
    effects.unread += [(node.lineno, why) for why in told.unread]
    for at, text in told.shell:
        told.python += [(at, script) for script in python_in_shell(text)]
    return told


def _told(method: str, node: ast.Call) -> Meaning:
    given = list(_given(node, _ARGUMENTS.get(method, ())))
    text = given[0] if given else None
    if method in _COMMANDS:
        return Meaning(python=[(0, each) for each in [*expanded(text or ""), *python_in_shell(text or "")]])
    if method not in {*_TEXTS, *_FILES, *_ARGUMENTS}:
        return Meaning()
    if text is None or None in given:
        return Meaning(hits=[("dynamic-code", "IPython's shell is handed a text that is not written in the script.")])
    if method in _TEXTS:
        return Meaning(python=[(0, python_of(text, is_magic))])
    if method in _FILES:
        return Meaning(runs=[text])
    name, line, body = [each or "" for each in (*given, "", "")][:3]
    if method == "magic":
        name, _, line = text.lstrip("%").partition(" ")
    return cell_magic(name, line, body) if method == "run_cell_magic" else line_magic(name, line)


def _given(node: ast.Call, names: tuple[str, ...]) -> Iterator[str | None]:
    """The arguments by place, or by these names, where they are literal texts; None for others."""
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    rest = [keywords[name] for name in names[len(node.args) :] if name in keywords]
    if not names and not node.args:
        rest = list(keywords.values())[:1]
    for argument in [*node.args, *rest]:
        literal = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        yield argument.value if literal else None  # type: ignore[attr-defined]
