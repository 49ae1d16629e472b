"""Experiments: known truth. An attack is planted, every defense is scored, the record can be replayed."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Experiment": "bezoar.experiments.experiment",
        "run": "bezoar.experiments.experiment",
        "Record": "bezoar.experiments.record",
        "replay": "bezoar.experiments.repeat",
        "prepare": "bezoar.experiments.repeat",
        "judge_labels": "bezoar.experiments.label_noise",
        "read_labels": "bezoar.experiments.label_noise",
        "SideBySide": "bezoar.experiments.federated",
        "grid": "bezoar.experiments.many",
        "many": "bezoar.experiments.many",
    },
)
