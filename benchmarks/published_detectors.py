"""What the papers of activation clustering and spectral signatures report, measured again.

`clustering/*`: MNIST, 20,000 rows, the small CNN, 5 epochs, a patch of 4 x 4 pixels on 10% of the rows: from every
class to the next, as in the paper (`next_class`), and from all to class 5 (`all_to_one`), where poison is 53%
of the class. Each class is cut in two and the smaller cluster called poison, by the paper's rule and with no trusted
row: mean over the poisoned classes of accuracy and F1, on the net's features (`accuracy`, `f1`) and on raw pixels
(`pixels_*`). Beside it, with 1,000 trusted rows and a false-discovery rate of 5%: `tpr`, `fdr`, and `flagged_clean`,
the share of rows flagged in the clean twin.

`spectral`: CIFAR-10, 10,000 rows, a small PreActResNet, 12 epochs, trucks with a patch become deer, a tenth of a
class. `poisons` rows; the 1.5 eps n highest scores of the class are removed, with eps n the number of poisons, as the
paper knows it: `left` of them stay. `asr`, `accuracy` before and `*_after` training again without those removed.

Three seeds, mean and 95% interval. `--quick`: one seed, fewer rows and epochs, MNIST alone. Models are kept under
build/models. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

import numpy as np
import torch
from common import Remember, arguments, finish, spreads
from dirty_label import PATCH
from numpy import ndarray
from sklearn.metrics import f1_score

from toadstone import Data, flag, load, split
from toadstone.attacks import Backdoor
from toadstone.core import Poison
from toadstone.defenses import ActivationClustering
from toadstone.defenses.data.activation_clustering import cluster_classes
from toadstone.defenses.data.spectral_signatures import spectral_scores
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import accuracy
from toadstone.models import PreActResNet, SmallCNN
from toadstone.rng import child
from toadstone.training import Adam, Train

TARGET, DEER, TRUCK = 5, 4, 9


def by_size(features: ndarray, data: Data, poison: ndarray, seed: int) -> tuple[float, float]:
    """Accuracy and F1 of calling the smaller cluster poison, a mean over the classes that hold poison."""
    values = []
    for c, clusters in cluster_classes(features, data.y, seed=seed).items():
        truth = poison[data.y == c]
        if truth.any():
            values.append(((clusters.assignment == truth).mean(), f1_score(truth, clusters.assignment)))
    return tuple(np.mean(values, 0).tolist())


def clustering(attack: Backdoor, seed: int, quick: bool) -> dict[str, float]:
    """One attack on MNIST."""
    parts = split(load("mnist"), train=4_000 if quick else 20_000, test=2_000, clean=1_000, seed=seed)
    train = Remember(Train(SmallCNN(), 5, Adam(2e-3)))
    poison = attack.poison(parts.train, seed=child(seed, "attack"))
    data, truth = poison.apply(parts.train), poison.mask(len(parts.train))
    model = train.fit(data.append(parts.clean), seed=child(seed, "train"))
    right, f1 = by_size(model.features(data.x), data, truth, seed)
    pixels = data.x[:].reshape(len(data), -1).astype(np.float32)
    raw_right, raw_f1 = by_size(pixels, data, truth, seed)
    detect = ActivationClustering()
    rows = flag(judge(detect, model, data, clean=parts.clean, seed=seed)).rows
    twin = train.fit(parts.train.append(parts.clean), seed=child(seed, "train"))
    return {
        "attack_success_rate": poison.goal.success(model, parts.test).value,
        "accuracy": right,
        "f1": f1,
        "pixels_accuracy": raw_right,
        "pixels_f1": raw_f1,
        "tpr": float(rows[truth].mean()),
        "fdr": float((rows & ~truth).sum() / max(1, rows.sum())),
        "flagged_clean": float(flag(judge(detect, twin, parts.train, clean=parts.clean, seed=seed)).rows.mean()),
    }


def highest(scores: ndarray, y: ndarray, poison: Poison) -> ndarray:
    """The mask of the 1.5 eps n highest scores of the poisoned class."""
    rows = np.flatnonzero(y == DEER)
    mask = np.zeros(len(y), bool)
    mask[rows[np.argsort(-scores[rows])[: round(1.5 * len(poison.index))]]] = True
    return mask


def spectral(seed: int) -> dict[str, float]:
    """One seed of CIFAR-10."""
    parts = split(load("cifar10"), train=10_000, clean=500, seed=seed)
    train = Remember(Train(PreActResNet(16, (1, 1, 1)), 12, Adam(3e-3), batch_size=64))
    attack = Backdoor(PATCH, DEER, 0.1 / len(parts.train.classes), source=TRUCK)
    poison = attack.poison(parts.train, seed=child(seed, "attack"))
    data, truth = poison.apply(parts.train), poison.mask(len(parts.train))
    model = train.fit(data, seed=child(seed, "train"))
    out = highest(spectral_scores(model.features(data.x), data.y), data.y, poison)
    again = train.fit(data.take(np.flatnonzero(~out)), seed=child(seed, "train"))
    return {
        "poisons": float(truth.sum()),
        "left": float((truth & ~out).sum()),
        "asr": poison.goal.success(model, parts.test).value,
        "accuracy": accuracy(model, parts.test).value,
        "asr_after": poison.goal.success(again, parts.test).value,
        "accuracy_after": accuracy(again, parts.test).value,
    }


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    seeds = range(1 if options.quick else 3)
    attacks = {
        "next_class": Backdoor(PATCH, rate=0.1, all_to_all=True),
        "all_to_one": Backdoor(PATCH, TARGET, 0.1),
    }
    figures = {
        f"clustering/{name}": spreads([clustering(attack, seed, options.quick) for seed in seeds])
        for name, attack in attacks.items()
    }
    if not options.quick:
        figures["spectral"] = spreads([spectral(seed) for seed in seeds])
    finish({**figures, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
