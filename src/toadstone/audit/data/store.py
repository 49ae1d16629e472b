"""An audit's facts about its run, and its folder: findings, cleaned data, the answer."""

from __future__ import annotations

import io
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from toadstone.audit.data.judged_rows import JudgedRows
from toadstone.audit.data.write import CLEANED, dropped, write_cleaned, write_parquet
from toadstone.checkpoints import Stages
from toadstone.errors import ToadstoneError
from toadstone.files import remove_results, write_whole
from toadstone.findings import Audit
from toadstone.models.cache import digest_rows

if TYPE_CHECKING:
    import pyarrow as pa


def store(  # noqa: PLR0913 (what is kept, and where)
    audit: Audit,
    rows: pa.Table,
    judged: JudgedRows,
    stages: Stages,
    folder: Path | None,
    *,
    frame: pa.Table | None = None,
) -> Audit:
    """The answer with the facts of the run, written to ``folder``; what could not be written is named in it. The
    cleaned rows of a ``frame`` are written as Parquet."""
    facts, lost = {**audit.facts, **_run(judged)}, [f"checkpoint {what}" for what in stages.unwritten]
    if folder is None:
        return replace(audit, facts=facts).without(lost)
    facts["folder"] = str(folder)
    lost += remove_results(folder)
    writers: dict[str, Callable[[], Path]] = {"findings": lambda: _write_rows(rows, folder / "findings.parquet")}
    if judged.flagged.any() and not judged.flagged.all():
        keep = ~judged.flagged
        writers["cleaned"] = lambda: (
            write_cleaned(judged.data, keep, folder)
            if frame is None
            else write_parquet(frame, dropped(judged.data, keep), folder / f"{CLEANED}.parquet")
        )
    for name, write in writers.items():
        try:
            facts[name] = str(write())
        except ToadstoneError as error:
            lost.append(str(error))
    whole = replace(audit, facts=facts).without(lost)
    try:
        whole.save(folder / "audit.json")
    except ToadstoneError as error:
        return replace(audit, facts=facts).without([*lost, str(error)])
    return whole


def _run(judged: JudgedRows) -> dict[str, Any]:
    import sklearn  # noqa: PLC0415 (slow to import)

    source = dict(judged.data.source or {})
    return {
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
                     "scikit-learn": sklearn.__version__},
        "path": source.get("name_or_path"),
        **{key: source.get(key) for key in ("label", "text")},
        **{key: source[key] for key in ("ignore", "row_id", "size") if key in source},
        "digest": digest_rows(judged.data.x)[:16],
    }  # fmt: skip


def _write_rows(rows: pa.Table, path: Path) -> Path:
    from pyarrow import parquet  # noqa: PLC0415 (only tables need it)

    out = io.BytesIO()
    parquet.write_table(rows, out)
    return write_whole(path, out.getvalue())
