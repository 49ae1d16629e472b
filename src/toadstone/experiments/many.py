"""Many federated runs, each on its own: in processes of one machine, or on a Ray cluster (extra ``ray``)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from joblib import Parallel, delayed

from toadstone.core import Data
from toadstone.data import Splits
from toadstone.errors import ToadstoneError, missing_extra
from toadstone.experiments.federated import Found, SideBySide, keep
from toadstone.federated.trainer import Federated
from toadstone.federated.views import Aggregator, ClientAttack

Run = tuple[Federated, int]
Task = tuple[Federated, int, Path]


def grid(
    settings: Federated,
    *,
    attacks: Iterable[ClientAttack],
    aggregators: Iterable[Aggregator | None],
    seeds: Iterable[int],
) -> list[Run]:
    """Each attack against each rule with each seed, all else as in ``settings``, which says how many attack.

    >>> from toadstone.attacks.federated.byzantine import SignFlip, Zero
    >>> base = Federated(attack=SignFlip(), malicious=20)
    >>> len(grid(base, attacks=[SignFlip(), Zero()], aggregators=[None], seeds=range(3)))
    6
    """
    return [
        (replace(settings, attack=attack, aggregator=aggregator), seed)
        for attack, aggregator, seed in itertools.product(attacks, aggregators, seeds)
    ]


def many(
    runs: Sequence[Run],
    splits: Splits,
    folder: Path,
    *,
    workers: int = 1,
    backend: Literal["processes", "ray"] = "processes",
) -> list[Found]:
    """Play all runs and their clean twins, ``workers`` at a time; their records, which ``records.json`` holds too.

    Each round is kept in ``folder`` when it is over: after a kill the same call goes on from there, and a twin that
    several attacks share is played once. The records do not depend on ``workers`` or ``backend``. With "ray" the
    tasks go to the cluster that Ray is connected to, else to ``workers`` processes of its own; all machines must see
    ``folder`` under the same path.

    Raises ToadstoneError for no runs, fewer than one worker, another backend, and where Ray is missing; what a run
    raises ends the call, and keeps what was played.
    """
    if not runs:
        raise ToadstoneError("runs is empty: give at least one.")
    if workers < 1:
        raise ToadstoneError(f"workers must be at least 1, not {workers}.")
    if backend not in ("processes", "ray"):
        raise ToadstoneError(f'backend must be "processes" or "ray", not {backend!r}.')
    ray = _ray() if backend == "ray" else None
    tasks = _tasks(runs, splits, folder)
    if ray is None:
        Parallel(n_jobs=workers)(delayed(_play)(task, splits.train, splits.test) for task in tasks)
    else:
        _on_ray(ray, tasks, splits, workers)
    records = [SideBySide(settings, splits, seed=seed, folder=folder).record() for settings, seed in runs]
    keep(records, folder)
    return records


def _tasks(runs: Sequence[Run], splits: Splits, folder: Path) -> list[Task]:
    """The simulations that are not over, each once."""
    tasks: dict[Path, Task] = {}
    for settings, seed in runs:
        both = SideBySide(settings, splits, seed=seed, folder=folder)
        for one in (both.run, both.twin):
            if one and one.folder and len(one.records) < one.settings.rounds:
                tasks[one.folder] = (one.settings, seed, one.folder)
    return [*tasks.values()]


def _play(task: Task, train: Data, test: Data) -> None:
    settings, seed, folder = task
    for _ in settings.simulate(train, seed=seed, test=test, folder=folder):
        pass


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ToadstoneError(missing_extra("backend 'ray'", "ray")) from error
    return ray


def _on_ray(ray: Any, tasks: Sequence[Task], splits: Splits, workers: int) -> None:
    own = not ray.is_initialized()
    if own:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        play = ray.remote(num_cpus=1)(_play)
        train, test = ray.put(splits.train), ray.put(splits.test)
        ray.get([play.remote(task, train, test) for task in tasks])
    finally:
        if own:
            ray.shutdown()
