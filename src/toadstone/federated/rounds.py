"""What the rounds of federated learning leave behind: a record of each, and a checkpoint to go on from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Rate
from toadstone.data.arrays import need, read_npz
from toadstone.errors import ToadstoneError
from toadstone.files import new_file


@dataclass(frozen=True)
class RoundRecord:
    """One round. ``dataclasses.asdict`` makes it JSON.

    - ``number``: from 0. ``clients``: who took part, in the order of their updates; ``malicious``: those of them who
      attacked.
    - ``weights``: what each counted for, 0 for who was rejected. ``norms``: the lengths of what they sent,
      ``cosines``: to what the server made of it; None where there is none.
    - ``refused``: why the server kept its model as it was, None when it did not.
    - ``gamma``: clients / eta, the boost by which one update alone sets the mean. ``f``: how many attacked, ``told``:
      how many the server's rule was told of, None where it needs no number.
    - ``accuracy`` on the test set, ``success`` of the attacker's goal; None when not measured.
    - ``seconds``: of wall time, measuring included.
    """

    number: int
    clients: tuple[int, ...]
    malicious: tuple[int, ...]
    weights: tuple[float, ...]
    norms: tuple[float | None, ...]
    cosines: tuple[float | None, ...]
    refused: str | None
    gamma: float
    f: int
    told: int | None
    accuracy: Rate | None
    success: Rate | None
    seconds: float


@dataclass(eq=False)
class State:
    """All that one round hands to the next.

    - ``weights``: the global model. ``previous``: what the last round was aggregated to. ``before``: the model of the
      last round that a malicious client took part in. ``memory``: client -> sum of its output layer's updates.
    """

    weights: Float[ndarray, " d"]
    previous: Float[ndarray, " d"] | None = None
    before: Float[ndarray, " d"] | None = None
    memory: dict[int, ndarray] = field(default_factory=dict)
    records: list[RoundRecord] = field(default_factory=list)

    def save(self, folder: Path, name: str) -> None:
        """Write all to ``folder``, so that a run killed meanwhile leaves the round before; ``name`` is the run's."""
        optional = {k: getattr(self, k) for k in ("previous", "before") if getattr(self, k) is not None}
        memory = np.stack([*self.memory.values()]) if self.memory else np.zeros((0, 0), np.float32)
        records = json.dumps([asdict(record) for record in self.records])
        arrays = {"weights": self.weights, "memory": memory, "remembered": np.array([*self.memory], np.int64)}
        with new_file(folder / "rounds.npz") as draft, draft.open("wb") as file:
            np.savez(file, records=np.array(records), run=np.array(name), **arrays, **optional)  # type: ignore[arg-type]

    @staticmethod
    def load(folder: Path, name: str) -> State | None:
        """What ``save`` wrote, None when there is nothing. ToadstoneError for another run's, or a damaged file."""
        path = folder / "rounds.npz"
        if not path.exists():
            return None
        arrays = read_npz(path)
        need(arrays, path, "weights", "memory", "remembered", "records", "run")
        if str(arrays["run"]) != name:
            raise ToadstoneError(
                f"folder {folder} holds a run of other settings, seed or data: give a folder of its own."
            )
        for array in arrays.values():
            array.flags.writeable = False
        memory = dict(zip(arrays["remembered"].tolist(), arrays["memory"], strict=True))
        records = [_record(each) for each in json.loads(str(arrays["records"]))]
        return State(arrays["weights"], arrays.get("previous"), arrays.get("before"), memory, records)


def _record(values: dict[str, object]) -> RoundRecord:
    for each in fields(RoundRecord):
        value = values[each.name]
        if isinstance(value, list):
            values[each.name] = tuple(value)
        elif isinstance(value, dict):
            values[each.name] = Rate(**value)
    return RoundRecord(**values)  # type: ignore[arg-type]
