"""Proofs: what no attack of a given size can exceed, whatever it does."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "PoisoningBound": "toadstone.certificates.poisoning_bound",
        "certified_accuracy": "toadstone.certificates.partition",
        "certified_radius": "toadstone.certificates.partition",
        "data_dependent_attack": "toadstone.certificates.data_dependent",
        "median_radius": "toadstone.certificates.partition",
        "poisoning_bound": "toadstone.certificates.poisoning_bound",
    },
)
