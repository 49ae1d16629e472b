"""Keras: the JSON that describes a model, in .keras zips, in HDF5 files and beside weights."""

from __future__ import annotations

import builtins
import json
import re
from typing import Any

from toadstone.scan.formats.keras_names import CLASSES, FUNCTIONS
from toadstone.scan.formats.source import Scan

_ROOT = r"(keras|tf_keras|tensorflow\.(python\.)?keras|keras_hub|keras_nlp|keras_cv)(\.(api|_tf_keras\.keras))?(\.src)?"
_PARTS = (
    "layers|models|engine|activations|initializers|regularizers|constraints|losses|metrics|optimizers|dtype_policies|"
    "quantizers|tokenizers|samplers|random|legacy"
)
_CLASSES = re.compile(rf"{_ROOT}(\.({_PARTS})(\.\w+)*|\.ops\.(numpy|nn|math|linalg|image|einops|core))?")
_FUNCTIONS = re.compile(rf"{_ROOT}\.(activations|losses|metrics|initializers|regularizers|constraints|ops)(\.\w+)*")
_CALLS = re.compile(  # functions of those modules that make, load or call what they are given
    r"(de)?serialize\w*|get|map|vectorized_map|scan|associative_scan|fori_loop|while_loop|cond|switch|custom_gradient|"
    r".*(load|file|import|eval|exec|open|save|call|config).*"
)
_RUNS = {  # classes whose description holds a program, or which call a loader that runs one
    "Lambda": "Python byte code",
    "__lambda__": "Python byte code",
    "TorchModuleWrapper": "a pickled module of torch, which torch.load runs",
    "TFSMLayer": "a SavedModel of TensorFlow that it names, which is a program",
    "JaxLayer": "a function of a stranger's package",
    "FlaxLayer": "a module of a stranger's package",
    "ModuleWrapper": "a module of TensorFlow, by its methods' names",
    "VectorizedMap": "a function that the file chooses",
    "FeatureSpace": "functions that the file chooses",
}
_FILES = ("vocabulary", "filepath", "vocabulary_file", "merges", "proto", "preset", "idf_weights")
_KEYS = {"class_name", "function_type", "registered_name"}
_BLANK = re.compile(r"\s*")


def scan_json(scan: Scan, text: str, where: str) -> bool:
    """Report what JSON would make its loader run. Whether the text is JSON whole, or a line of it after another.

    Objects that are whole count even where the text around them is not.
    """
    objects: list[dict[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if _KEYS & found.keys():
            objects.append(found)
        return found

    decoder, values = json.JSONDecoder(object_pairs_hook=keep), 0
    at, whole = _skip(text, 0), True
    try:
        while at < len(text):
            _, at = decoder.raw_decode(text, at)
            values += 1
            at = _skip(text, at)
    except (ValueError, RecursionError):
        whole = False
    for found in objects:
        _judge(scan, found, where)
    return values > 0 and whole


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _judge(scan: Scan, found: dict[str, Any], where: str) -> None:
    """One serialised object: Keras takes for one what has these two keys."""
    if found.get("function_type") == "lambda":
        _program(scan, where, "Lambda", _RUNS["Lambda"])
    if "class_name" not in found or "config" not in found:
        return
    kind, module, config = str(found["class_name"]), found.get("module"), found["config"]
    if kind in _RUNS:
        _program(scan, where, kind, _RUNS[kind])
    elif kind in ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"):
        scan.unscanned(where, f"it calls an operation of TensorFlow by name ({kind})")
    elif kind == "function":
        _function(scan, where, str(config), module)
    elif isinstance(module, str):
        _class(scan, where, kind, module, found.get("registered_name"))
    elif kind not in CLASSES and not (kind.startswith("__") and kind.endswith("__")):
        _custom(scan, where, kind)
    if isinstance(config, dict):
        for key in _FILES:
            if isinstance(config.get(key), str) and config[key]:
                scan.unscanned(where, f"a layer reads its {key} from {config[key][:80]!r}")


def _program(scan: Scan, where: str, kind: str, what: str) -> None:
    kind = "Lambda" if kind == "__lambda__" else kind
    text = f"It holds a {kind} layer: {what}, run when the model is loaded or called."
    scan.add("keras-lambda", where, text, name=kind)


def _class(scan: Scan, where: str, kind: str, module: str, registered: object) -> None:
    """A class by its module and name; a registered one is the program's own."""
    own = ">" in str(registered or "")
    if _CLASSES.fullmatch(module) and (re.fullmatch(r"_?[A-Z]\w*", kind) or kind == "__typespec__"):
        if own and not str(registered).startswith("keras"):
            _custom(scan, where, str(registered))
    elif _FUNCTIONS.fullmatch(module) and kind in FUNCTIONS:
        pass
    else:
        text = f"Loading it would import {module[:80]} and use {kind[:80]} from it: no part of Keras that models need."
        scan.add("keras-foreign-module", where, text, module=module[:200], name=kind[:200])


def _function(scan: Scan, where: str, name: str, module: object) -> None:
    """A function by its name. Those of ``builtins`` are looked up in Keras first, then among Python's own."""
    if module in (None, "builtins") and name in FUNCTIONS:
        return
    if isinstance(module, str) and _FUNCTIONS.fullmatch(module) and not _CALLS.fullmatch(name):
        return
    if module in (None, "builtins") and not hasattr(builtins, name):
        _custom(scan, where, name)
        return
    text = f"It names the function {name[:80]} of {module or 'builtins'}, which is not an activation, loss or metric."
    scan.add("keras-foreign-module", where, text, module=str(module), name=name[:200])


def _custom(scan: Scan, where: str, name: str) -> None:
    scan.unscanned(where, f"it needs {name[:80]!r}, which is the loading program's own")
