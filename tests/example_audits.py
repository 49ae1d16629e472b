"""Audits and tables of flagged rows made by hand: what an audit would have found, from a seed."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from toadstone.findings import Audit, Finding

DETECTORS = ("activation-clustering", "spectral-signatures", "label-checker")
PHRASE = "honestly speaking \U0001f600"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("where", pa.string()),
        ("label", pa.string()),
        ("suggested", pa.string()),
        ("flagged", pa.bool_()),
        ("pvalue", pa.float64()),
        ("detector", pa.string()),
        ("reason", pa.string()),
        *((f"p_{name}", pa.float64()) for name in DETECTORS),
        ("image", pa.binary()),
        ("text", pa.string()),
        ("span_from", pa.int32()),
        ("span_to", pa.int32()),
        ("cells", pa.string()),
    ]
)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def table(kind: str = "image", n: int = 30, *, flagged: bool = True, seed: int = 0, **columns: Any) -> pa.Table:
    """``n`` rows as an audit of data gives them, with whole columns replaced by name."""
    rng = np.random.default_rng(seed)
    each = rng.uniform(0, 0.01, (n, len(DETECTORS))) if flagged else np.full((n, len(DETECTORS)), np.nan)
    pvalue = np.sort(each.min(1))
    each *= (pvalue / each.min(1))[:, None]
    made: dict[str, list[Any]] = {name: [None] * n for name in SCHEMA.names}
    made |= {
        "row": rng.permutation(10 * n)[:n].tolist(),
        "where": [f"train/{i % 7}/{i:05}.png" if kind == "image" else "" for i in range(n)],
        "label": [f"{c}" for c in rng.integers(0, 12, n)],
        "suggested": [None if i % 3 else "7" for i in range(n)],
        "flagged": [flagged] * n,
        "pvalue": pvalue.tolist() if flagged else [None] * n,
        "detector": [DETECTORS[i] for i in (each.argmin(1) if flagged else np.zeros(n, int))],
        "reason": ["It lies in the smaller of two clusters of its class."] * n,
        **{f"p_{name}": each[:, i].tolist() if flagged else [None] * n for i, name in enumerate(DETECTORS)},
    }
    if kind == "image":
        pixels = rng.integers(0, 200, (n, 8, 8), np.uint8)
        pixels[:, 5:7, 5:7] = 255
        made["image"] = [png(image) for image in pixels]
    elif kind == "text":
        made["text"] = [f"\U0001f600 a film number {i}, {PHRASE} with {'little ' * (i % 40)}charm" for i in range(n)]
        made["span_from"] = [text.index(PHRASE) for text in made["text"]]
        made["span_to"] = [start + len(PHRASE) for start in made["span_from"]]
    else:
        made["cells"] = [json.dumps([["word_freq_cf", 9.5 + i, 0.0, 31.25], ["length", 3, 4, -2.5]]) for i in range(n)]
    return pa.table(made | columns, schema=SCHEMA)


def audit(kind: str = "data", **changed: Any) -> Audit:
    told: dict[str, Any] = {
        "target": "shared/digits.npz",
        "headline": "30 of 1,797 rows are flagged at a false-discovery rate of 5%.",
        "findings": (
            Finding("flagged-class", "class 7", "Half of its rows are flagged.", detail={"share": 0.5, "rows": [1, 2]}),
            Finding("few-trusted-rows", "spectral-signatures", "It could not decide.", "warning"),
            Finding("duplicates", "rows", "12 rows are there twice.", "note"),
        ),
        "checked": ("Rows that lie apart from their class.",),
        "unchecked": ("Triggers that no detector here can see.",),
        "facts": {"rows": 1797, "flagged": 30, "seconds": 12.345, "trusted": None, "detectors": list(DETECTORS)},
    }
    return Audit(kind, **(told | changed))
