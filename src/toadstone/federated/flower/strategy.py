"""A Flower strategy whose server aggregates by one of the library's rules."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.errors import RefusedError
from toadstone.federated.flower.arrays import named, update, with_update
from toadstone.federated.flower.vectors import middle_counters
from toadstone.federated.views import Aggregator, ServerView
from toadstone.rng import child

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord  # isort: skip (arrays says how to install it)
from flwr.serverapp import Grid  # isort: skip
from flwr.serverapp.strategy import FedAvg, Strategy  # isort: skip


class ToadstoneStrategy(Strategy):  # type: ignore[misc]
    """Aggregates what clients send by ``aggregator``; ``base`` does all else: who trains, evaluation, metrics.

    The rule sees updates, replies minus the arrays that went out, in the order of the node ids, never raw weights, and
    of floating arrays alone. Whole numbers, such as batch norm's counters of batches, become the clients' median.
    The metrics of a round also hold "rejected", the nodes whose updates got the weight 0, and "refused", 1 when the
    rule rejected all and the model stayed as it was.

    Works with rules that need the updates alone, or how many rows each client has (``base.weighted_by_key``). Fails
    with those that need rows or a memory of the server's own, such as FLTrust and FoolsGold: they say what they lack.

    - ``aggregator``: any of ``toadstone.defenses.federated``. ``base``: a FedAvg with its settings. ``seed``: for rules
      that draw.

    Raises ToadstoneError when a reply holds other arrays than those sent or no real numbers, and what the rule raises.
    """

    def __init__(self, aggregator: Aggregator, base: FedAvg | None = None, *, seed: int = 0) -> None:
        self.aggregator, self.base, self.seed = aggregator, base or FedAvg(), seed
        self.sent: ArrayRecord | None = None
        self.previous: Float[ndarray, " d"] | None = None

    def summary(self) -> None:
        """Log the settings of ``base``."""
        self.base.summary()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As ``base``; the arrays are remembered, for replies to be compared with."""
        self.sent = arrays
        messages: Iterable[Message] = self.base.configure_train(server_round, arrays, config, grid)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The arrays that went out plus what the rule makes of the updates; None for a round without any."""
        valid, _ = self.base._check_and_log_replies(replies, is_train=True)
        if not valid or self.sent is None:
            return None, None
        valid = sorted(valid, key=lambda reply: reply.metadata.src_node_id)
        nodes = [reply.metadata.src_node_id for reply in valid]
        contents = [reply.content for reply in valid]
        metrics: MetricRecord = self.base.train_metrics_aggr_fn(contents, self.base.weighted_by_key)
        counts = [next(iter(content.metric_records.values()))[self.base.weighted_by_key] for content in contents]
        replied = [next(iter(content.array_records.values())) for content in contents]
        updates = np.stack([update(arrays, self.sent) for arrays in replied])
        view = ServerView(
            number=server_round - 1,
            seed=child(self.seed, "server", str(server_round - 1)),
            clients=np.array(nodes),
            rows=np.array(counts).astype(np.int64),
            previous=self.previous,
        )
        try:
            aggregate = self.aggregator(updates, view=view)
        except RefusedError:
            metrics.update({"rejected": nodes, "refused": 1})
            return None, metrics
        metrics["rejected"] = [node for node, weight in zip(nodes, aggregate.weights, strict=True) if weight == 0]
        metrics["refused"] = int(not np.isfinite(aggregate.update).all())
        if metrics["refused"]:
            return None, metrics
        self.previous = aggregate.update
        counters = middle_counters([named(arrays) for arrays in replied])
        return with_update(self.sent, aggregate.update, counters), metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As ``base``."""
        messages: Iterable[Message] = self.base.configure_evaluate(server_round, arrays, config, grid)
        return messages

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """As ``base``."""
        metrics: MetricRecord | None = self.base.aggregate_evaluate(server_round, replies)
        return metrics
