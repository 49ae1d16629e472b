"""A Flower grid on which some clients collude."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

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
from toadstone.federated.views import Aggregator, AttackerView, ClientAttack
from toadstone.rng import child

from flwr.app import Message, RecordDict  # isort: skip (arrays says how to install it)
from flwr.serverapp import Grid  # isort: skip


class ColludingGrid(Grid):  # type: ignore[misc]
    """Passes all on to ``grid`` but rewrites what malicious nodes answer; for ``strategy.start`` in the grid's place.

    A client's mod sees one client; attackers who agree on what to send, or know the honest updates, as in ALIE, IPM
    and min-max, must see a round. So this sits at the server, the one place where a round comes together; the
    clients stay as they are, and it works in simulations and deployments alike.

    - ``attack``: any that does not train. ``malicious``: node ids, of ``grid.get_node_ids()``.
    - ``aggregator``: shown to omniscient attacks, some of which ask for it. ``seed``: for attacks that draw.

    Raises ToadstoneError for an attack that trains, and for messages with another number of array records than one.
    """

    def __init__(
        self,
        grid: Grid,
        attack: ClientAttack,
        malicious: Collection[int],
        *,
        aggregator: Aggregator | None = None,
        seed: int = 0,
    ) -> None:
        self.grid, self.attack, self.malicious = grid, attack, frozenset(malicious)
        self.aggregator, self.seed = aggregator, seed

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """The replies, those of malicious nodes to training messages rewritten."""
        sent = list(messages)
        replies: list[Message] = list(self.grid.send_and_receive(sent, timeout=timeout))
        requests = {message.metadata.dst_node_id: message for message in sent if is_training(message)}
        answers = [reply for reply in replies if reply.metadata.src_node_id in requests and not reply.has_error()]
        answers.sort(key=lambda reply: reply.metadata.src_node_id)
        bad = [reply for reply in answers if reply.metadata.src_node_id in self.malicious]
        if bad:
            self._rewrite(requests[bad[0].metadata.src_node_id], answers, bad)
        return replies

    def _rewrite(self, message: Message, answers: list[Message], bad: list[Message]) -> None:
        """Put what the attack makes into the replies of its nodes."""
        start, number = only_arrays(message)[1], round_number(message)
        updates = {id(reply): update(only_arrays(reply)[1], start) for reply in answers}
        own = np.stack([updates.pop(id(reply)) for reply in bad])
        benign = np.stack([*updates.values()]) if updates else np.empty((0, own.shape[1]), np.float32)
        view = AttackerView(
            number=number,
            seed=child(self.seed, "attack", str(number)),
            weights=flat(start),
            before=None,
            data=(),
            own=own,
            total=len(answers),
            gamma=float(len(answers)),
            local=OutOfReach(),
            benign=benign if self.attack.omniscient else None,
            aggregator=self.aggregator if self.attack.omniscient else None,
        )
        for reply, step in zip(bad, malicious_updates(self.attack, view), strict=True):
            name, arrays = only_arrays(reply)
            reply.content[name] = with_update(start, step, named(arrays))

    def set_run(self, run: Any) -> None:
        """As ``grid``."""
        self.grid.set_run(run)

    @property
    def run(self) -> Any:
        """As ``grid``."""
        return self.grid.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """As ``grid``."""
        return self.grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """As ``grid``."""
        ids: Iterable[int] = self.grid.get_node_ids()
        return ids

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """As ``grid``."""
        ids: Iterable[str] = self.grid.push_messages(messages)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As ``grid``, with nothing rewritten: strategies call ``send_and_receive``."""
        messages: Iterable[Message] = self.grid.pull_messages(message_ids)
        return messages
