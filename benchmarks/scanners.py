"""Scanners of model files side by side: toadstone, fickling, modelscan, picklescan and modelaudit on hostile and
harmless files.

The files are those of the tests (tests/scan/files.py), which also set off every payload that can be set off
with the packages of the test extra. "found" is a danger reported; "unsure" is that the scanner said it could not read
the file, skipped it or reported an error; "crashed" is an exception, 20 seconds of processor time, or the end of its
process. Each scanner is called through its Python interface at its defaults, in a process of its own that imports it
once and reads all files; a missing one is reported as not installed.

The last line of --json holds ``hostile`` and ``harmless``, how many there are; ``hostile_clean``, how many of the first
were passed as clean; ``harmless_runs`` and ``harmless_unknown``, how many of the second were called dangerous, or were
not decided; ``seconds`` of its thread and ``megabytes`` at most a file, as the median; and the last five with the
name of each other scanner behind them, as ``hostile_clean_picklescan``.

modelaudit takes about ten seconds a pickle, and so hours for all files. With ``--keep FILE`` each answer is written
down as it comes, and a run that was stopped goes on behind the last one; ``--quick`` takes a tenth of the files.

    pip install fickling modelscan picklescan modelaudit h5py
    python benchmarks/scanners.py --json --keep build/scanners.jsonl
"""

import importlib.metadata
import json
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from statistics import median

SECONDS = 20  # of a processor a file
PATIENCE = 90  # seconds, until a worker counts as dead


def toadstone(path):
    from toadstone.scan.files import audit_files  # noqa: PLC0415 (only its own worker imports a scanner)

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
    if result.infected_files or any(found.safety == SafetyLevel.Dangerous for found in result.globals):
        return "found"
    return "unsure" if result.scan_err or not result.scanned_files else "clean"


def modelaudit(path):
    from modelaudit.core import scan_model_directory_or_file  # noqa: PLC0415 (may be missing)

    result = scan_model_directory_or_file(str(path))
    if any(issue.severity.value in ("warning", "critical") for issue in result.issues):
        return "found"
    return "clean" if result.success and not result.has_errors else "unsure"


SCANNERS = {each.__name__: each for each in (toadstone, fickling, modelscan, picklescan, modelaudit)}


class Stop(BaseException):
    """The time of a file is up; no scanner catches it as an error of its own."""


def stop(*_):
    raise Stop


def memory(again=False):
    """Megabytes that this process held at most, since the last call with ``again`` where the kernel can tell."""
    try:
        if again:
            Path("/proc/self/clear_refs").write_text("5")
        told = Path("/proc/self/status").read_text()
        return int(told.partition("VmHWM:")[2].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answer(scan, path):
    """(what it says, seconds of processor time, megabytes) of one file."""
    memory(again=True)
    start = time.thread_time()  # the process's clock stands still between ticks while its timer runs
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        told = scan(path)
    except KeyboardInterrupt:
        raise
    except BaseException:
        told = "crashed"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return told, round(time.thread_time() - start, 6), round(memory(), 1)


def work(name):
    """Answer paths, a line each, with a line of JSON each; what the scanner prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for place in (1, 2):
        os.dup2(nowhere, place)
    warnings.simplefilter("ignore")
    logging.disable()
    signal.signal(signal.SIGPROF, stop)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.txt").write_text("empty")
        answer(SCANNERS[name], Path(folder) / "empty.txt")  # imports what it needs
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(SCANNERS[name], Path(line.rstrip("\n")))), file=answers, flush=True)


class Worker:
    """A scanner in a process of its own, which is started anew where it dies."""

    def __init__(self, name):
        self.name, self.process = name, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, path):
        if self.process is None:
            command = [sys.executable, __file__, "--worker", self.name]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.process.stdout.readline()
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.__exit__()
        return "crashed", float(SECONDS), None


def files(folder, part):
    """(group, name, path, canary) of every ``part``-th file, written into folders of their own."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from scan.files import HOSTILE, harmless  # noqa: PLC0415 (workers need none of it)

    for i, kind in enumerate(HOSTILE):
        place = folder / f"hostile-{i}"
        if i % part == 0:
            place.mkdir()
            (place / kind.file).write_bytes(kind.make(place, place / "canary"))
            yield "hostile", kind.name, place / kind.file, place / "canary"
    for i, (name, file, content) in enumerate(harmless()):
        place = folder / f"harmless-{i}"
        if i % part == 0:
            place.mkdir()
            (place / file).write_bytes(content)
            yield "harmless", name, place / file, place / "canary"


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def asked(name, told, written, keep):
    """What one scanner says of all files: {(group, name): (answer, seconds, megabytes)}."""
    key = f"{name} {told}"
    known = {}
    if keep and keep.exists():
        for line in keep.read_text().splitlines():
            scanner, group, file, *rest = json.loads(line)
            if scanner == key:
                known[group, file] = rest
    with Worker(name) as worker:
        for group, file, path, canary in written:
            if (group, file) in known and name != "toadstone":
                continue
            known[group, file] = worker.ask(path)
            assert not canary.exists(), f"{name} ran {file}"
            if keep:
                with keep.open("a") as out:
                    out.write(json.dumps([key, group, file, *known[group, file]]) + "\n")
    return {(group, file): known[group, file] for group, file, _, _ in written}


def figures(totals, costs):
    """The numbers of each scanner; toadstone's have no name behind them."""
    found = {}
    for name in totals["hostile"]:
        end = "" if name == "toadstone" else f"_{name}"
        harmless_told = totals["harmless"][name]
        found[f"hostile_clean{end}"] = totals["hostile"][name]["clean"]
        found[f"harmless_runs{end}"] = harmless_told["found"]
        found[f"harmless_unknown{end}"] = harmless_told["unsure"] + harmless_told["crashed"]
        found[f"seconds{end}"] = round(median(cost for cost, _ in costs[name]), 6)
        found[f"megabytes{end}"] = round(median(held for _, held in costs[name] if held is not None), 1)
    return found


def main(given):
    os.environ |= {"PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "HF_HUB_OFFLINE": "1"}  # it reports on us
    installed = {name: version(name) for name in SCANNERS}
    keep = Path(given.keep) if given.keep else None
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder  # where modelaudit keeps what it said before
        written = list(files(Path(folder), 10 if given.quick else 1))
        answers = {n: asked(n, told, written, keep) for n, told in installed.items() if told}
    tables = {"hostile": {}, "harmless": {}}
    for group, file, _, _ in written:
        tables[group][file] = {name: told[group, file][0] for name, told in answers.items()}
    totals = {group: {n: Counter(row[n] for row in table.values()) for n in answers} for group, table in tables.items()}
    costs = {name: [rest for _, *rest in told.values()] for name, told in answers.items()}
    if not given.json:
        for table in tables.values():
            print(f"{'':45}" + "".join(f"{name:>12}" for name in answers))
            for name, row in table.items():
                print(f"{name:45}" + "".join(f"{told:>12}" for told in row.values()))
    versions = {name: told or "not installed" for name, told in installed.items()}
    counts = {group: len(table) for group, table in tables.items()}
    common.finish(
        {"versions": versions, **counts, **figures(totals, costs), "totals": totals}
        | ({"tables": tables} if given.json else {}),
        given.json,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2])
    else:
        import common

        parser = common.options(__doc__)
        parser.add_argument("--keep", help="a file of the answers so far: a run that was stopped goes on")
        main(parser.parse_args())
