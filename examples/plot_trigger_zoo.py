"""Triggers: what a backdoor looks for

One picture under each trigger, and below it what was changed: grey is not a change, and the greatest change of that
picture is drawn in full. A patch changes nine pixels by all they can be changed, a blend every pixel by a little, the
warp of WaNet the places with edges. The adaptive attacks train on less than they show at the test: a random half of
the pieces of a fainter blend, one faint patch of four instead of two in full. The picture is a traffic sign where
`TOADSTONE_DATA` points to GTSRB, else a digit. (Patch: arXiv:1708.06733. Blend, accessory: arXiv:1712.05526. Dynamic:
arXiv:2003.03675. Sinusoid: Barni, Kallas & Tondi, ICIP 2019, arXiv:1902.11237. Warp: Nguyen & Tran, ICLR 2021,
arXiv:2102.10369. Adaptive: Qi, Xie, Li, Mahloujifar & Mittal, ICLR 2023)
"""

import os
from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from toadstone import Data, load
from toadstone.attacks import AdaptiveBlend, AdaptivePatch
from toadstone.report.pictures import thumbnail
from toadstone.triggers import Accessory, Blend, Dynamic, Patch, Sinusoid, Warp


def picture(quick: bool) -> np.ndarray:
    """A stop sign of 32 x 32 pixels, or a digit at four times its size, (h, w, 3)."""
    if os.environ.get("TOADSTONE_DATA") and not quick:
        return np.asarray(load("gtsrb").x[7559])
    return np.repeat(load("digits").x[3].repeat(4, 0).repeat(4, 1)[..., None], 3, 2)


def changed(clean: np.ndarray) -> dict[str, np.ndarray]:
    """The picture under each trigger."""
    flower = Image.fromarray(load_sample_image("flower.jpg")).crop((180, 0, 607, 427)).resize((32, 32))
    blend = Blend(0.2, np.asarray(flower))
    triggers = {
        "clean": lambda x, seed: x,
        "patch": Patch(),
        "checkerboard": Patch(shape="checkerboard"),
        "dynamic": Dynamic(Patch()),
        "accessory": Accessory(),
        "blend": blend,
        "sinusoid": Sinusoid(),
        "warp": Warp(),
    }
    found = {name: trigger(clean[None], seed=2)[0] for name, trigger in triggers.items()}
    pair = Data(np.stack([clean, clean]), np.array([0, 1]), ("target", "other"))
    for kind, attack in (("blend", AdaptiveBlend(blend, rate=0.5)), ("patch", AdaptivePatch(rate=0.5))):
        poison = replace(attack, cover_rate=0).poison(pair, seed=0)
        found |= {f"adaptive {kind}, train": poison.x[0], f"adaptive {kind}, test": poison.goal.trials(pair).x[0]}
    return found


def figure(quick: bool = False) -> alt.FacetChart:
    """The pictures above, the changes below, six triggers a line."""
    clean, rows = picture(quick), []
    for i, (name, x) in enumerate(changed(clean).items()):
        gap = x.astype(float) - clean
        change = np.uint8(127.5 + 127.5 * gap / max(abs(gap).max(), 1))
        for shown, image in (("input", x), ("change", change)):
            url = thumbnail(image.repeat(4, 0).repeat(4, 1), 128)  # or the browser would blur its pixels
            rows.append({"line": i // 6, "trigger": name, "shown": shown, "url": url})
    quiet = {"domain": False, "ticks": False}
    label = alt.Axis(orient="top", labelAngle=0, labelLimit=0, **quiet)
    chart = alt.Chart(alt.Data(values=rows)).mark_image(width=104, height=104)
    x = alt.X("trigger:N", title=None, sort=None, axis=label)
    y = alt.Y("shown:N", title=None, sort=None, axis=alt.Axis(**quiet))
    lines = chart.encode(x, y, url="url:N").properties(width=alt.Step(110), height=alt.Step(110))
    lines = lines.facet(row=alt.Row("line:N", title=None, header=None)).resolve_scale(x="independent")
    return lines.configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_trigger_zoo.svg")
