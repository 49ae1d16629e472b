"""A federated run beside its clean twin: the same clients and rounds, in which the malicious ones do no wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Data, Goal
from toadstone.data import Splits
from toadstone.errors import ToadstoneError
from toadstone.experiments.provenance import origin
from toadstone.federated.rounds import RoundRecord
from toadstone.federated.simulation import Simulation
from toadstone.federated.trainer import Federated
from toadstone.federated.views import AttackerView
from toadstone.files import plain
from toadstone.goals.availability import Availability

Found = dict[str, Any]


@dataclass(frozen=True)
class Honest:
    """The attacker's clients doing no wrong: they send what they trained; ``wanted`` is measured all the same."""

    wanted: Goal
    omniscient: ClassVar[bool] = False

    def goal(self, data: Data) -> Goal:
        """What they would want."""
        return self.wanted

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """Their honest updates."""
        return view.own


class SideBySide:
    """A run and its clean twin. Iterating plays what is still to come and yields each round of both, None in the
    place of the twin's where there is no attack.

    The twin is the same run client for client, round for round and draw for draw, so whatever differs is the
    attack's doing. Attacks that want the same have the same twin. With ``folder`` a run that was killed goes on after
    its last whole round, and nothing is computed twice.
    """

    def __init__(self, settings: Federated, splits: Splits, *, seed: int, folder: Path | None = None) -> None:
        self.settings, self.splits, self.seed, self.folder = settings, splits, seed, folder
        self.run = self._simulation(settings)
        self.twin: Simulation | None = None
        if self.run.goal is not None:
            self.twin = self._simulation(replace(settings, attack=Honest(self.run.goal)))

    def _simulation(self, settings: Federated) -> Simulation:
        name = hashlib.sha256(repr((settings, self.seed)).encode()).hexdigest()[:16]
        place = None if self.folder is None else self.folder / "rounds" / name
        return settings.simulate(self.splits.train, seed=self.seed, test=self.splits.test, folder=place)

    def __iter__(self) -> Iterator[tuple[RoundRecord, RoundRecord | None]]:
        twin = None if self.twin is None else iter(self.twin)
        for record in self.run:
            yield record, None if twin is None else next(twin)

    @property
    def wants_errors(self) -> bool:
        """Whether the attack's success is the error itself."""
        return isinstance(self.run.goal, Availability)

    def record(self) -> Found:
        """What was found so far, as JSON: "spec", "rounds", "clean_twin" (None without an attack), "wants_errors",
        versions and data."""
        info = origin(self.settings, self.splits)
        spec = info["spec"]
        spec |= {"federated": spec.pop("experiment"), "seed": self.seed}
        found: Found = plain(
            {
                **info,
                "wants_errors": self.wants_errors,
                "rounds": [asdict(record) for record in self.run.records],
                "clean_twin": self.twin and [asdict(record) for record in self.twin.records],
            }
        )
        return found


def summary(record: Found) -> Found:
    """The figures after the last round, and which share of malicious and of honest updates was rejected over all.

    A rate is its value; what was not measured is None.
    """
    rounds, clean = record["rounds"], record["clean_twin"]
    last, calm = rounds[-1], clean[-1] if clean else {}
    sent = [(c in r["malicious"], w == 0) for r in rounds for c, w in zip(r["clients"], r["weights"], strict=True)]
    bad, good = ([rejected for malicious, rejected in sent if malicious == kind] for kind in (True, False))
    return {
        "rounds": len(rounds),
        "accuracy": _value(last["accuracy"]),
        "attack_success": _value(last["success"]),
        "clean_twin_accuracy": _value(calm.get("accuracy")),
        "clean_twin_success": _value(calm.get("success")),
        "malicious_rejected": sum(bad) / len(bad) if bad else None,
        "honest_rejected": sum(good) / len(good) if good else None,
        "refused_rounds": sum(r["refused"] is not None for r in rounds),
        "seconds": round(sum(r["seconds"] for r in (*rounds, *(clean or ()))), 2),
    }


def keep(records: Sequence[Found], folder: Path) -> list[Found]:
    """Add to ``records.json`` in a folder, in the place of what was made from the same spec; all that it holds then.

    Raises ToadstoneError when the file there is damaged.
    """
    path = folder / "records.json"
    try:
        old = json.loads(path.read_text()) if path.exists() else []
        kept = {json.dumps(record["spec"], sort_keys=True): record for record in (*old, *records)}
    except (ValueError, TypeError, KeyError) as error:
        raise ToadstoneError(
            f"{path} holds no records of federated runs: remove it, or choose another folder."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps([*kept.values()]))
    draft.replace(path)
    return [*kept.values()]


def _value(rate: Found | None) -> Any:
    return rate and rate["value"]
