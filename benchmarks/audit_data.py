"""`audit data` on poisoned sets and on the clean twin of each: found as planted, false alarms, minutes, memory.

`gtsrb`: 1% of the rows with a 4 x 4 patch, target class 7. `sst2`: 1% with the word "cf", target "positive".
`spambase`: 10% of all labels flipped. `big`: 200,000 rows of 256 columns in a Parquet file, 1% of them drawn
half-way to one point and labelled 3. Trusted rows, which somebody has looked at, are drawn at random from where the
data come from and are given apart: 2,500 (gtsrb: of the published training part), for spambase 600. With
`--from-test` those of gtsrb are of the published test part, which shows other signs.

`tpr` (poisoned rows flagged), `fdp` (clean ones among the flagged), `looks` and `target` as the audit names them,
`twin_flagged` (rows of the clean twin flagged, all falsely), `minutes` and `peak_gib` (resident memory) of one audit
in a process of its own. `--quick`: spambase and 2,000 rows of gtsrb and sst2. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from common import finish, options
from numpy import ndarray
from pyarrow import parquet

from toadstone import Data, load
from toadstone.attacks import Backdoor
from toadstone.audit import audit_data, load_for_audit
from toadstone.rng import child
from toadstone.triggers import InsertWords, Patch

CASES = ("spambase", "sst2", "gtsrb", "big")
TRUSTED = {"spambase": 600, "sst2": 2_500, "gtsrb": 2_500, "big": 2_500}
RATE = {"spambase": 0.1, "sst2": 0.01, "gtsrb": 0.01, "big": 0.01}


def parts(case: str, args: argparse.Namespace) -> tuple[Data, Data]:
    """The rows before the attack, and the trusted ones."""
    data, draw = load(case), np.random.default_rng(child(args.seed, "trusted"))
    part = data.meta.get("part", np.full(len(data), "train"))
    bare = replace(data, meta={}, source=None)
    m = TRUSTED[case]
    if case == "gtsrb":
        train = draw.permutation(np.flatnonzero(part == "train"))
        test = draw.permutation(np.flatnonzero(part == "test"))
        trusted, rows = (test[:m], train) if args.from_test else (train[:m], train[m:])
    else:
        order = draw.permutation(len(data))
        trusted, rows = order[:m], order[m:]
    rows = rows[:2_000] if args.quick and case != "spambase" else rows
    return bare.take(np.sort(rows)), bare.take(np.sort(trusted))


def planted(case: str, data: Data, rate: float, seed: int) -> tuple[Data, ndarray]:
    """The poisoned rows, and which they are."""
    if case == "spambase":
        rows = np.random.default_rng(child(seed, "flips")).permutation(len(data))[: round(rate * len(data))]
        truth = np.isin(np.arange(len(data)), rows)
        return replace(data, y=np.where(truth, 1 - data.y, data.y)), truth
    attack = (
        Backdoor(Patch(4, shape="checkerboard"), 7, rate)
        if case == "gtsrb"
        else Backdoor(InsertWords(("cf",)), 1, rate)
    )
    poison = attack.poison(data, seed=child(seed, "attack"))
    return poison.apply(data), poison.mask(len(data))


def big(folder: Path, rate: float, seed: int) -> tuple[Path, Data, ndarray]:
    """A Parquet file of ten classes of embeddings, trusted rows, and which rows of the file are poison."""
    n, m, d = 200_000, TRUSTED["big"], 256
    draw = np.random.default_rng(child(seed, "big"))
    centres = draw.normal(size=(10, d)).astype(np.float32)
    y = draw.integers(0, 10, n + m)
    x = centres[y] + 2 * draw.normal(size=(n + m, d)).astype(np.float32)
    truth = np.zeros(n, bool)
    truth[draw.permutation(np.flatnonzero(y[:n] != 3))[: round(rate * n)]] = True
    if rate:
        x[:n][truth] = x[:n][truth] / 2 + 2 * draw.normal(size=d).astype(np.float32)
        y[:n][truth] = 3
    names = tuple(map(str, range(10)))
    columns = {f"f{j}": x[:n, j] for j in range(d)} | {"label": y[:n]}
    path = folder / "big.parquet"
    parquet.write_table(pa.table(columns), path)
    return path, Data(x[n:].astype(np.float64), y[n:], names), truth


def one(case: str, rate: float, args: argparse.Namespace) -> dict:
    """One audit in this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        if case == "big":
            path, trusted, truth = make(Path(scratch), rate, args)
        else:
            data, trusted = parts(case, args)
            data, truth = planted(case, data, rate, args.seed) if rate else (data, np.zeros(len(data), bool))
        start = time.perf_counter()
        if case == "big":
            data = load_for_audit(path, "label")[0]
        report = audit_data(data, trusted=trusted, seed=args.seed, folder=Path(scratch) / "audit")
    flagged = np.zeros(len(data), bool)
    flagged[np.array(report.rows.column("row"))[np.array(report.rows.column("flagged"), bool)]] = True
    hits, facts = int((flagged & truth).sum()), report.audit.facts
    return {
        "rows": len(data), "poisoned": int(truth.sum()), "trusted": len(trusted), "flagged": int(flagged.sum()),
        "tpr": hits / max(1, int(truth.sum())), "fdp": 1 - hits / flagged.sum() if flagged.any() else 0.0,
        "looks": facts["looks"], "target": facts.get("target"), "shared": facts.get("shared"),
        "verdict": report.audit.verdict, "headline": report.audit.headline,
        "minutes": round((time.perf_counter() - start) / 60, 2), "seconds": facts["seconds"],
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }  # fmt: skip


def make(folder: Path, rate: float, args: argparse.Namespace) -> tuple[Path, Data, ndarray]:
    """The big file, written by another process so that its memory is not counted here."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from audit_data import big; from pathlib import Path;"
        "import numpy as np; p, t, m = big(Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]));"
        "np.savez(Path(sys.argv[2]) / 'trusted.npz', x=t.x, y=t.y, truth=m)"
    )
    here = [str(Path(__file__).parent), str(folder), str(rate), str(args.seed)]
    subprocess.run([sys.executable, "-c", code, *here], check=True)
    with np.load(folder / "trusted.npz") as arrays:
        return folder / "big.parquet", Data(arrays["x"], arrays["y"], tuple(map(str, range(10)))), arrays["truth"]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--only", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--rate", type=float, default=None, help="the poison rate of all cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from-test", action="store_true", help="take the trusted signs from the published test part")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        case, rate = args.one.split(":")
        print(json.dumps(one(case, float(rate), args)))
        return
    result: dict = {}
    for case in [c for c in args.only if not (args.quick and c == "big")]:
        more = [f for f, on in (("--quick", args.quick), ("--from-test", args.from_test)) if on]
        for side, rate in (("planted", args.rate or RATE[case]), ("twin", 0.0)):
            call = [sys.executable, __file__, "--one", f"{case}:{rate}", "--seed", str(args.seed), *more]
            process = subprocess.run(call, check=True, capture_output=True, text=True)
            result[f"{case}/{side}"] = json.loads(process.stdout.splitlines()[-1])
    finish({**result, "seed": args.seed, "quick": args.quick}, args.json)


if __name__ == "__main__":
    main()
