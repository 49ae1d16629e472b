"""Every attack on training, on the embedded digits: does it run, does it work, what does it cost?

8 x 8 pixels, about 1,100 training rows, a small CNN; nothing needs to be fetched. It compares each attack with its
clean twin and is not a comparison with a paper, whose pictures are larger. 3 seeds; per attack the mean success of the
victim and of the clean twin, the clean accuracies, the rows poisoned and the greatest change of a pixel. Where one
image is the target, 5 images a seed, in transfer learning: zeros that shall be ones, features learnt from the other
eight digits, a new linear head. `--quick`: 1 seed, 2 images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import arguments, finish

from toadstone import Data, attacks, load, split
from toadstone.core import Attack, Outsourced, Trainer
from toadstone.evaluation.cost import attack_cost
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import MLP, SmallCNN
from toadstone.rng import child
from toadstone.training import Adam, Pretrained, Train, Transfer
from toadstone.triggers import Blend, Chain, Patch, Sinusoid, Warp

VICTIM = Train(SmallCNN(hidden=64), epochs=20, optimizer=Adam(3e-3), batch_size=32)
HEAD = Transfer(Pretrained(Train(MLP((48,)), 20, Adam(3e-3), 32), "digits", tuple(range(2, 10))), l2=1e-6)
SQUARE = Patch(2)
CORNERS = Chain(tuple(Patch(2, f"{y}-{x}") for y in ("top", "bottom") for x in ("left", "right")))


def backdoors() -> dict[str, Attack]:
    """Attacks with a trigger, target 7 (and source 1 where one class is meant)."""
    return {
        "backdoor": attacks.Backdoor(SQUARE, 7, 0.05),
        "backdoor-blend": attacks.Backdoor(Blend(0.2), 7, 0.1),
        "backdoor-sinusoid-clean-label": attacks.Backdoor(Sinusoid(60, 2), 7, 0.05, clean_label=True),
        "wa-net": attacks.WaNet(Warp(1.0), 7),
        "adaptive-blend": attacks.AdaptiveBlend(target=7, rate=0.03, cover_rate=0.03),
        "adaptive-patch": attacks.AdaptivePatch(
            tuple(Patch(2, f"{y}-{x}") for y in ("top", "bottom") for x in ("left", "right")),
            target=7,
            rate=0.03,
            cover_rate=0.06,
        ),
        "random-backdoor": attacks.RandomBackdoor((3, 7), 0.2, size=2),
        "sample-specific": attacks.SampleSpecific(target=7),
        "label-consistent": attacks.LabelConsistent(CORNERS, 7, VICTIM, 0.05, eps=48),
        "hidden-trigger": attacks.HiddenTrigger(Patch(3), 7, 1, VICTIM, 0.05, eps=48),
        "sleeper-agent": attacks.SleeperAgent(Patch(3), 7, 1, VICTIM, 0.05, eps=48, retrain=1),
        "narcissus": attacks.Narcissus(7, VICTIM, 0.02, eps=48),
    }


def targeted(image: np.ndarray) -> dict[str, Attack]:
    """Attacks on one image, a zero that shall be a one."""
    return {
        "feature-collision": attacks.FeatureCollision(image, 1, HEAD),
        "convex-polytope": attacks.ConvexPolytope(image, 1, (HEAD,), eps=80),
        "bullseye-polytope": attacks.BullseyePolytope(image, 1, (HEAD,), eps=80),
        "gradient-matching": attacks.GradientMatching(image, 1, HEAD, 0.05, eps=80, restarts=2),
    }


def outsourced() -> dict[str, Outsourced]:
    """Attackers who own the training."""
    return {
        "input-aware": attacks.InputAware(VICTIM, target=7),
        "conditional-generator": attacks.ConditionalGenerator(VICTIM, size=2),
    }


def judge_outsourced(attack: Outsourced, train: Data, test: Data, seed: int) -> dict[str, float]:
    """One malicious trainer."""
    tampered = attack.train(train, seed=child(seed, "attack"))
    figures = {"rows": 0.0, "linf": 0.0}
    for side, model in (("victim", tampered.model), ("clean_twin", VICTIM.fit(train, seed=child(seed, "train")))):
        figures[f"{side}_accuracy"] = accuracy(model, test).value
        figures[f"{side}_success"] = tampered.goal.success(model, test).value
    return figures


def judge(attack: Attack, trainer: Trainer, train: Data, test: Data, seed: int) -> dict[str, float]:
    """One attack on one training set."""
    poison = attack.poison(train, seed=child(seed, "attack"))
    cost = attack_cost(train, poison)
    figures = {"rows": float(cost.rows), "linf": cost.linf or 0.0}
    for side, data in (("victim", poison.apply(train)), ("clean_twin", train)):
        model = trainer.fit(data, seed=child(seed, "train"))
        figures[f"{side}_accuracy"] = accuracy(model, test).value
        figures[f"{side}_success"] = poison.goal.success(model, test).value
    return figures


def one_seed(seed: int, images: int) -> dict[str, list[dict[str, float]]]:
    """Every attack with one seed: a list of figures by name."""
    splits = split(load("digits"), test=500, clean=100, seed=seed)
    figures: dict[str, list[dict[str, float]]] = {}
    for name, attack in backdoors().items():
        figures[name] = [judge(attack, VICTIM, splits.train, splits.test, seed)]
    for name, malicious in outsourced().items():
        figures[name] = [judge_outsourced(malicious, splits.train, splits.test, seed)]
    pair = [part.take(np.flatnonzero(part.y < 2)) for part in (splits.train, splits.test)]
    train, test = (Data(part.x, part.y, ("0", "1")) for part in pair)
    for image in test.x[test.y == 0][:images]:
        for name, attack in targeted(image).items():
            figures.setdefault(name, []).append(judge(attack, HEAD, train, test, seed))
    return figures


def main() -> None:
    options = arguments(__doc__)
    seeds, images = (1, 2) if options.quick else (3, 5)
    runs = [one_seed(seed, images) for seed in range(seeds)]
    result: dict[str, Any] = {}
    for name in runs[0]:
        rows = [row for run in runs for row in run[name]]
        result[name] = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    finish({**result, "seeds": seeds, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
