"""Poison Frogs: one row, truly labelled, that carries an image across

A published net gets a new last layer. One training row is changed until its features are the target's, while it looks
like itself and keeps its true label; a layer fitted with it puts that place on the poison's side. Above, the images;
below, each row's distance to the boundary, fitted without and with the poison (up: the largest principal component
along it). CIFAR-10 where TOADSTONE_DATA is set, else digits, whose 64 pixels leave little room to hide anything.
(Shafahi et al., NeurIPS 2018, arXiv:1804.00792)
"""

import os
from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, load
from toadstone.attacks.data.feature_collision import FeatureCollision
from toadstone.models import TorchModel
from toadstone.models.nets import MLP, SmallCNN
from toadstone.report.pictures import enlarged
from toadstone.training import SGD, Adam, Train
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer


def space(title: str, model: TorchModel, rows: Data, marked: dict[str, np.ndarray]) -> alt.LayerChart:
    """Distance to the boundary and the main direction along it, for the rows and the marked images."""
    way, shift = (np.diff(p.detach().numpy(), axis=0)[0] for p in (model.net.head.weight, model.net.head.bias))
    norm, found = np.linalg.norm(way), model.features(rows.x)
    flat = found - found.mean(0)
    along = np.linalg.svd(flat - np.outer(flat @ way, way) / norm**2, full_matrices=False)[2][0]
    parts = {rows.classes[c]: found[rows.y == c] for c in (0, 1)}
    parts |= {name: model.features(x[None]) for name, x in marked.items()}
    points = []
    for (name, some), size in zip(parts.items(), (14, 14, 220, 70), strict=True):
        places = np.stack([some @ way / norm + shift / norm, some @ along], 1).round(4).tolist()
        points += [{"what": name, "x": x, "y": y, "size": size} for x, y in places]
    scale = alt.Scale(domain=[*parts], range=["#56B4E9", "#E6B450", "#000", "#D55E00"])
    axes = alt.X("x:Q", title="distance to the boundary"), alt.Y("y:Q", title="along it")
    colour = alt.Color("what:N", scale=scale, title=None).legend(orient="bottom")
    dots = alt.Chart(alt.Data(values=points)).mark_point(filled=True, opacity=0.9)
    dots = dots.encode(*axes, color=colour, size=alt.Size("size:Q", scale=None))
    wall = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(strokeDash=[4, 4]).encode(x="x:Q")
    return alt.layer(wall, dots).properties(title=title, width=280, height=220)


def figure(quick: bool = False) -> alt.Chart:
    real = bool(os.environ.get("TOADSTONE_DATA")) and not quick
    name, pair, net = ("cifar10", (6, 8), SmallCNN(8, 1024)) if real else ("digits", (0, 1), MLP((48,)))
    trainer = Train(net, 2, SGD(0.02), 64) if real else Train(net, 6, Adam(3e-3), 32)
    victim = Transfer(Pretrained(trainer, name, tuple({*range(10)} - {*pair})), l2=1e-6)
    data = load(name)
    index, k = np.flatnonzero(np.isin(data.y, pair)), 400 if real else 60
    every = Data(data.x[index], (data.y[index] == pair[1]).astype(int), tuple(data.classes[c] for c in pair))
    rows, held = every.take(np.arange(k)), every.take(np.arange(k, k + 100))
    clean = victim.fit(rows, seed=0)
    image = held.x[np.flatnonzero((held.y == 0) & (clean.probs(held.x)[:, 0] > 0.9))[5]]
    poison = FeatureCollision(image, 1, victim, beta=1.5 if real else 0.01, steps=400).poison(rows, seed=0)
    base, changed, dirty = rows.x[poison.index[0]], poison.x[0], poison.apply(rows)
    named = {"target, a": (0, image), "base, a": (1, base), "poison, a": (1, changed)}
    shown = [{"of": f"{what} {every.classes[c]}", "url": enlarged(x, 160)} for what, (c, x) in named.items()]
    x = alt.X("of:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, domain=False, ticks=False))
    pictures = alt.Chart(alt.Data(values=shown)).mark_image(width=110, height=110)
    pictures = pictures.encode(x=x, y=alt.value(60), url="url:N")
    before = space("without the poison", clean, rows, {"target": image, "changed row": base})
    after = space("with the poison", victim.fit(dirty, seed=0), dirty, {"target": image, "changed row": changed})
    return alt.vconcat(pictures.properties(width=620, height=120), before | after)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_poison_frogs.svg")
