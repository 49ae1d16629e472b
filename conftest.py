"""How pytest runs here: one thread a process and a process a core, and which modules it leaves alone."""

import gc
import os
from importlib.util import find_spec
from pathlib import Path

# Before numpy and torch are imported. The tests' nets are so small that a second thread costs more than it gives.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# Millions of objects are made while tests are collected and stay to the end: to look through them for garbage time and
# again is a fifth of that work.
gc.set_threshold(20_000, 20, 20)

# Those of an extra that is not installed.
collect_ignore_glob = [] if find_spec("flwr") else ["src/toadstone/federated/flower/*.py"]


def pytest_xdist_auto_num_workers(config):
    """One process where only files or single tests are asked for: a worker takes seconds to start."""
    named = all(Path(arg.split("::")[0]).is_file() for arg in config.args)
    return 0 if named else None
