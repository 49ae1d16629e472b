"""A repair, a purifier and a monitor of somebody else's package stand in a grid beside the library's own."""

import json
import os
import subprocess
import sys

import pytest

from test_plugins import installed

MODULE = '''
"""Three defenses that the library has never heard of."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import median_filter

from toadstone.core import Mended
from toadstone.evaluation.calibration import calibrate
from toadstone.fields import Count, Share
from toadstone.registry import register
from toadstone.rng import child
from toadstone.training import Adam, Train


@register("repair", needs=("gradients", "two classes", "trusted rows"))
@dataclass(frozen=True)
class PlainFineTuning:
    """Trains a copy on the trusted rows. Nobody, Nowhere 2026."""

    epochs: Count = 5

    def repair(self, model, clean, *, evidence=None, seed):
        net = copy.deepcopy(model.net)
        Train(epochs=self.epochs, optimizer=Adam(1e-3)).optimise(net, clean, model.encode, child(seed, "tune"))
        return Mended(replace(model, net=net.eval()), {"epochs": self.epochs})


@register("purifier", needs=("images",))
@dataclass(frozen=True)
class MedianBlur:
    """The median of each pixel's neighbourhood. Nobody, Nowhere 2026."""

    width: Count = 3

    def purify(self, inputs, *, seed):
        x = np.asarray(inputs)
        return median_filter(x, (1, self.width, self.width) + (1,) * (x.ndim - 3))


@register("monitor", needs=("two classes", "trusted rows", "probs", "images"))
@dataclass(frozen=True)
class CornerMask:
    """How much the model's answer moves when a corner is made black. Nobody, Nowhere 2026."""

    share: Share = 0.3

    def watch(self, model, inputs, *, clean, seed):
        def moved(x):
            x = np.asarray(x).copy()
            before = model.probs(x)
            x[:, -max(1, round(self.share * x.shape[1])) :, -max(1, round(self.share * x.shape[2])) :] = 0
            return np.abs(model.probs(x) - before).sum(1)

        return calibrate(moved(inputs), moved(clean.x))
'''

SPEC = {
    "data": {"name_or_path": "digits"},
    "split": {"test": 300, "clean": 400},
    "experiment": {
        "attack": {"name": "backdoor", "trigger": {"name": "patch", "size": 2}, "target": 7},
        "trainer": {"name": "train", "net": {"name": "mlp", "hidden": [32]}, "epochs": 5},
        "defenses": [
            {"name": "strip", "blends": 20},
            {"name": "plain-fine-tuning", "epochs": 2},
            {"name": "median-blur"},
            {"name": "corner-mask"},
        ],
    },
}


@pytest.mark.slow
def test_defenses_of_a_strangers_package_are_scored_on_both_sides_without_an_edit(tmp_path):
    installed(tmp_path / "site", "strangers", "three", MODULE)
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path])}
    command = [sys.executable, "-m", "toadstone", "grid", "spec.json", "--seeds", "0", "-o", "grid", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = [json.loads(path.read_text())["cells"] for path in sorted((tmp_path / "grid").rglob("record.json"))]
    assert len(cells) == 1
    for run in cells:
        kinds = {(c["defense"], c["contract"], c["side"]) for c in run if c["status"] == "ok"}
        for name, contract in (
            ("plain-fine-tuning", "repair"),
            ("median-blur", "purifier"),
            ("corner-mask", "monitor"),
        ):
            assert {(name, contract, side) for side in ("poisoned", "clean_twin")} <= kinds
