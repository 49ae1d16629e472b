"""Fine-pruning: what sleeps on clean rows goes first

The channels of the last convolution are pruned in order of their activation on clean digits. Accuracy on clean digits
falls slowly at first, since the first channels to go are those that clean digits hardly use. Pruning alone leaves the
backdoor in place here, as it shares channels with the digits. The triangles are after the whole method, which stops
pruning at 1 point of accuracy and trains the rest on 300 clean rows: accuracy is back, the backdoor all but gone.
(Liu, Dolan-Gavitt & Garg, RAID 2018, arXiv:1805.12185)
"""

import copy
from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks import Backdoor
from toadstone.defenses import FinePruning
from toadstone.defenses.model.fine_pruning import prune_order, silence
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

LAYER = "features.3"  # the second convolution of SmallCNN


def figure(quick: bool = False) -> alt.Chart:
    """Accuracy and attack success over the share of pruned channels; triangles: after fine-pruning."""
    splits = split(load("digits"), test=400, clean=300)
    trainer = Train(SmallCNN(hidden=128), epochs=5 if quick else 30, optimizer=Adam(3e-3), batch_size=32)
    poison = Backdoor(Patch(size=2), target=7, rate=0.1).poison(splits.train, seed=0)
    model = trainer.fit(poison.apply(splits.train), seed=0)
    activations, _ = model.tap(model.encode(splits.clean.x), LAYER)
    order = prune_order(activations.detach().clamp(min=0).mean((2, 3)).numpy())
    points = []

    def measure(share: float, stage: str, measured: object) -> None:
        for name, rate in (
            ("accuracy on clean digits", accuracy(measured, splits.test)),
            ("attack success rate", poison.goal.success(measured, splits.test)),
        ):
            points.append({"pruned": share, "stage": stage, "figure": name, "value": rate.value})

    for count in range(0, len(order) + 1, 8 if quick else 1):
        pruned = replace(model, net=copy.deepcopy(model.net))
        silence(pruned.net, LAYER, order[:count])
        measure(count / len(order), "pruned", pruned)
    mended = (FinePruning(steps=20) if quick else FinePruning(lr=0.01)).repair(model, splits.clean, seed=0).model
    gone = float(np.mean([not w.any() for w in mended.net.get_submodule(LAYER).weight]))
    measure(gone, "fine-pruned", mended)
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("pruned:Q", title="share of the last convolution's channels pruned", axis=alt.Axis(format="%")),
        y=alt.Y("value:Q", title=None, axis=alt.Axis(format="%")),
        color=alt.Color("figure:N", title=None, scale=alt.Scale(range=["#0072B2", "#D55E00"])),
    )
    curve = base.transform_filter(alt.datum.stage == "pruned").mark_line()
    end = base.transform_filter(alt.datum.stage == "fine-pruned").mark_point(size=160, filled=True, shape="triangle")
    return (curve + end).properties(width=460, height=240)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_fine_pruning.svg")
