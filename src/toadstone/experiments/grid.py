"""Any experiment over seeds and settings: resumable, in processes of a machine or on a Ray cluster (extra ``ray``)."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from joblib import Parallel, delayed

from toadstone.core import Data
from toadstone.data import Splits, load, split
from toadstone.errors import ToadstoneError, missing_extra
from toadstone.experiments.experiment import in_a_sentence, run
from toadstone.experiments.label_noise import LabelNoise
from toadstone.experiments.provenance import fingerprint
from toadstone.experiments.record import Record
from toadstone.experiments.repeat import checked_object, prepare
from toadstone.fields import Count, Filled, check, checked
from toadstone.progress import track
from toadstone.registry import from_spec, to_spec

Play: TypeAlias = Callable[[], str | None]
Rows: TypeAlias = "Splits | Data | Callable[[int], Splits | Data]"


@checked
@dataclass(frozen=True)
class Grid:
    """``experiment`` with each of the seeds and each of the settings.

    A setting replaces values of the experiment, named by their path: ``{"attack.rate": 0.05}``. Raises
    ToadstoneError without a seed or a setting, and for a path that the experiment does not have.

    >>> from toadstone.federated.trainer import Federated
    >>> from toadstone.experiments.federated import FederatedExperiment
    >>> grid = Grid(FederatedExperiment(Federated()), (0, 1), ({"settings.rounds": 5}, {"settings.rounds": 9}))
    >>> [(one.settings.rounds, one.seed) for one in grid.experiments()]
    [(5, 0), (5, 1), (9, 0), (9, 1)]
    """

    experiment: Any
    seeds: Filled[int] = (0,)
    settings: Filled[Mapping[str, Any]] = ({},)

    def experiments(self) -> list[Any]:
        """Every experiment, the seeds of one setting after another."""
        return [varied(self.experiment, {**setting, "seed": seed}) for setting in self.settings for seed in self.seeds]


def varied(experiment: Any, setting: Mapping[str, Any]) -> Any:
    """``experiment`` with the values of ``setting``, path -> value."""
    for path, value in setting.items():
        experiment = _put(experiment, path.split("."), value, path)
    return experiment


def _put(whole: Any, path: list[str], value: Any, name: str) -> Any:
    if not path:
        return value
    if not is_dataclass(whole) or path[0] not in {field.name for field in fields(whole)}:
        raise ToadstoneError(f"settings names {name!r}, which the experiment does not have: there is no {path[0]!r}.")
    return replace(whole, **{path[0]: _put(getattr(whole, path[0]), path[1:], value, name)})  # type: ignore[type-var]


@dataclass(frozen=True)
class Source:
    """Data by name or path, loaded and split with each run's seed; ``split`` is None for no split."""

    data: Mapping[str, Any]
    split: Mapping[str, Any] | None

    def __call__(self, seed: int) -> Splits | Data:
        data = load(**self.data)
        return data if self.split is None else split(data, **{**self.split, "seed": seed})


def prepare_grid(spec: object, seeds: Iterable[int]) -> tuple[Grid, Source]:
    """The grid that a spec describes: one for ``prepare``, with an optional list of settings under "settings".

    Each run splits the data with its own seed. Raises ToadstoneError where ``prepare`` does.
    """
    spec = checked_object(spec)
    experiment, _ = prepare({key: value for key, value in spec.items() if key != "settings"})
    settings = spec.get("settings", [{}])
    if not isinstance(settings, list) or not all(isinstance(setting, Mapping) for setting in settings):
        raise ToadstoneError('spec\'s "settings" must be a list of objects, such as [{"attack.rate": 0.05}].')
    variants = tuple({path: from_spec(value) for path, value in setting.items()} for setting in settings)
    parts = None if isinstance(experiment, LabelNoise) else spec.get("split", {})
    return Grid(experiment, tuple(seeds), variants), Source(spec["data"], parts)


