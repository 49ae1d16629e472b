"""Flower apps: the library's rules as server strategies, its attacks as client mods and grids (extra ``flower``)."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "BezoarStrategy": "bezoar.flower.strategy",
        "UpdateAttackMod": "bezoar.flower.mods",
        "ColludingGrid": "bezoar.flower.grid",
    },
)
