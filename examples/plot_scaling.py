"""Image scaling: a flower in a temple's clothing

Most models see a picture only after it has been resized, and many resizes read few of its pixels. An attacker who
rewrites those decides what the model sees; everybody else sees the picture as it was. Each line is one picture of
424 x 640 pixels: as it looks, then what four pipelines make of it at an eighth of the size. Made for nearest, the
flower is there for nearest, and a ghost of it for bilinear; made for bilinear, it is there for both. A resize that
reads every pixel can be attacked too, but then the flower is in plain sight. A median filter over the pixels that the
resize reads brings the temple back.
(Xiao et al., USENIX Security 2019; Quiring et al., USENIX Security 2020)
"""

from pathlib import Path

import altair as alt
from sklearn.datasets import load_sample_images

from toadstone.defenses.inference.scaling_filter import ScalingFilter
from toadstone.report.pictures import thumbnail
from toadstone.triggers.camouflage import hide
from toadstone.triggers.scalers import Scaler


def figure(quick: bool = False) -> alt.Chart:
    """Attacks on three resizes, seen by the eye and by each resize."""
    side = 2 if quick else 1
    temple, flower = (image[None, : 424 // side, : 640 // side] for image in load_sample_images().images)
    size = (temple.shape[1] // 8, temple.shape[2] // 8)
    nearest, bilinear = Scaler("pillow", "nearest", *size), Scaler("torch", "bilinear", *size)
    box = Scaler("pillow", "box", *size)
    pictures = {
        "clean": temple,
        "made for nearest": hide(temple, box(flower), nearest),
        "made for bilinear": hide(temple, box(flower), bilinear),
        "made for box": hide(temple, box(flower), box),
    }
    median = ScalingFilter(nearest)
    pipelines = {
        "as it looks": Scaler("pillow", "box", 2 * size[0], 2 * size[1]),
        "nearest, reads 1 of 64": nearest,
        "bilinear, reads 4 of 64": bilinear,
        "box, reads all": box,
        "median filter, nearest": lambda x: nearest(median.purify(x, seed=0)),
    }
    rows = []
    for name, picture in pictures.items():
        for pipeline, view in pipelines.items():
            seen = view(picture)[0]
            seen = seen.repeat(2 * size[0] // len(seen), 0).repeat(2 * size[0] // len(seen), 1)
            rows.append({"picture": name, "pipeline": pipeline, "url": thumbnail(seen, seen.shape[1], 96)})
    quiet = {"domain": False, "ticks": False, "labelLimit": 0}
    chart = alt.Chart(alt.Data(values=rows)).mark_image(width=150, height=100)
    chart = chart.encode(
        x=alt.X("pipeline:N", title=None, sort=None, axis=alt.Axis(orient="top", labelAngle=0, **quiet)),
        y=alt.Y("picture:N", title=None, sort=None, axis=alt.Axis(**quiet)),
        url="url:N",
    )
    return chart.properties(width=alt.Step(156), height=alt.Step(106)).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_scaling.svg")
