"""Settings whose texts are called: Hydra's _target_, MONAI's expressions, MLflow's loaders, skops' schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import yaml

from toadstone.scan.formats.dangers import danger
from toadstone.scan.formats.imports import judge
from toadstone.scan.formats.names import allowed
from toadstone.scan.formats.source import MIB, Scan
from toadstone.scan.formats.yaml_tags import BREAKS

_MENTIONS = re.compile(r"_target_|loader_module|python_function|__loader__|\\[xuU]|\$\{")
_RESOLVER = re.compile(r"\$\{\s*(?!now:|hydra:)([\w.]+)\s*:")
_LONGEST = 8 * MIB
_MOST = 300_000  # nodes
_NODES = frozenset(
    re.findall(
        r"\w+",
        "Dict List Set Tuple Function Method Partial Type Slice Object Json NdArray MaskedArray RandomState "
        "RandomGenerator Dtype SparseMatrix Bytes Bytearray Reduce Tree SGD Loss Cached DefaultDict "
        "CythonLoss DatetimeTz ColumnTransformer Generator OperatorFunc Datetime Bunch",
    )
)
_FLAVORS = re.compile(r"mlflow(\.\w+)*")


def scan_targets(scan: Scan, text: str, where: str) -> None:
    """Report names that a loader of these settings would import and call."""
    settings = PurePosixPath(where.lower()).suffix in (".yaml", ".yml", ".json") or where.endswith(
        ("MLmodel", "schema.json")
    )
    if not _MENTIONS.search(text) or not (settings or "_target_" in text):
        return
    if len(text) > _LONGEST:
        scan.unscanned(where, "its settings are longer than 8 MiB")
        return
    objects: list[dict[str, Any]] = []
    why = _read(text.strip("\ufeff \t\r\n\0"), objects)
    if why and settings:
        scan.unscanned(where, why)
    called = any("_target_" in told for told in objects)
    for told in objects:
        for target in _texts(told.get("_target_")):
            _target(scan, target, where)
        if called:
            _expressions(scan, told, where)
        if "loader_module" in told:
            _mlflow(scan, told, where)
        if isinstance(told.get("__loader__"), str) and "__module__" in told:
            _skops(scan, told, where)
    if called and (names := sorted(set(_RESOLVER.findall(text)))):
        what = (
            f"Its settings ask for values by {', '.join(names[:5])}: of the environment, or of code that resolves them."
        )
        scan.add("resolver", where, what, level="note")


def _read(text: str, objects: list[dict[str, Any]]) -> str:
    """Collect every mapping of a JSON or YAML text, without making objects of its tags; why not all of them."""

    def keep(told: dict[str, Any]) -> dict[str, Any]:
        objects.append(told)
        return told

    if text.startswith(("{", "[")):
        try:
            json.loads(text, object_hook=keep)
        except (ValueError, RecursionError):
            objects.clear()
        else:
            return ""
    seen: set[int] = set()
    try:
        for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
            waiting = [document]
            while waiting:
                node = waiting.pop()
                if id(node) in seen or node is None:
                    continue
                seen.add(id(node))
                if len(seen) > _MOST:
                    return "its settings have more values than are followed"
                if isinstance(node, yaml.MappingNode):
                    objects.append({_key(key): _value(value) for key, value in node.value})
                    waiting += [part for pair in node.value for part in pair]
                elif isinstance(node, yaml.SequenceNode):
                    waiting += node.value
    except BREAKS as error:
        return f"its settings cannot be read as YAML ({' '.join(str(error).split())[:100]})"
    return ""


def _value(node: yaml.Node) -> Any:
    """A text, or a list of texts; what is below is another mapping's."""
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [item.value for item in node.value if isinstance(item, yaml.ScalarNode)]
    return {_key(key): value.value for key, value in node.value if isinstance(value, yaml.ScalarNode)}


def _key(node: yaml.Node) -> str:
    """A key that is a text; a list or a mapping, which aliases can make endless, is nobody's setting."""
    return node.value if isinstance(node, yaml.ScalarNode) else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def _target(scan: Scan, target: str, where: str) -> None:
    if "${" in target or target.startswith("$"):
        text = f"A _target_ is computed ({target[:80]!r}), so that nothing here says what would be called."
        scan.add("unknown-import", where, text, level="warning", name=target[:200])
        return
    rule, what = judge(target)
    if rule == "imports-code":
        scan.add(rule, where, f"Making what it describes calls {target[:80]}, which {what}.", name=target[:200])
    elif rule:
        text = f"Making what it describes imports and calls {target[:80]}, which toadstone does not know."
        scan.add(rule, where, text, level="warning", name=target[:200])


def _expressions(scan: Scan, told: dict[str, Any], where: str) -> None:
    """MONAI evaluates values that begin with a dollar."""
    for value in told.values():
        for text in _texts(value):
            if text.startswith("$") and not text.startswith("${"):
                bad = re.search(
                    r"__\w+__|\b(os|sys|subprocess|eval|exec|open|compile|socket|shutil)\b\s*[.(]|import\s+(os|sys|subprocess|socket|shutil)\b",
                    text,
                )
                what = f"MONAI would evaluate {text[:80]!r} as Python."
                _imported(scan, where, what, bool(bad))


def _imported(scan: Scan, where: str, text: str, dangerous: bool, **detail: Any) -> None:
    """Write down what a loader would import: what is known to do harm, or what nothing is known of."""
    if dangerous:
        scan.add("imports-code", where, text, **detail)
    else:
        scan.add("unknown-import", where, text, level="warning", **detail)


def _mlflow(scan: Scan, told: dict[str, Any], where: str) -> None:
    """The python_function of an MLmodel."""
    module = str(told["loader_module"])
    if not _FLAVORS.fullmatch(module):
        what = danger(module, "_load_pyfunc") or danger(*(module.rpartition(".")[::2])) if "." in module else ""
        text = f"MLflow imports {module[:80]} to load it{f', which {what}' if what else ': no part of MLflow'}."
        _imported(scan, where, text, bool(what), name=module[:200])
    if code := told.get("code") or told.get("model_code_path"):
        text = f"MLflow imports Python from its folder {str(code)[:80]!r}: read it first."
        scan.add("remote-code", where, text, level="warning", key="code")


def _skops(scan: Scan, told: dict[str, Any], where: str) -> None:
    """One object of a skops file."""
    module, name, loader = str(told["__module__"]), str(told.get("__class__")), str(told["__loader__"])
    if loader.removesuffix("Node") not in _NODES:
        scan.unscanned(where, f"skops would read a part of it with {loader[:60]!r}, which toadstone does not know")
    if loader in ("FunctionNode", "TypeNode", "MethodNode") and isinstance(inner := told.get("content"), dict):
        module, name = str(inner.get("module_path", module)), str(inner.get("function", inner.get("func", name)))
    plain = module == "builtins" and name in ("NoneType", "str", "int", "float", "bool", "type", "slice", "method")
    if loader == "OperatorFuncNode":
        text = f"It makes operator.{name[:60]}, which calls or fetches what the file names."
        scan.add("imports-code", where, text, name=f"{module}.{name}"[:200])
    elif (
        not plain
        and not allowed(module, name)
        and not (module.startswith("numpy") and loader[:7] in ("Random", "NdArray", "DtypeNo"))
    ):
        what = danger(module, name)
        text = f"Loading it imports {module[:80]}.{name[:60]}, which {what or 'toadstone does not know'}."
        _imported(scan, where, text, bool(what), name=f"{module}.{name}"[:200])
