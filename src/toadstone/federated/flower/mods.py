"""A Flower client mod that makes some clients malicious."""

from __future__ import annotations

from collections.abc import Collection

from toadstone.errors import ToadstoneError
from toadstone.federated.flower.arrays import (
    OutOfReach,
    flat,
    is_training,
    malicious_updates,
    named,
    only_arrays,
    round_number,
    update,
    with_update,
)
from toadstone.federated.views import AttackerView, ClientAttack
from toadstone.fields import Count, check
from toadstone.rng import child

from flwr.app import ArrayRecord, Context, Message  # isort: skip (arrays says how to install it)
from flwr.clientapp.typing import ClientAppCallable  # isort: skip


class UpdateAttackMod:
    """Replaces the update of malicious clients by what an attack makes of it: ``ClientApp(mods=[...])``.

    Each attacker acts on its own update, as SignFlip and Gaussian do; for attacks that know the others' updates see
    ColludingGrid. Attacks that train, on poisoned rows say, belong inside the client app's own training.

    - ``attack``: not an omniscient one. ``malicious``: partition ids ("partition-id" in the node's configuration).
    - ``total``: clients in a round, at least 1; what a lone attacker multiplies its update with to set the mean.
    - ``seed``: for attacks that draw.

    Raises ToadstoneError for an omniscient attack, one that trains, another ``total``, a node without a partition id,
    and messages that hold another number of array records than one.
    """

    def __init__(self, attack: ClientAttack, malicious: Collection[int], *, total: int, seed: int = 0) -> None:
        if attack.omniscient:
            raise ToadstoneError(f"attack {type(attack).__name__} needs the others' updates: use ColludingGrid for it.")
        check("total", total, Count)
        self.attack, self.malicious, self.total, self.seed = attack, frozenset(malicious), total, seed

    def __call__(self, msg: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """The client's reply, attacked if it is a malicious one's to a training message."""
        if not is_training(msg):
            return call_next(msg, context)
        if "partition-id" not in context.node_config:
            raise ToadstoneError('context.node_config has no "partition-id": set it, as simulations do.')
        partition = int(context.node_config["partition-id"])
        if partition not in self.malicious:
            return call_next(msg, context)
        start, number = ArrayRecord(dict(only_arrays(msg)[1])), round_number(msg)
        reply = call_next(msg, context)
        if reply.has_error():
            return reply
        name, arrays = only_arrays(reply)
        view = AttackerView(
            number=number,
            seed=child(self.seed, "attack", str(number), str(partition)),
            weights=flat(start),
            before=None,
            data=(),
            own=update(arrays, start)[None],
            total=self.total,
            gamma=float(self.total),
            local=OutOfReach(),
        )
        reply.content[name] = with_update(start, malicious_updates(self.attack, view)[0], named(arrays))
        return reply
