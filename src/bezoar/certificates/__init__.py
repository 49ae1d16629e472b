"""Proofs: what no attack of a given size can exceed, whatever it does."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "PoisoningBound": "bezoar.certificates.poisoning_bound",
        "certified_accuracy": "bezoar.certificates.partition",
        "certified_radius": "bezoar.certificates.partition",
        "data_dependent_attack": "bezoar.certificates.data_dependent",
        "median_radius": "bezoar.certificates.partition",
        "poisoning_bound": "bezoar.certificates.poisoning_bound",
    },
)
