"""Which half of its class a row is in, as a model sees it."""

from toadstone.audit.data.evidence.kind import Kind
from toadstone.defenses.data.activation_clustering import ActivationClustering

KIND = Kind(
    "cluster",
    lambda model: None if model.known_features is None else ActivationClustering(scale="surprise"),
    "It lies in a half of its class, as the model sees it, that has hardly a trusted row.",
    "Halves of a class, as the model sees it, that have hardly a trusted row (activation clustering).",
    group_from=2,
)
