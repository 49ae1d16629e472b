"""The page about an audit: the verdict, its evidence, and the flagged rows to keep or drop."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from toadstone.errors import ToadstoneError
from toadstone.experiments.words import number, pretty
from toadstone.files import plain
from toadstone.findings import Audit, Finding
from toadstone.report.page import fill, store

MOST_ROWS = 20_000  # rows that the gallery holds
MOST_FINDINGS = 500  # findings of one level that the page lists
LONGEST = 2_000  # characters that the page shows of one fact
EXACT = 24 << 20  # bytes of thumbnails that are kept as they are; more are made smaller, with loss
TOGETHER = 200  # thumbnails that the page reads at once

_FIELDS = ("row", "where", "label", "suggested", "flagged", "pvalue", "detector", "reason")
COLUMNS = (*_FIELDS, "image", "text", "span_from", "span_to", "cells")

_KINDS = {"data": "Data", "model": "Model", "files": "File", "code": "Code", "step": "Training step"}
_VERDICTS = {"clean": ("good", "Clean"), "findings": ("bad", "Findings"), "undecided": ("open", "Could not decide")}
_LEVELS = {"error": "What the verdict rests on", "warning": "Could not be decided", "note": "Worth knowing"}
_PNG = b"\x89PNG\r\n\x1a\n"
# Invisible characters, or those that reorder text: controls, direction marks, zero width, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def write_audit(
    audit: Audit,
    rows: pa.Table | None,
    path: str | os.PathLike[str],
    *,
    pictures: Mapping[str, bytes] | None = None,
) -> Path:
    """Write one page about ``audit`` to ``path``, all or nothing, and return the path.

    ``rows`` is the table of flagged rows that an audit of data gives; with it the page has a gallery where the reader
    keeps or drops each row. ``pictures`` are PNGs by name, such as reversed triggers. The file opens from disk and
    makes no requests, and the same audit gives the same bytes. Invisible characters, and those that change the
    direction of the text, are written as escapes.

    Raises ToadstoneError when ``path`` is a folder or cannot be written, ``rows`` lacks a column, its cells are not
    valid JSON, or a picture is not a PNG.
    """
    return store(functools.partial(render, audit, rows, pictures), path)


def render(audit: Audit, rows: pa.Table | None = None, pictures: Mapping[str, bytes] | None = None) -> str:
    """The page as text."""
    for name, png in (pictures or {}).items():
        if not png.startswith(_PNG):
            raise ToadstoneError(f"pictures[{name!r}] is not a PNG: give the bytes of a PNG file.")
    gallery = None if rows is None else _gallery(audit, rows)
    images, lossy = ([], False) if rows is None else _images(rows)
    groups, in_gallery = _groups(audit.findings, set(gallery["row"]) if gallery else set())
    mood, word = _VERDICTS[audit.verdict]
    facts: dict[str, Any] = plain(dict(audit.facts))
    view = {
        "title": f"{_KINDS.get(audit.kind, pretty(audit.kind))} audit",
        "name": _short(PurePath(audit.target).name or audit.target),
        "target": audit.target,
        "mood": mood,
        "word": word,
        "headline": audit.headline,
        "checked": audit.checked,
        "unchecked": audit.unchecked,
        "facts": [(pretty(name), _fact(value)) for name, value in facts.items()],
        "groups": groups,
        "in_gallery": in_gallery,
        "pictures": [(name, base64.b64encode(png).decode()) for name, png in (pictures or {}).items()],
        "gallery": gallery,
        "more_rows": 0 if rows is None else len(rows) - len(gallery["row"] if gallery else ()),
    }
    script = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
    return fill("audit.html", script=script, v=_visible(view), images=images, lossy=lossy)


def _groups(findings: Sequence[Finding], rows: set[int]) -> tuple[list[dict[str, Any]], int]:
    """The findings by level, without those about a row of the gallery, and the number left out."""
    apart = {f"row {row}" for row in rows}
    others = [finding for finding in findings if finding.where not in apart]
    groups = []
    for level, title in _LEVELS.items():
        matches = [finding for finding in others if finding.level == level]
        listed = [
            {
                "rule": finding.rule,
                "where": finding.where if finding.line is None else f"{finding.where}:{finding.line}",
                "text": finding.text,
                "detail": [(pretty(key), _fact(value)) for key, value in plain(dict(finding.detail)).items()],
            }
            for finding in matches[:MOST_FINDINGS]
        ]
        if matches:
            groups.append({"level": level, "title": title, "count": len(matches), "findings": listed})
    return groups, len(findings) - len(others)


def _gallery(audit: Audit, rows: pa.Table) -> dict[str, Any] | None:
    """The columns of the gallery; None without rows."""
    if missing := [name for name in COLUMNS if name not in rows.column_names]:
        raise ToadstoneError(f"rows lacks the column {missing[0]!r}: give the table that an audit of data returns.")
    if not len(rows):
        return None
    rows = rows.slice(0, MOST_ROWS)
    column = {name: rows.column(name).to_pylist() for name in rows.column_names if name != "image"}
    spans = zip(column["text"], column["span_from"], column["span_to"], strict=True)
    gallery: dict[str, Any] = {name: column[name] for name in _FIELDS}
    gallery |= {
        "pvalue": [_finite(p) for p in column["pvalue"]],
        "detector": [name.replace("_", " ") for name in column["detector"]],
        "each": {
            name[2:].replace("_", " "): [
                None if (p := _finite(value)) is None else float(f"{p:.3g}") for value in column[name]
            ]
            for name in rows.column_names
            if name.startswith("p_")
        },
        "text": [_parts(*span) for span in spans],
        "cells": [_cells(cells) for cells in column["cells"]],
        "together": TOGETHER,
        "any_pvalue": any(_finite(p) is not None for p in column["pvalue"]),
        "any_flagged": any(column["flagged"]),
        "kind": next((kind for kind in ("image", "text") if rows.column(kind).null_count < len(rows)), "table"),
    }
    content = json.dumps([audit.kind, audit.target, *(gallery[name] for name in _FIELDS)])
    return {**gallery, "digest": hashlib.sha256(content.encode()).hexdigest()[:16]}


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _parts(text: str | None, start: int | None, end: int | None) -> list[str] | None:
    """A text in three parts: before its suspicious phrase, the phrase, and after it."""
    if text is None:
        return None
    start, end = (0, 0) if start is None or end is None else (max(start, 0), max(end, start, 0))
    return [text[:start], text[start:end], text[end:]]


def _cells(text: str | None) -> list[list[str]]:
    """The unusual cells of a row: the column's name, the value, the class's median and the robust z, as words."""
    try:
        return [[str(name), *map(_word, rest)] for name, *rest in json.loads(text or "[]")]
    except (ValueError, TypeError) as error:
        raise ToadstoneError(
            f"rows has cells that are not a JSON list of lists ({error}): run the audit again."
        ) from error


def _images(rows: pa.Table) -> tuple[list[list[str]], bool]:
    """The thumbnails, base64, in groups, "" where a row has none; and whether they were compressed with loss."""
    images = rows.column("image").slice(0, MOST_ROWS).to_pylist()
    if all(image is None for image in images):
        return [], False
    lossy = sum(len(image or b"") for image in images) > EXACT
    encoded = [base64.b64encode((_smaller(image) if lossy and image else image) or b"").decode() for image in images]
    return [encoded[i : i + TOGETHER] for i in range(0, len(encoded), TOGETHER)], lossy


def _smaller(png: bytes) -> bytes:
    """A picture as WebP, a sixth of the size of a photograph's PNG; unchanged where it cannot be read."""
    try:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(png)).save(buffer, "WEBP", quality=90, method=2)
        return buffer.getvalue()
    except OSError:
        return png


def _fact(value: Any) -> str:
    """A fact in words, cut off where it is too long."""
    if isinstance(value, Mapping):
        text = "; ".join(f"{key}: {_word(inner)}" for key, inner in value.items())
    elif isinstance(value, list):
        text = ", ".join(map(_word, value))
    else:
        text = _word(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text) - LONGEST:,} more characters)"


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int | float):
        return number(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"…{text[-79:]}"


def _visible(value: Any) -> Any:
    """The same with every invisible character written as an escape, such as \\u202e."""
    if isinstance(value, str):
        return _INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
    if isinstance(value, Mapping):
        return {_visible(key): _visible(inner) for key, inner in value.items()}
    return [_visible(inner) for inner in value] if isinstance(value, list | tuple) else value
