"""Copies of one chat template in a folder that are not the same: which of them runs depends on the loader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from toadstone.findings import Finding

_QUANTIZED = re.compile(r"[-._](I?Q\d\w*|BF16|F16|F32|FP16|FP32)([-._].*)?$", re.IGNORECASE)


def differing(templates: Iterable[tuple[str, str, str]]) -> list[Finding]:
    """Findings on (place, name, hash) of chat templates: for each folder and name with two different ones.

    GGUF files are one model where their names differ in how the weights are rounded alone. They are compared with each
    other, and each with the files of Hugging Face's form beside it.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for place, name, digest in templates:
        path = PurePath(place.split("!", 1)[0])
        parent = path.parent.parent if path.parent.name == "additional_chat_templates" else path.parent
        family = _QUANTIZED.sub("", path.stem) if path.suffix == ".gguf" else ""
        groups.setdefault((str(parent), name, family), []).append((place, digest))
    found = []
    for (folder, name, family), copies in groups.items():
        beside = groups.get((folder, name, ""), []) if family else []
        if len({digest for _, digest in (*beside, *copies)}) > 1:
            first, second = sorted({digest: place for place, digest in (*beside, *copies)}.values())[:2]
            other, file = PurePath(first.split("!", 1)[0]).name, second.split("!", 1)[0]
            text = f"Its chat template {name!r} is not the one in {other}: the loader decides which runs."
            found.append(Finding("template-copies", second, text, "warning", file=file))
    return found
