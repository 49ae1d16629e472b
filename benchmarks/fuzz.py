"""Broken and hostile files through every reader: each must load or be refused in one sentence.

A case fails when a reader raises anything else, warns, crashes, takes longer than 10 seconds or more than 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hostile.readers import READERS
from hostile.workers import trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the cases")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=21_000, help="the number of cases of all readers together")
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS), metavar="READER")
    options = parser.parse_args()
    each = options.cases // (10 if options.quick else 1) // len(READERS)
    rows, bad = [], []
    print(f"{'reader':18}{'cases':>7}{'ok':>7}{'refused':>9}{'bad':>5}{'slowest s':>11}{'peak MiB':>10}")
    for reader in options.only:
        cases = list(trials([(reader, number) for number in range(each)], options.seed))
        count = {kind: sum(case["outcome"] == kind for case in cases) for kind in ("ok", "refused", "bad")}
        slowest, peak = max(case["seconds"] for case in cases), max(case["peak"] for case in cases) >> 20
        rows.append({"reader": reader, "cases": each, **count, "slowest_seconds": slowest, "peak_mib": peak})
        print(
            f"{reader:18}{each:7}{count['ok']:7}{count['refused']:9}{count['bad']:5}{slowest:11.2f}{peak:10}",
            flush=True,
        )
        for case in (case for case in cases if case["outcome"] == "bad"):
            print(f"  {case['number']} ({case['case']}): {case['bad']}", flush=True)
            bad.append(case)
    if options.json:
        print(json.dumps({"seed": options.seed, "readers": rows, "bad": bad}))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
