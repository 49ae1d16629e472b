"""What a name in a script stands for: imports, aliases, getattr and import_module with literal arguments."""

from __future__ import annotations

import ast

_STARS = {  # what `from m import *` brings that a rule asks for
    "pickle": ("load", "loads", "Unpickler"),
    "os": ("system", "popen"),
    "subprocess": ("run", "call", "Popen", "check_call", "check_output"),
    "torch": ("load", "hub", "jit"),
    "joblib": ("load",),
    "numpy": ("load",),
    "yaml": ("load", "unsafe_load"),
}
_SHORT = {
    "_pickle": "pickle",
    "cPickle": "pickle",
    "sklearn.externals.joblib": "joblib",
    "np": "numpy",
    "th": "torch",
}
_BUILTINS = ("eval", "exec", "compile", "__import__", "getattr", "open", "get_ipython")
SHELL = "IPython.shell"
"""The name given to IPython's running shell, whatever it was asked for by."""
_ASKS_FOR_IT = ("get_ipython", "InteractiveShell.instance", "InteractiveShell")


class Names:
    """The dotted name behind an expression, for one script; scopes are not told apart."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self.known: dict[str, str] = {}
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    short = alias.asname or alias.name.split(".")[0]
                    self.known[short] = alias.name if alias.asname else short
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    if alias.name == "*":
                        self.known |= {name: f"{node.module}.{name}" for name in _STARS.get(node.module, ())}
                    else:
                        self.known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for node in nodes:  # load = torch.load; p = importlib.import_module("pickle")
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                meant = self.of(node.value)
                if meant and meant.split(".")[0] not in [t.id for t in targets if isinstance(t, ast.Name)]:
                    for target in targets:
                        if isinstance(target, ast.Name):
                            self.known.setdefault(target.id, meant)

    def of(self, node: ast.AST) -> str | None:
        """ "torch.load" for an expression that means it; None where that cannot be told."""
        tail: list[str] = []
        while isinstance(node, ast.Attribute):
            tail.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            head = self.known.get(node.id) or (node.id if node.id in _BUILTINS else None)
        else:
            head = self._called(node) if isinstance(node, ast.Call) else None
        if head is None:
            return None
        full = ".".join([head, *reversed(tail)])
        for short, long in _SHORT.items():
            if full == short or full.startswith(short + "."):
                full = long + full[len(short) :]
        return full.removeprefix("builtins.")

    def _called(self, node: ast.Call) -> str | None:
        """What getattr(module, "name"), import_module("m") or __import__("m") gives."""
        inner = self.of(node.func)
        if inner and inner.endswith(_ASKS_FOR_IT):
            return SHELL
        texts = [a.value if isinstance(a, ast.Constant) and isinstance(a.value, str) else None for a in node.args]
        if inner == "getattr" and len(texts) > 1 and texts[1]:
            base = self.of(node.args[0])
            return f"{base}.{texts[1]}" if base else None
        if inner in ("importlib.import_module", "__import__") and texts and texts[0]:
            return texts[0] if inner != "__import__" else texts[0].split(".")[0]
        return None
