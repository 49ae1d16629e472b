"""Flower apps: the library's rules as server strategies, its attacks as client mods and grids (extra ``flower``)."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ToadstoneStrategy": "toadstone.federated.flower.strategy",
        "UpdateAttackMod": "toadstone.federated.flower.mods",
        "ColludingGrid": "toadstone.federated.flower.grid",
    },
)
