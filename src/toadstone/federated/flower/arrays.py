"""Updates from Flower's records and back, and what an attacker sees in a Flower app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import ToadstoneError, missing_extra
from toadstone.federated.views import AttackerView, ClientAttack

try:
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType
except ImportError as error:
    raise ImportError(missing_extra("toadstone.federated.flower", "flower")) from error


def update(reply: ArrayRecord, start: ArrayRecord) -> Float[ndarray, " d"]:
    """What a client added to the arrays that it was sent, entry after entry, as one vector.

    The difference is taken in double precision: that of large weights keeps its digits. Raises ToadstoneError for other
    names or shapes than those sent.
    """
    if list(reply) != list(start):
        raise ToadstoneError(f"reply holds the arrays {list(reply)}, not {list(start)}: return those that were sent.")
    parts = []
    for name, before in start.items():
        old, new = before.numpy(), reply[name].numpy()
        if old.shape != new.shape:
            raise ToadstoneError(f"reply's array {name} has shape {new.shape}, not {old.shape} as it was sent.")
        with np.errstate(over="ignore", invalid="ignore"):
            parts.append((new.astype(np.float64) - old).ravel().astype(np.float32))
    return np.concatenate([np.empty(0, np.float32), *parts])


def with_update(start: ArrayRecord, step: Float[ndarray, " d"]) -> ArrayRecord:
    """New arrays: those of ``start`` with an update added, each in its own type, whole numbers rounded."""
    arrays, at = {}, 0
    for name, before in start.items():
        old = before.numpy()
        new = old.astype(np.float64) + step[at : at + old.size].reshape(old.shape)
        at += old.size
        with np.errstate(over="ignore", invalid="ignore"):
            arrays[name] = Array(np.asarray(np.rint(new) if old.dtype.kind in "iu" else new).astype(old.dtype))
    return ArrayRecord(arrays)


def only_arrays(message: Message) -> tuple[str, ArrayRecord]:
    """The name and the arrays of a message's one array record; ToadstoneError where there is another number of them."""
    records = message.content.array_records
    if len(records) != 1:
        raise ToadstoneError(f"message holds {len(records)} array records: send the model in one.")
    ((name, arrays),) = records.items()
    return name, arrays


def round_number(message: Message) -> int:
    """The round, from 0, that the server wrote into a message; 0 where it wrote none."""
    records: list[ConfigRecord] = [*message.content.config_records.values()]
    return next((int(record["server-round"]) - 1 for record in records if "server-round" in record), 0)


def is_training(message: Message) -> bool:
    """Whether a message asks for training, by whatever action."""
    return bool(str(message.metadata.message_type).split(".")[0] == MessageType.TRAIN)


class OutOfReach:
    """The clients' training, which an attack cannot call from outside of a Flower client."""

    def updates(self, start: ndarray, data: Sequence[Data], *, seeds: Sequence[int]) -> ndarray:
        raise _out_of_reach()

    def module(self, weights: ndarray) -> Any:
        raise _out_of_reach()

    def flat(self, net: Any) -> ndarray:
        raise _out_of_reach()

    def encode(self, rows: ndarray) -> object:
        raise _out_of_reach()


def _out_of_reach() -> ToadstoneError:
    return ToadstoneError("attack trains a model, which it cannot do here: poison the rows inside the client app.")


def malicious_updates(attack: ClientAttack, view: AttackerView) -> Float[ndarray, "f d"]:
    """What the attack sends; ToadstoneError for another shape than one update for each of its clients."""
    sent = np.asarray(attack.send(view))
    if sent.shape != view.own.shape:
        raise ToadstoneError(f"attack {type(attack).__name__} returned shape {sent.shape}, not {view.own.shape}.")
    return sent.astype(np.float32)


def flat(arrays: ArrayRecord) -> Float[ndarray, " d"]:
    """All entries as one vector."""
    return np.concatenate([np.empty(0, np.float32), *(a.numpy().ravel().astype(np.float32) for a in arrays.values())])
