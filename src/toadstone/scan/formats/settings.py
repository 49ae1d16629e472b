"""Settings in JSON that decide which Python a loader imports: those of the Hugging Face libraries."""

from __future__ import annotations

import json
import re
from typing import Any

from toadstone.scan.formats.imports import judge
from toadstone.scan.formats.source import Scan
from toadstone.scan.formats.tokenizer_json import scan_tokenizer
from toadstone.scan.templates.read import scan_template

_BLANKS = "\ufeff \t\r\n\f\v\x00\xa0\u2028\u2029"
_LIBRARIES = re.compile(r"(diffusers|transformers|optimum|onnxruntime|open_clip|compel|controlnet_aux)(\.\w+)*")
_MODULES = re.compile(r"(sentence_transformers|torch\.nn|transformers)(\.\w+)*")
_OUTSIDE = re.compile(r"/|[A-Za-z]:\\|\\\\|~|https?:|.*(^|[/\\])\.\.([/\\]|$)")
_Pairs = list[tuple[str, Any]]


def scan_settings(scan: Scan, text: str, where: str) -> None:
    """Report keys that make a loader import code, and read the templates and the vocabulary that are in them."""
    objects: list[_Pairs] = []

    def keep(pairs: _Pairs) -> dict[str, Any]:
        objects.append(pairs)  # as pairs: of a key that is there twice, each
        return dict(pairs)

    text = text.strip(_BLANKS)
    if not text.startswith(("{", "[")):
        return
    decoder, whole, at = json.JSONDecoder(object_pairs_hook=keep), None, 0
    try:  # one value, or one after another; those before a break count
        while at < len(text):
            whole, at = decoder.raw_decode(text, at)
            while at < len(text) and text[at] in _BLANKS:
                at += 1
    except (ValueError, RecursionError):
        pass
    for pairs in objects:
        for key, value in pairs:
            if read := _KEYS.get(key):
                read(scan, value, where)
    _whole(scan, whole, where)


def _whole(scan: Scan, whole: Any, where: str) -> None:
    """What a file says as a whole."""
    if isinstance(whole, dict):
        if "_class_name" in whole and ("_diffusers_version" in whole or where.endswith("model_index.json")):
            _pipeline(scan, whole, where)
        if isinstance(whole.get("model"), dict) or "added_tokens_decoder" in whole:
            scan_tokenizer(scan, whole, where)
        if whole.get("peft_type") is not None:
            _adapter(scan, whole, where)
    elif isinstance(whole, list) and where.endswith("modules.json"):
        for item in whole:
            if isinstance(item, dict):
                _module(scan, item.get("type"), where)


def _remote(scan: Scan, where: str, key: str, names: list[str]) -> None:
    shown = ", ".join(names[:5])[:200]
    text = f"With trust_remote_code=True its loader imports Python files that {key} names ({shown}): read them first."
    scan.add("remote-code", where, text, level="warning", key=key)


def _strings(value: Any) -> list[str]:
    """Every string in a value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


def _auto_map(scan: Scan, value: Any, where: str) -> None:
    if value:
        _remote(scan, where, "auto_map", _strings(value))


def _custom_pipelines(scan: Scan, value: Any, where: str) -> None:
    names = (
        [str(told.get("impl")) for told in value.values() if isinstance(told, dict)] if isinstance(value, dict) else []
    )
    if value:
        _remote(scan, where, "custom_pipelines", names or _strings(value))


def _trust(scan: Scan, value: Any, where: str) -> None:
    if value and value not in ("false", "False", "0"):
        text = (
            "It sets trust_remote_code, with which its loader imports Python files beside the weights: read them first."
        )
        scan.add("remote-code", where, text, level="warning", key="trust_remote_code")


def _kernel(scan: Scan, value: Any, where: str) -> None:
    if isinstance(value, str) and "/" in value:
        text = f"Its loader would fetch the native code {value[:80]!r} from the hub to compute attention."
        scan.add("remote-code", where, text, level="warning", key="attn_implementation")


def _template(scan: Scan, value: Any, where: str) -> None:
    """A chat template: a text, a list of named ones, or names and texts."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, str):
        found = [("default", value)]
    elif isinstance(value, dict):
        found = list(value.items())
    elif isinstance(value, list):
        found = [(item.get("name"), item.get("template")) for item in value if isinstance(item, dict)]
    for name, source in found:
        if isinstance(source, str):
            scan_template(scan, source, where, str(name))
        elif source is not None:
            scan.unscanned(where, "its chat template is no text")


def _activation(scan: Scan, value: Any, where: str) -> None:
    if isinstance(value, str) and "." in value:
        _module(scan, value, where)


_KEYS = {
    "auto_map": _auto_map,
    "custom_pipelines": _custom_pipelines,
    "trust_remote_code": _trust,
    "attn_implementation": _kernel,
    "_attn_implementation": _kernel,
    "_attn_implementation_internal": _kernel,
    "chat_template": _template,
    "activation_function": _activation,
}


def _pipeline(scan: Scan, whole: dict[str, Any], where: str) -> None:
    """The model_index.json of diffusers: each part is [library, class]."""
    name = whole["_class_name"]
    if isinstance(name, list):
        _remote(scan, where, "_class_name", _strings(name))
    for key, value in whole.items():
        if key.startswith("_") or not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
            continue
        if not _LIBRARIES.fullmatch(value[0]):
            _remote(scan, where, key, [f"{value[0]}.{value[1]}"])


def _module(scan: Scan, value: Any, where: str) -> None:
    """A class of sentence-transformers, by its full name."""
    if not isinstance(value, str) or _MODULES.fullmatch(value):
        return
    rule, what = judge(value)
    text = f"Its loader imports {value[:80]}, which {what or 'toadstone does not know'}."
    scan.add(rule or "remote-code", where, text, level="error" if what else "warning", name=value[:200])


def _adapter(scan: Scan, whole: dict[str, Any], where: str) -> None:
    """PEFT's adapter_config.json."""
    told = whole.get("auto_mapping")
    library = told.get("parent_library") if isinstance(told, dict) else None
    if library is not None and not (
        isinstance(library, str) and re.fullmatch(r"(transformers|peft|diffusers)(\.\w+)*", library)
    ):
        text = f"Its loader imports {str(library)[:80]}, which auto_mapping names: it is no part of transformers."
        scan.add("remote-code", where, text, level="warning", name=str(library)[:200])
    base = whole.get("base_model_name_or_path")
    if isinstance(base, str) and _OUTSIDE.match(base):
        text = f"Its base model is {base[:120]!r}, outside its folder: whoever loads it loads that."
        scan.add("outside-path", where, text, level="note", path=base[:200])
