"""Experiments: known truth. An attack is planted, every defense is scored, the record can be replayed."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Experiment": "toadstone.experiments.experiment",
        "run": "toadstone.experiments.experiment",
        "Record": "toadstone.experiments.record",
        "replay": "toadstone.experiments.repeat",
        "prepare": "toadstone.experiments.repeat",
        "judge_labels": "toadstone.experiments.label_noise",
        "read_labels": "toadstone.experiments.label_noise",
        "SideBySide": "toadstone.experiments.federated",
        "grid": "toadstone.experiments.many",
        "many": "toadstone.experiments.many",
    },
)
