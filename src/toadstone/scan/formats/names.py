"""What a pickle's import means: nothing, something unknown, or a danger."""

from __future__ import annotations

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from functools import lru_cache

from toadstone.scan.formats.allowed import ALLOWED
from toadstone.scan.formats.allowed.row import Allowed
from toadstone.scan.formats.dangers import danger, known_package

_FOREIGN = re.compile(  # what modules of scikit-learn, torch or pandas import from elsewhere
    "ABC|ABCMeta|Any|BytesIO|Callable|Counter|Enum|Executor|Hashable|Integral|Iterable|Iterator|Memory|MemorizedFunc|"
    "Number|Parallel|Path|Pool|Popen|Process|Real|Sequence|Sized|StringIO|ThreadPool|ThreadPoolExecutor|TypeVar|"
    "WeakKeyDictionary|Thread|Lock|Mapping|MutableMapping|Complex|Rational|Callable|Literal|Optional|Union|Generic|"
    "F|_VF|_Reduction|Components|ClassVar|Dict|List|Tuple|TypedDict|SupportsFloat|Protocol|NamedTuple|TypeAlias|ParamSpec|Self|Concatenate"
)


@lru_cache(4096)
def entry(module: str, name: str) -> Allowed | None:
    """The row of the table of harmless names that this name is in; None where it is in none.

    >>> entry("xgboost.core", "Booster").kind
    'bare'
    """
    if _FOREIGN.fullmatch(name) and module.startswith(("sklearn", "torch", "pandas")):
        return None
    return next((row for row in ALLOWED if row.module.fullmatch(module) and row.names.fullmatch(name)), None)


def allowed(module: str, name: str) -> bool:
    """Whether models need this name and it is known to run nothing else.

    >>> allowed("collections", "OrderedDict"), allowed("timeit", "timeit")
    (True, False)
    """
    return entry(module, name) is not None


def today(module: str, name: str, protocol: int) -> tuple[str, str]:
    """A name as the unpickler looks it up: before protocol 3 it renames what Python 2 called otherwise."""
    if protocol >= 3:
        return module, name
    return NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))


def verdict(module: str, name: str, protocol: int) -> tuple[str, str]:
    """(rule, what the name does) of a name that a pickle of this protocol imports; ("", "") where it is allowed.

    >>> verdict("__builtin__", "set", 2), verdict("cProfile", "run", 4)[0]
    (('', ''), 'pickle-code')
    >>> verdict("torch", "quaternion", 2)
    ('pickle-unknown-import', 'is not among the parts of torch that are known to be harmless')
    """
    new = today(module, name, protocol)
    if allowed(*new):
        return "", ""
    if what := danger(*new) or danger(module, name):
        return "pickle-code", what
    package = known_package(new[0])
    where = (
        f"is not among the parts of {package} that are known to be harmless"
        if package
        else ("belongs to a package that toadstone does not know")
    )
    return "pickle-unknown-import", where
