"""One judge a contract: how it is measured, its columns and its sentence. Each kind of defense is a file here."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from toadstone.experiments.judges.base import Judge

_MODULES = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
_KINDS = [module.JUDGE for module in _MODULES if hasattr(module, "JUDGE")]
JUDGES: dict[str, Judge] = {judge.contract: judge for judge in sorted(_KINDS, key=lambda judge: judge.order)}
"""Contract -> judge, in the order in which a pipeline meets them."""


def judges_of(defense: Any) -> list[Judge]:
    """The judge of each contract that an object fulfils."""
    return [judge for judge in JUDGES.values() if isinstance(defense, judge.verb)]
