"""Image scaling: what the attack hides in full-size photographs, who sees it, and a backdoor planted with it.

Photographs that were never smaller: the Yale faces (the 153 that differ, 240 x 320, grey) to 30 x 40, ratio 8, and
128 x 128 pieces of scikit-learn's two photographs (in colour) to 32 x 32, ratio 4. Sets of 32 x 32 images, enlarged,
would have no detail for an attack to disturb and are not used.

- `mae_*`: grey levels between the resized attack picture and its target; `ssim_*`: between the attack picture and its
  source; `seen_*`: how much of the change the eye gets: mean |change| of the full-size picture's blocks, over that of
  the resized picture; by library and kernel. The target is another picture's resize, at ratio 8; `ratio16_*` at 16,
  and `ratio4_*`, of the colour photographs, at 4.
- `trigger_*`: the same where the target is the source's own resize with a 4 x 4 chess board in the corner, ratio 8.
- `auroc_*`, `tpr_*`, `fpr_*` by method of detection: another face, mean of Pillow's nearest and torch's bilinear;
  50 photographs and the attacks made of them are scored, the other 103 are trusted; flagged at p <= 0.01.
  `trigger_auroc_*` and `trigger_tpr_*` are of the hidden trigger. `detection_auroc` is the default method's.
- `clean_accuracy_*`, `asr_*`: a small CNN names the subject from 8 crops (216 x 288 to 27 x 36) of each photograph,
  a third of the photographs held out with all their crops; the trigger is hidden in 10% of the rows, target 0, and in
  the crops of held-out photographs. `_median`, `_random`: the victim's pipeline, in training and after, has that
  filter; `_box`: it resizes by Pillow's box instead; `_twin`: the victim of the clean rows.

Optimistic: epochs, learning rate and trigger are ones with which the undefended victim of seed 0 learnt the trigger,
and the details of the detection scores (squared error or SSIM, which frequencies) were chosen on these photographs.

Means of 3 seeds; `--quick`: one, Pillow's nearest alone for the backdoor, and fewer pictures. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from common import arguments, finish
from numpy import ndarray
from sklearn.datasets import load_sample_images

from toadstone import Data, load, split
from toadstone.attacks.data.scaling import ImageScaling
from toadstone.defenses.data.scaling_detection import ScalingDetection
from toadstone.defenses.inference.scaling_filter import ScalingFilter
from toadstone.evaluation.cost import ssim
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import accuracy, auroc, detection
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train
from toadstone.training.resized import Resized
from toadstone.triggers import Patch
from toadstone.triggers.camouflage import hide
from toadstone.triggers.scalers import Scaler

KERNELS = [
    *[("pillow", kernel, False) for kernel in ("nearest", "box", "bilinear", "bicubic", "lanczos")],
    *[("opencv", kernel, False) for kernel in ("nearest", "linear", "cubic", "area", "lanczos4")],
    *[("torch", kernel, False) for kernel in ("nearest", "bilinear", "bicubic", "area")],
    *[("torch", kernel, True) for kernel in ("bilinear", "bicubic")],
]
METHODS = ("prevention", "scaling", "filter", "spectrum")
TRIGGER = Patch(size=4, shape="checkerboard")


def faces() -> Data:
    """The Yale faces that differ, 240 x 320."""
    data = load("yale-faces")
    first = np.unique(data.meta["group"], return_index=True)[1]
    return Data(data.x[np.sort(first), :240], data.y[np.sort(first)], data.classes)


def pieces() -> ndarray:
    """30 pieces of two photographs that do not overlap, 128 x 128 in colour."""
    spots = [(a, b) for a in (0, 128, 256) for b in (0, 128, 256, 384, 512)]
    return np.stack([image[a : a + 128, b : b + 128] for image in load_sample_images().images for a, b in spots])


def gap(a: ndarray, b: ndarray) -> float:
    """Mean absolute difference, grey levels."""
    return float(np.abs(a.astype(float) - b).mean())


def another(small: ndarray) -> ndarray:
    """For each picture one from the other half of the set."""
    return np.roll(small, len(small) // 2, 0)


def triggered(small: ndarray) -> ndarray:
    """The pictures with the trigger."""
    return TRIGGER(small, seed=0)


def hiding(pictures: ndarray, size: tuple[int, int], change: Callable, prefix: str = "") -> dict[str, float]:
    """How well what ``change`` makes of the resized pictures can be hidden from each kernel's resize."""
    figures, eye = {}, Scaler("pillow", "box", *size)
    for name, scale in scalers(*size):
        small = scale(pictures)
        target = change(small)
        disguised = hide(pictures, target, scale)
        figures[f"{prefix}mae_{name}"] = gap(scale(disguised), target)
        figures[f"{prefix}ssim_{name}"] = float(ssim(disguised, pictures).mean())
        figures[f"{prefix}seen_{name}"] = gap(eye(disguised), eye(pictures)) / gap(target, small)
    return figures


