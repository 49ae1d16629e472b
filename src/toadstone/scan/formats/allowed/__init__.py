"""What a pickle may import: a table by package and kind, with the reason why each cannot run anything else.

An entry is judged by what its constructor, ``__new__``, ``__setstate__`` and ``__reduce__`` do with values that a
stranger chose: none of them loads a file, evaluates text or imports by name. What they are *given* to call is a name
of the same pickle, which is judged by itself. No entry is a prefix: modules are written out, names end.
"""

from __future__ import annotations

import re

from toadstone.scan.formats.allowed.estimators import LEARN
from toadstone.scan.formats.allowed.frames import PANDAS
from toadstone.scan.formats.allowed.nets import TORCH
from toadstone.scan.formats.allowed.numbers import NUMPY, SCIPY
from toadstone.scan.formats.allowed.python import PYTHON
from toadstone.scan.formats.allowed.row import Allowed

_PARTS = {
    "Python": PYTHON,
    "numpy": NUMPY,
    "scipy": SCIPY,
    "estimators": LEARN,
    "pandas": PANDAS,
    "torch and tensorflow": TORCH,
}
ALLOWED = tuple(
    Allowed(package, kind, re.compile(module), re.compile(names), reason)
    for package, rows in _PARTS.items()
    for kind, module, names, reason in rows
)
