"""Updates from Flower's records and back, and what an attacker sees in a Flower app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import ToadstoneError, missing_extra
from toadstone.federated.flower import vectors
from toadstone.federated.views import AttackerView, ClientAttack

try:
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType
except ImportError as error:
    raise ImportError(missing_extra("toadstone.federated.flower", "flower")) from error


def update(reply: ArrayRecord, start: ArrayRecord) -> Float[ndarray, " d"]:
    """What a client added to the floating arrays that it was sent, as one vector; see ``vectors.difference``."""
    return vectors.difference(named(reply), named(start))


def with_update(start: ArrayRecord, step: Float[ndarray, " d"], counters: vectors.Arrays) -> ArrayRecord:
    """New arrays: those of ``start`` with an update added, whole numbers as in ``counters``, each in its own type."""
    new = vectors.moved(named(start), step, counters)
    return ArrayRecord({name: Array(array) for name, array in new.items()})


def named(arrays: ArrayRecord) -> dict[str, ndarray]:
    """The arrays of a record, as numpy's."""
    return {name: array.numpy() for name, array in arrays.items()}


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
    """The entries of the floating arrays as one vector."""
    return vectors.flat(named(arrays))