@dataclass(frozen=True)
class Outcome:
    """A run of a grid: its experiment, the folder of its record, or one sentence on why it failed."""

    experiment: Any
    folder: Path
    error: str | None = None

    def record(self) -> Record:
        """Its record. Raises ToadstoneError where the run failed."""
        if self.error:
            raise ToadstoneError(self.error)
        return Record.load(self.folder)


def run_grid(
    grid: Grid,
    data: Rows,
    folder: Path,
    *,
    workers: int = 1,
    backend: Literal["processes", "ray"] = "processes",
) -> list[Outcome]:
    """Run all of a grid, ``workers`` at a time; each record is a folder inside ``folder``, named by its content.

    ``data`` are the same for all runs, or a function of each run's seed. The same call again runs what is missing:
    killed and failed runs start again, and federated runs resume after their last whole round. An error in one run
    becomes the sentence of its outcome, and the others go on. The records do not depend on ``workers`` or ``backend``.
    With "ray" the runs go to the cluster that Ray is connected to or that RAY_ADDRESS names, as many at a time as it
    has processors, else to ``workers`` processes of its own; all machines must see ``folder`` under the same path.

    Raises ToadstoneError for fewer than one worker, where Ray or its cluster is missing, and for data that cannot be
    loaded.
    """
    check("workers", workers, Count)
    ray = _ray() if backend == "ray" else None
    places = _places(grid, data, folder)
    missing = {place: one for place, one in places if not (place / "record.json").is_file()}
    plays = [functools.partial(_play, one, data, place) for place, one in missing.items()]
    sentences = _locally(plays, workers) if ray is None else _on_ray(ray, plays, workers)
    errors = dict(zip(track([*missing], "runs"), sentences, strict=True))
    return [Outcome(one, place, errors.get(place)) for place, one in places]


def _places(grid: Grid, data: Rows, folder: Path) -> list[tuple[Path, Any]]:
    """Each experiment and the folder of its record: the same for the same experiment on the same rows."""

    @functools.cache
    def rows(seed: int) -> str:
        return fingerprint(data(seed)) if callable(data) else fingerprint(data)

    places = []
    for one in grid.experiments():
        try:
            content = json.dumps(to_spec(one), sort_keys=True)
        except ToadstoneError:  # a class that is not registered has no spec
            content = repr(one)
        name = hashlib.sha256(f"{content} {rows(one.seed)}".encode()).hexdigest()[:16]
        places.append((Path(folder) / f"run-{name}", one))
    return places


def _play(experiment: Any, data: Rows, place: Path) -> str | None:
    """Run one experiment and save its record; returns its error, in a sentence."""
    try:
        rows = data(experiment.seed) if callable(data) else data
        run(experiment, rows, place.parent).save(place)
    except Exception as error:  # the other runs go on
        return in_a_sentence(error)
    return None


def _locally(plays: Sequence[Play], workers: int) -> Iterator[str | None]:
    if workers == 1:
        return (play() for play in plays)
    return Parallel(n_jobs=workers, return_as="generator")(delayed(play)() for play in plays)


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ToadstoneError(missing_extra("backend 'ray'", "ray")) from error
    return ray


def _connect(ray: Any, workers: int) -> None:
    """To the cluster that RAY_ADDRESS names, as many runs at a time as it has processors; else to one of our own."""
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
        return
    try:
        ray.init(log_to_driver=False)
    except ConnectionError as error:
        raise ToadstoneError(
            f"RAY_ADDRESS is {address!r}, where no Ray cluster answers: start it or unset it."
        ) from error


def _on_ray(ray: Any, plays: Sequence[Play], workers: int) -> Iterator[str | None]:
    own = not ray.is_initialized()
    if own:
        _connect(ray, workers)
    try:
        remote = ray.remote(num_cpus=1)(lambda play: play())
        for waiting in [remote.remote(play) for play in plays]:
            yield _result(ray, waiting)
    finally:
        if own:
            ray.shutdown()


def _result(ray: Any, waiting: Any) -> str | None:
    try:
        sentence: str | None = ray.get(waiting)
    except Exception as error:  # a worker that died, or whose machine lacks the library: the other runs go on
        return in_a_sentence(error)
    return sentence
