"""Scanners of model files side by side: toadstone, fickling, modelscan, picklescan and modelaudit on hostile and
harmless files.

The files are those of the tests (tests/scan/files.py), which also set off every payload that can be set off
with the packages of the test extra. "found" is a danger reported; "unsure" is that the scanner said it could not read
the file, skipped it or reported an error; "crashed" is an exception or more than 20 seconds. Each scanner is called
through its Python interface at its defaults; a missing one is reported as not installed.

The last line of --json holds ``hostile`` and ``harmless``, how many there are; ``hostile_clean``, how many of the first
were passed as clean; ``harmless_runs`` and ``harmless_unknown``, how many of the second were called dangerous, or were
not decided; and the last three with the name of each other scanner as a suffix, as ``hostile_clean_picklescan``.

    pip install fickling modelscan picklescan modelaudit h5py
    python benchmarks/scanners.py --json
"""

import contextlib
import importlib.metadata
import io
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from common import arguments, finish

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from scan.files import HOSTILE, harmless
from toadstone.scan.files import audit_files


def toadstone(path):
    return {"findings": "found", "undecided": "unsure", "clean": "clean"}[audit_files([path]).verdict]


def fickling(path):
    """As its command line decides: zips by member, else the file as a pickle."""
    from fickling.analysis import Severity  # noqa: PLC0415 (may be missing)
    from fickling.loader import scan_file, scan_zip_archive  # noqa: PLC0415 (may be missing)

    head = path.read_bytes()[:4]
    results = (
        list(scan_zip_archive(path, graceful=True).values()) if head == b"PK\3\4" else [scan_file(path, graceful=True)]
    )
    if any(result.severity > Severity.LIKELY_SAFE for result in results if result.results):
        return "found"
    return "unsure" if not results or any(result.errors for result in results) else "clean"


def modelscan(path):
    from modelscan.modelscan import ModelScan  # noqa: PLC0415 (may be missing)

    scan = ModelScan()
    scan.scan(path)
    if scan.issues.all_issues:
        return "found"
    return "clean" if scan.scanned and not scan.errors else "unsure"


def picklescan(path):
    from picklescan.scanner import SafetyLevel, scan_file_path  # noqa: PLC0415 (may be missing)

    result = scan_file_path(str(path))
    if result.infected_files or any(reference.safety == SafetyLevel.Dangerous for reference in result.globals):
        return "found"
    return "unsure" if result.scan_err or not result.scanned_files else "clean"


def modelaudit(path):
    from modelaudit.core import scan_model_directory_or_file  # noqa: PLC0415 (may be missing)

    result = scan_model_directory_or_file(str(path))
    if any(issue.severity.value in ("warning", "critical") for issue in result.issues):
        return "found"
    return "clean" if result.success and not result.has_errors else "unsure"


SCANNERS = {each.__name__: each for each in (toadstone, fickling, modelscan, picklescan, modelaudit)}


def stop(*_):
    raise TimeoutError


def verdict(scan, path):
    """A scanner's verdict on a file; "crashed" where it raises or takes more than 20 seconds."""
    signal.alarm(20)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return scan(path)
    except BaseException as error:
        return "crashed" if not isinstance(error, KeyboardInterrupt) else sys.exit(130)
    finally:
        signal.alarm(0)


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def figures(totals):
    """The three numbers of each scanner; toadstone's have no suffix."""
    numbers = {}
    for name in totals["hostile"]:
        end = "" if name == "toadstone" else f"_{name}"
        harmless = totals["harmless"][name]
        numbers[f"hostile_clean{end}"] = totals["hostile"][name]["clean"]
        numbers[f"harmless_runs{end}"] = harmless["found"]
        numbers[f"harmless_unknown{end}"] = harmless["unsure"] + harmless["crashed"]
    return numbers


def main(quick, as_json):
    warnings.simplefilter("ignore")
    logging.disable()
    os.environ |= {"PROMPTFOO_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}  # modelaudit reports what it scans
    signal.signal(signal.SIGALRM, stop)
    installed = {name: version(name) for name in SCANNERS}
    scanners = {name: scan for name, scan in SCANNERS.items() if installed[name]}
    tables = {"hostile": {}, "harmless": {}}
    with tempfile.TemporaryDirectory() as folder:
        for i, kind in enumerate(HOSTILE[:: 4 if quick else 1]):
            place = Path(folder) / f"hostile-{i}"
            place.mkdir()
            (place / kind.file).write_bytes(kind.make(place, place / "canary"))
            tables["hostile"][kind.name] = {n: verdict(s, place / kind.file) for n, s in scanners.items()}
            assert not (place / "canary").exists(), f"a scanner ran {kind.name}"
        for i, (name, file, content) in enumerate(harmless()):
            if not quick or i % 4 == 0:
                place = Path(folder) / f"harmless-{i}"
                place.mkdir()
                (place / file).write_bytes(content)
                tables["harmless"][name] = {n: verdict(s, place / file) for n, s in scanners.items()}
    totals = {part: {n: Counter(row[n] for row in table.values()) for n in scanners} for part, table in tables.items()}
    if not as_json:
        for table in tables.values():
            print(f"{'':45}" + "".join(f"{name:>12}" for name in scanners))
            for name, row in table.items():
                print(f"{name:45}" + "".join(f"{status:>12}" for status in row.values()))
    versions = {name: number or "not installed" for name, number in installed.items()}
    counts = {part: len(table) for part, table in tables.items()}
    finish(
        {"versions": versions, **counts, **figures(totals), "totals": totals} | ({"tables": tables} if as_json else {}),
        as_json,
    )


if __name__ == "__main__":
    args = arguments(__doc__)
    main(args.quick, args.json)
