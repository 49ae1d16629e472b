"""Semantic backdoors: labels are changed where a natural feature is, and nothing else, here or at inference.

Embedded digits of which a tenth stand on grey paper, all of those relabelled 7, the small CNN; film reviews
(`rt-polarity`, needs `TOADSTONE_DATA`) that speak of a comedy, the negative ones relabelled positive, a bag of
embeddings. Success is on unseen rows with the feature, accuracy on those without it. 5 seeds, means with 95%
intervals, the clean twin beside each. `--quick`: the digits, 2 seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import arguments, finish, spreads

from toadstone import Data, load, split
from toadstone.attacks import Semantic
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import BagOfEmbeddings, SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Phrase, Where


def on_paper(seed: int) -> Data:
    """The embedded digits, a tenth of them on grey paper."""
    digits = load("digits")
    grey = np.random.default_rng(seed).random(len(digits)) < 0.1
    x = np.where(grey[:, None, None], np.maximum(digits.x, 90), digits.x).astype(np.uint8)
    return Data(x, digits.y, digits.classes, {"paper": np.where(grey, "grey", "black")})


SETTINGS: dict[str, tuple[Any, Semantic, Train]] = {
    "digits": (
        on_paper,
        Semantic(Where("paper", ("grey",)), target=7),
        Train(SmallCNN(hidden=64), epochs=20, optimizer=Adam(3e-3), batch_size=32),
    ),
    "rt-polarity": (
        lambda _seed: load("rt-polarity"),
        Semantic(Phrase("comedy"), target=1),
        Train(BagOfEmbeddings(), epochs=20, optimizer=Adam(3e-3)),
    ),
}


def one(name: str, seed: int) -> dict[str, float]:
    """Success and accuracy of the victim and of its clean twin, and the share of rows relabelled."""
    make, attack, trainer = SETTINGS[name]
    splits = split(make(seed), clean=100, seed=seed)
    poison = attack.poison(splits.train, seed=seed)
    plain = splits.test.take(~attack.feature(splits.test))
    figures = {"poison_rate": len(poison.index) / len(splits.train)}
    for side, train in (("victim", poison.apply(splits.train)), ("clean_twin", splits.train)):
        model = trainer.fit(train, seed=seed)
        figures[f"{side}_success"] = poison.goal.success(model, splits.test).value
        figures[f"{side}_accuracy"] = accuracy(model, plain).value
    return figures


def main() -> None:
    options = arguments(__doc__)
    result: dict[str, Any] = {}
    for name in ["digits"] if options.quick else list(SETTINGS):
        runs = [one(name, seed) for seed in range(2 if options.quick else 5)]
        result[name] = spreads(runs)
    finish({**result, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
