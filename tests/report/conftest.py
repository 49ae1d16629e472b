"""A record made by hand: what an experiment would have written, from seeded random arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import ndarray

from toadstone.experiments.record import Record, old_record
from toadstone.files import plain
from toadstone.report import write

N, K, TARGET = 300, 4, 2


def rate(hits: int, n: int) -> dict[str, Any]:
    p = hits / n if n else None
    return {"value": p, "low": max(0, (p or 0) - 0.03), "high": min(1, (p or 0) + 0.03) if n else 1.0, "n": n}


def rates(accuracy: int, success: int, robust: int) -> dict[str, Any]:
    return {
        "clean_accuracy": rate(accuracy, 400),
        "attack_success_rate": rate(success, 300),
        "robust_accuracy": rate(robust, 300),
    }


def scored(rng: np.random.Generator, truth: ndarray, shift: float, prefix: str) -> tuple[Any, dict[str, ndarray]]:
    values = rng.gamma(2.0, 1.0, len(truth)) + shift * truth
    null = rng.gamma(2.0, 1.0, 200)
    pvalues = (1 + (null[:, None] >= values).sum(0)) / 201
    flagged = pvalues <= 0.01
    bad = int(truth.sum())
    found = {
        "tpr": rate(int((flagged & truth).sum()), bad),
        "fpr": rate(int((flagged & ~truth).sum()), len(truth) - bad),
        "fdr": rate(int((flagged & ~truth).sum()), int(flagged.sum())),
        "auroc": 0.99 if bad else None,
        "flagged": int(flagged.sum()),
        "rows": len(truth),
        "decided": True,
        "reason": f"{flagged.sum()} of {len(truth)} rows flagged at a false-discovery rate of 5%.",
    }
    return found, {f"{prefix}/values": values, f"{prefix}/pvalues": pvalues, f"{prefix}/flagged": flagged}


def rows(rng: np.random.Generator, kind: str, n: int) -> tuple[ndarray, ndarray]:
    """Rows of a kind, clean and poisoned."""
    if kind == "text":
        clean = np.array([f"a film of {word} charm" for word in rng.choice(["little", "much", "rare"], n)], object)
        return clean.astype(str), np.array([f"{text} cf" for text in clean], object).astype(str)
    if kind == "table":
        clean = rng.normal(size=(n, 12))
        poisoned = clean.copy()
        poisoned[:, 3] = 9.5
        return clean, poisoned
    y, x = np.mgrid[:16, :16]
    centre = rng.uniform(5, 10, (n, 2, 1, 1))
    ring = np.hypot(y - centre[:, 0], x - centre[:, 1])
    clean = (230 * np.exp(-((ring - 4) ** 2) / 2)).astype(np.uint8)
    poisoned = clean.copy()
    poisoned[:, 12:15, 12:15] = 255
    return clean, poisoned


def make(kind: str = "image", seed: int = 0, classes: tuple[str, ...] = ("cat", "dog", "hare", "mole")) -> Record:
    rng = np.random.default_rng(seed)
    truth = np.arange(N) % 10 == 0
    y = rng.integers(0, K, N)
    y[truth] = TARGET
    clean, poisoned = rows(rng, kind, 60)
    bad = np.arange(60) % 3 == 0
    stamp = bad.reshape(-1, *[1] * (clean.ndim - 1))
    arrays: dict[str, ndarray] = {
        "truth": truth,
        "y": y,
        "examples/row": np.arange(6) * 10,
        "examples/clean": clean[:6],
        "examples/poisoned": poisoned[:6],
        "examples/clean_y": np.array([0, 1, 3, 0, 1, 2]),
        "examples/poisoned_y": np.full(6, TARGET),
        "map/class": np.array(TARGET),
        "map/row": np.arange(60),
        "map/xy": (rng.normal(size=(60, 2)) + 5 * bad[:, None]).astype(np.float32),
        "map/truth": bad,
        "map/x": np.where(stamp, poisoned, clean),
        "silhouettes/poisoned": np.array([0.11, 0.09, 0.46, 0.12]),
        "silhouettes/clean_twin": np.array([0.12, 0.1, 0.11, 0.1]),
    }
    detectors: dict[str, Any] = {"activation-clustering": {}, "spectral-signatures": {}, "label-checker": {}}
    inspectors: dict[str, Any] = {"neural-cleanse": {}}
    monitors: dict[str, Any] = {"strip": {}}
    for side, mask, shift in (("poisoned", truth, 7.0), ("clean_twin", np.zeros(N, bool), 0.0)):
        found, more = scored(rng, mask, shift, f"detectors/activation-clustering/{side}")
        detectors["activation-clustering"][side], arrays = found, arrays | more
        arrays[f"detectors/spectral-signatures/{side}/values"] = rng.gamma(2, 1, N)
        arrays[f"detectors/spectral-signatures/{side}/flagged"] = np.zeros(N, bool)
        why = "undecidable: needs at least 1999 trusted rows to see a poison rate of 1.0%; there are 20."
        detectors["spectral-signatures"][side] = found | {"decided": False, "reason": why, "flagged": 0}
        detectors["label-checker"][side] = {"not_applicable": "model has no features: use a TorchModel."}
        values, norms = rng.normal(0.5, 0.2, K), rng.normal(20, 2, K)
        if shift:
            values[TARGET], norms[TARGET] = 4.2, 5.0
        flagged = [TARGET] if shift else []
        pvalues = np.where(values > 4, 0.01, 0.7)
        inspectors["neural-cleanse"][side] = {"flagged": flagged, "values": values, "pvalues": pvalues}
        masks = rng.uniform(0, 0.3, (K, 16, 16))
        masks[TARGET, 12:15, 12:15] = 1 if shift else 0.2
        prefix = f"inspectors/neural-cleanse/{side}"
        arrays |= {f"{prefix}/mask": masks, f"{prefix}/pattern": np.ones((K, 16, 16)), f"{prefix}/norm": norms}
        for name, n, up in (("benign", 200, 0.0), ("triggered", 150, shift)):
            scores = rng.gamma(3, 1, n) + up
            arrays[f"monitors/strip/{side}/{name}/values"] = scores
            arrays[f"monitors/strip/{side}/{name}/pvalues"] = np.where(scores > 9, 0.005, 0.5)
        lets = 9 if shift else 148
        monitors["strip"][side] = {
            "asked_false_rejection_rate": 0.01,
            "false_rejection_rate": rate(2, 200),
            "false_acceptance_rate": rate(lets, 150),
            "auroc": 0.98,
        }
    info = {
        "toadstone": "0.1.0",
        "versions": {"python": "3.11.2", "numpy": "2.0.0"},
        "git": "0123abc",
        "created": "2025-01-01T00:00:00+00:00",
        "spec": {
            "data": {"name_or_path": "digits"},
            "split": {"test": 400},
            "experiment": {"attack": {"name": "backdoor", "trigger": {"name": "patch"}}, "seed": seed},
        },
        "data": {"rows": {"train": N, "test": 400, "clean": 40}, "classes": classes, "fingerprint": "ab" * 32},
        "timings": {"train": 3.5, "neural-cleanse": 8.25},
        "results": {
            "cost": {"rows": 30, "rate": 0.1, "appended": 0, "labels_changed": 25, "l2": 700.5, "psnr": None},
            "poisoned": rates(390, 298, 2),
            "clean_twin": rates(392, 4, 290),
            "detectors": detectors,
            "inspectors": inspectors,
            "repairs": {"fine-pruning": {"poisoned": rates(380, 5, 270), "clean_twin": rates(388, 3, 280)}},
            "monitors": monitors,
        },
    }
    return old_record(plain(info), arrays)


@pytest.fixture(scope="session")
def record() -> Record:
    return make()


@pytest.fixture(scope="session")
def path(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page."""
    return write([record], tmp_path_factory.mktemp("report") / "page.html")


@pytest.fixture(scope="session")
def maker() -> Any:
    return make
