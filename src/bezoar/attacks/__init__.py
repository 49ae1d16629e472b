"""What an attacker does, by the stage of the pipeline at which it is done."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Backdoor": "bezoar.attacks.data.backdoor",
        "Semantic": "bezoar.attacks.data.semantic",
    },
)
