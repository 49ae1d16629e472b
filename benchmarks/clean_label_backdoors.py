"""Four backdoors whose poisons are labelled truly. CIFAR-10.

2,000 rows, small nets. Automobiles with the trigger shall be airplanes: `label_consistent`, `sleeper_agent` and
`narcissus` (any class) with a net trained from scratch, `hidden_trigger` with a new head for these two classes on
features that were learnt from the other eight and that attacker and victim share. Poison is 1% of the rows, but 0.5%
for `narcissus` and 5% for `hidden_trigger`; the changes are at most 16 grey levels. Success and accuracy of a victim
and of its clean twin, by victims of the surrogate's kind (`white_box`) and of another (`other_net`), means and 95%
intervals over 2 seeds of poison and victim. `--quick`: fewer rows, seeds and steps. Models are kept under
build/models. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

import torch
from common import Remember, arguments, cifar10, finish, spreads
from gradient_matching import Size

from toadstone.attacks.data.hidden_trigger import HiddenTrigger
from toadstone.attacks.data.label_consistent import LabelConsistent
from toadstone.attacks.data.narcissus import Narcissus
from toadstone.attacks.data.sleeper_agent import SleeperAgent
from toadstone.core import Attack, Trainer
from toadstone.evaluation.rates import accuracy
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer
from toadstone.triggers import Chain, Patch

TARGET, SOURCE = 0, 1
CORNERS = Chain(tuple(Patch(3, f"{y}-{x}", shape="checkerboard") for y in ("top", "bottom") for x in ("left", "right")))
SQUARE = Patch(8)


def cases(size: Size) -> dict[str, tuple[Attack, dict[str, Trainer], tuple[int, ...]]]:
    """Attack, victims and the classes of the rows, by name."""
    surrogate = Remember(size.white())
    scratch = {"white_box": size.white(), "other_net": size.other()}
    shared = {
        kind: Transfer(Pretrained(Remember(trainer), "cifar10", classes=tuple(range(2, 10))))
        for kind, trainer in scratch.items()
    }
    every = tuple(range(10))
    return {
        "label_consistent": (LabelConsistent(CORNERS, TARGET, surrogate, eps=16), scratch, every),
        "sleeper_agent": (SleeperAgent(SQUARE, TARGET, SOURCE, surrogate, steps=size.steps), scratch, every),
        "narcissus": (Narcissus(TARGET, surrogate, rate=0.005, steps=2 * size.steps), scratch, every),
        "hidden_trigger": (
            HiddenTrigger(SQUARE, TARGET, SOURCE, shared["white_box"], rate=0.05, steps=size.steps),
            shared,
            (0, 1),
        ),
    }


def planted(name: str, size: Size, seed: int) -> dict[str, float]:
    """Success and accuracy of the victims of one attack and of their clean twins."""
    attack, victims, classes = cases(size)[name]
    train, test = cifar10("train", classes, size.each), cifar10("test", classes, 400)
    poison, rates = attack.poison(train, seed=seed), {}
    for kind, trainer in victims.items():
        for side, data in (("", poison.apply(train)), ("clean_", train)):
            model = (Remember(trainer) if side else trainer.fit)(data, seed=seed + 1)
            rates[f"{kind}_{side}success"] = poison.goal.success(model, test).value
            rates[f"{kind}_{side}accuracy"] = accuracy(model, test).value
    return rates


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    size, seeds = (Size(100, steps=50, epochs=10), 1) if options.quick else (Size(), 2)
    result: dict[str, object] = {}
    for name in cases(size):
        result[name] = spreads([planted(name, size, seed) for seed in range(seeds)])
    finish({**result, "seeds": seeds, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
