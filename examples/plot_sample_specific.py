"""Sample-specific triggers: a code hidden in each image in its own way

An encoder net hides one and the same string of bits in every poisoned image; another net, trained with it, can read
the bits back. The change (enlarged tenfold, grey where nothing changed) is spread over the image and differs from
image to image, so that no fixed pattern is there to be found; all that the images have in common is the code, and
that is what a victim learns to take for the target class. Traffic signs appear when `TOADSTONE_DATA` points to GTSRB,
digits otherwise.
(Li, Li, Wu, Li, He & Lyu, ICCV 2021, arXiv:2012.03816)
"""

import os
from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks.data.sample_specific import SampleSpecific
from toadstone.evaluation.cost import attack_cost
from toadstone.models.nets import SmallCNN
from toadstone.report.pictures import thumbnail
from toadstone.training import Adam, Train

ROWS = ["original", "poisoned", "change x 10"]


def figure(quick: bool = False) -> alt.Chart:
    """Six poisoned images, what they were, and what was changed."""
    signs = not quick and bool(os.environ.get("TOADSTONE_DATA"))
    train = split(load("gtsrb" if signs else "digits"), **({"train": 3000} if signs else {}), clean=100).train
    trainer = Train(
        SmallCNN(hidden=128), epochs=2 if quick else 4 if signs else 30, optimizer=Adam(3e-3), batch_size=32
    )
    attack = SampleSpecific(target=7, bits=16 if signs else 4, psnr=30.0 if signs else 20.0, trainer=trainer)
    poison = attack.poison(train, seed=0)
    chosen = np.linspace(0, len(poison.index) - 1, 6).astype(int)
    cells = []
    for column, row in enumerate(chosen):
        clean, changed = train.x[poison.index[row]], poison.x[row]
        change = np.clip(127.5 + 10.0 * (changed.astype(float) - clean), 0, 255).astype(np.uint8)
        for name, image in zip(ROWS, (clean, changed, change), strict=True):
            url = thumbnail(image.repeat(8, 0).repeat(8, 1), 256)  # or the browser would blur its pixels
            cells.append({"row": name, "column": column, "url": url})
    quiet = {"domain": False, "ticks": False}
    return (
        alt.Chart(alt.Data(values=cells))
        .mark_image(width=100, height=100)
        .encode(
            x=alt.X("column:O", title=None, axis=None),
            y=alt.Y("row:N", title=None, sort=ROWS, axis=alt.Axis(**quiet)),
            url="url:N",
        )
        .properties(
            width=alt.Step(106),
            height=alt.Step(106),
            title=f"PSNR of the poisoned rows: {attack_cost(train, poison).psnr:.1f} dB",
        )
        .configure_view(stroke=None)
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_sample_specific.svg")