def scalers(height: int, width: int) -> list[tuple[str, Scaler]]:
    """All kernels, by name."""
    return [
        (f"{library}_{kernel}" + "_antialias" * antialias, Scaler(library, kernel, height, width, antialias))
        for library, kernel, antialias in KERNELS
    ]


def detect(data: Data, seed: int) -> dict[str, float]:
    """Each method on 50 photographs and on attacks made of them, p-values from the others."""
    order = np.random.default_rng(seed).permutation(len(data))
    photographs, trusted = data.take(order[:50]), data.take(order[50:])
    rates: dict[str, list[float]] = {}
    for scaler in (Scaler("pillow", "nearest", 30, 40), Scaler("torch", "bilinear", 30, 40)):
        small = scaler(photographs.x)
        for what, target in (("", another(small)), ("trigger_", triggered(small))):
            attacked = Data(hide(photographs.x, target, scaler), photographs.y, photographs.classes)
            truth = np.repeat([False, True], len(photographs))
            for method in METHODS:
                scores = judge(
                    ScalingDetection(scaler, method), None, photographs.append(attacked), clean=trusted, seed=0
                )
                right = detection(scores.pvalues <= 0.01, truth)
                figures = {"auroc": auroc(scores.values, truth), "tpr": right.tpr.value}
                figures |= {} if what else {"fpr": right.fpr.value}
                for figure, value in figures.items():
                    rates.setdefault(f"{what}{figure}_{method}", []).append(value)
    return {name: float(np.mean(values)) for name, values in rates.items()}


def crops(data: Data, count: int, seed: int) -> Data:
    """``count`` crops of 216 x 288 of each photograph."""
    draw = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(data)), count)
    spots = zip(draw.integers(0, 25, len(rows)), draw.integers(0, 33, len(rows)), strict=True)
    x = np.stack([data.x[i, a : a + 216, b : b + 288] for i, (a, b) in zip(rows, spots, strict=True)])
    return Data(x, data.y[rows], data.classes)


def backdoor(data: Data, scaler: Scaler, seed: int) -> dict[str, float]:
    """Clean accuracy and attack success rate of victims with and without prevention, and of the clean twin."""
    parts = split(data, test=1 / 3, clean=1, seed=seed)
    train, test = crops(parts.train, 8, seed), crops(parts.test, 2, seed)
    poison = ImageScaling(TRIGGER, scaler).poison(train, seed=seed)
    trainer = Train(SmallCNN(width=8, hidden=128), epochs=40, optimizer=Adam(2e-3), batch_size=32)
    dirty, trials, figures = poison.apply(train), poison.goal.trials(test), {}
    for victim, resize, purifier, rows in (
        ("", scaler, None, dirty),
        ("_median", scaler, ScalingFilter(scaler), dirty),
        ("_random", scaler, ScalingFilter(scaler, "random"), dirty),
        ("_box", Scaler("pillow", "box", scaler.height, scaler.width), None, dirty),
        ("_twin", scaler, None, train),
    ):
        model = Resized(trainer, resize, purifier).fit(rows, seed=seed)
        figures[f"clean_accuracy_{scaler.kernel}{victim}"] = accuracy(model, test).value
        figures[f"asr_{scaler.kernel}{victim}"] = accuracy(model, trials).value
    return figures


def main() -> None:
    options = arguments(__doc__)
    data, photographs = faces(), pieces()
    few = data.x[:: 8 if options.quick else 2]
    figures = hiding(few, (30, 40), another) | hiding(photographs, (32, 32), another, "ratio4_")
    figures |= hiding(few, (15, 20), another, "ratio16_")
    figures |= hiding(few[::2], (30, 40), triggered, "trigger_")
    seeds, runs = range(1 if options.quick else 3), []
    for seed in seeds:
        rates = detect(data, seed) | backdoor(data, Scaler("pillow", "nearest", 27, 36), seed)
        if not options.quick:
            rates |= backdoor(data, Scaler("torch", "bilinear", 27, 36), seed)
        runs.append(rates)
    figures |= {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    figures["detection_auroc"] = figures["auroc_prevention"]
    finish({**figures, "seeds": len(seeds), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
