"""`audit_model` on infected and clean nets: infected ones found, false alarms, AUROC beside Neural Cleanse's index.

Nets of two designs (a small CNN, an MLP) learn 6,000 rows of MNIST, every second one with one of six triggers:
patches of 1%, 3% and 8% of the image, a checkerboard of 2%, a cross, and noise blended into the whole image. The
audit gets 1,000 other rows. It was tuned on nets of Fashion-MNIST and of the 8x8 digits. The score of a net
is its greatest index over the classes; Neural Cleanse's is its greatest anomaly index (of the norms, as published;
of log norms, as in this library), on the same nets and rows. Trained nets and finished lines are kept in build/, so
that a run cut short goes on where it was. `--quick`: one pair of each design; scikit-learn's digits where
`TOADSTONE_DATA` is not set. `--resnet` adds pairs of a small PreActResNet.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Remember, finish, options

from toadstone import Data, load, split
from toadstone.attacks import Backdoor
from toadstone.audit.model import audit_model
from toadstone.core import Rate
from toadstone.defenses.model.neural_cleanse import NeuralCleanse, anomaly_index
from toadstone.evaluation.rates import accuracy, auroc
from toadstone.models import MLP, PreActResNet, SmallCNN
from toadstone.rng import child
from toadstone.training import Adam, Train
from toadstone.triggers import Blend, Patch
from toadstone.whitebox.reverse import reverse

FOLDER = Path("build/audit_model")
TRIGGERS = {
    "patch 3x3": Patch(3),
    "blend .2": Blend(0.2),
    "patch 8x8": Patch(8, "top-left"),
    "checkerboard 4x4": Patch(4, "top-right", shape="checkerboard", margin=1),
    "patch 5x5": Patch(5, "bottom-left", margin=2),
    "cross 5x5": Patch(5, "bottom-right", shape="cross", margin=1),
}
TINY = {"patch 2x2": Patch(2), "blend .3": Blend(0.3), "checkerboard 3x3": Patch(3, shape="checkerboard")}
NETS = {
    "cnn": Train(SmallCNN(8, 128), epochs=4, optimizer=Adam(3e-3), batch_size=64),
    "mlp": Train(MLP((128, 64)), epochs=6, batch_size=64),
    "resnet": Train(PreActResNet(8, (1, 1, 1)), epochs=3, optimizer=Adam(5e-3), batch_size=64),
}


def example(design: str, trigger: Any, seed: int, mnist: bool) -> tuple[Any, Data, Data, int]:
    """(net, trusted rows, test rows, target)."""
    sizes = {"clean": 1000, "test": 1000, "train": 6000} if mnist else {"clean": 500, "test": 300}
    splits = split(load("mnist" if mnist else "digits"), **sizes, seed=seed)
    data, target = splits.train, child(seed, "target") % 10
    if trigger is not None:
        data = Backdoor(trigger, target, 0.1).poison(data, seed=child(seed, "attack")).apply(data)
    trainer = NETS[design] if mnist else Train(NETS[design].net, epochs=25, optimizer=Adam(3e-3), batch_size=32)
    net = Remember(trainer, FOLDER / "nets").fit(data, seed=child(seed, "train"))
    return net, splits.clean, splits.test, target


def line(design: str, name: str, seed: int, mnist: bool) -> dict[str, Any]:
    """All figures of one net, saved in a file of their own; ``name`` is empty for a clean net."""
    trigger = {**TRIGGERS, **TINY}.get(name)
    settings = repr((design, trigger, seed, mnist, NETS[design]))
    place = FOLDER / "lines" / f"{hashlib.sha256(settings.encode()).hexdigest()[:16]}.json"
    if place.exists():
        return dict(json.loads(place.read_text()))
    start = time.process_time()
    model, clean, test, target = example(design, trigger, seed, mnist)
    training, start = time.process_time() - start, time.process_time()
    report = audit_model(model, clean, seed=seed)
    seconds, start = time.process_time() - start, time.process_time()
    norms = reverse(model, clean, np.arange(10), NeuralCleanse().kind(), seed=seed).size
    others = test.take(test.y != target)
    figures = {
        "net": f"{design} {seed}",
        "trigger": name or "clean",
        "target": target if name else None,
        "accuracy": accuracy(model, test).value,
        "success": float((model.logits(trigger(others.x, seed=0)).argmax(1) == target).mean()) if name else None,
        "verdict": report.audit.verdict,
        "accused": list(report.accused),
        "index": float(np.max(report.evidence["index"])) if report.evidence else None,
        "pvalue": float(np.min(report.evidence["pvalue"])) if report.evidence else None,
        "plain_index": float(anomaly_index(norms).max()),
        "log_index": float(anomaly_index(np.log(norms)).max()),
        "seconds": seconds,
        "seconds_neural_cleanse": time.process_time() - start,
        "seconds_training": training,
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    whole = place.with_suffix(f".{os.getpid()}")
    whole.write_text(json.dumps(figures))
    whole.replace(place)
    return figures


def rate(hits: int, n: int) -> list[float]:
    interval = Rate.of(hits, n)
    return [round(v, 3) for v in (interval.value, interval.low, interval.high)]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=6, help="pairs of an infected and a clean net for each design")
    parser.add_argument("--resnet", action="store_true", help="add pairs of a small PreActResNet")
    args = parser.parse_args()
    torch.set_num_threads(1)
    mnist = bool(os.environ.get("TOADSTONE_DATA"))
    names = list(TRIGGERS if mnist else TINY)
    designs = ["cnn", "mlp", *(["resnet"] if args.resnet else [])]
    pairs = [(d, i, s) for d in range(len(designs)) for i in range(1 if args.quick else args.seeds) for s in (0, 1)]
    lines = []
    for d, i, clean in pairs:
        # each net has rows and weights of its own, and each design starts with another trigger
        name = "" if clean else names[(i + 2 * d) % len(names)]
        lines.append(line(designs[d], name, 100 + 1000 * d + 2 * i + clean, mnist))
        print(
            " ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in lines[-1].items()), flush=True
        )
    infected = [one for one in lines if one["trigger"] != "clean"]
    clean_ones = [one for one in lines if one["trigger"] == "clean"]
    truth = np.array([one["trigger"] != "clean" for one in lines])
    figures: dict[str, Any] = {
        "infected_found": rate(sum(one["verdict"] == "findings" for one in infected), len(infected)),
        "right_class_alone": rate(sum(one["accused"] == [one["target"]] for one in infected), len(infected)),
        "clean_accused": rate(sum(one["verdict"] == "findings" for one in clean_ones), len(clean_ones)),
        "undecided": sum(one["verdict"] == "undecided" for one in lines),
        "infected": len(infected),
        "clean": len(clean_ones),
        "data": "mnist" if mnist else "digits",
    }
    for score in ("index", "plain_index", "log_index"):
        values = np.array([-np.inf if one[score] is None else one[score] for one in lines])
        figures[f"auroc_{score}"] = auroc(values, truth)
    for name in ("seconds", "seconds_neural_cleanse", "seconds_training"):
        figures[name] = float(np.mean([one[name] for one in lines]))
    above = [one["plain_index"] > 2 for one in lines]
    figures["plain_index_above_2"] = {
        "infected": rate(int(np.sum(truth & above)), len(infected)),
        "clean": rate(int(np.sum(~truth & above)), len(clean_ones)),
    }
    finish(figures, args.json)


if __name__ == "__main__":
    main()
