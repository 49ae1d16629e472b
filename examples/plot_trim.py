"""TRIM on a line

Sixty rows near a line and twelve that were added to raise the error of a ridge regression; they lie on top of each
other in two corners. The fit to all rows is far off; TRIM fits, keeps the rows of the least residuals, and fits again
until the set is stable, and finds the line of the clean rows. It is told the share of rows to leave out at most, not
which. (Jagielski, Oprea, Biggio, Liu, Nita-Rotaru & Li, IEEE S&P 2018, arXiv:1804.00308)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data
from toadstone.attacks.data.regression_poisoning import RegressionPoisoning
from toadstone.defenses.training.trim import Trim
from toadstone.training.linear_regression import FitRegression

RIDGE = FitRegression("sklearn.linear_model.Ridge", {"alpha": 0.1})


def line(n: int, seed: int) -> Data:
    draw = np.random.default_rng(seed)
    x = draw.uniform(0, 1, n)
    return Data(x[:, None], 0.2 + 0.6 * x + 0.08 * draw.normal(size=n), ())


def figure(quick: bool = False) -> alt.Chart:
    """The rows, and three fits."""
    train, test = line(60, 0), line(500, 1)
    poison = RegressionPoisoning(1 / 6, alpha=0.1, start="boundary").craft(train, line(60, 2), seed=0)
    dirty = poison.apply(train)
    trim = Trim(1 / 6, RIDGE, 3 if quick else 10)
    kept = np.isin(np.arange(len(dirty)), trim.kept(dirty, seed=0))
    fits = {
        "clean rows": RIDGE.fit(train, seed=0),
        "all rows": RIDGE.fit(dirty, seed=0),
        "TRIM": trim.fit(dirty, seed=0),
    }
    rows = [
        {"x": float(x), "y": float(y), "row": kind, "TRIM": "kept" if k else "left out"}
        for x, y, kind, k in zip(
            dirty.x[:, 0], dirty.y, np.where(poison.mask(60), "poison", "clean"), kept, strict=True
        )
    ]
    dots = alt.Chart(alt.Data(values=rows)).mark_point(size=60, strokeWidth=1.5)
    dots = dots.encode(
        x=alt.X("x:Q", title="x"),
        y=alt.Y("y:Q", title="y"),
        color=alt.Color("row:N", title="row", scale=alt.Scale(range=["#56B4E9", "#D55E00"])),
        shape=alt.Shape("TRIM:N", scale=alt.Scale(domain=["kept", "left out"], range=["circle", "cross"])),
    )
    ends, values = np.array([[0.0], [1.0]]), []
    for name, model in fits.items():
        error = float(((model.predict(test.x) - test.y) ** 2).mean())
        legend = f"{name}: test error {error:.4f}"
        values += [{"x": x, "y": float(y), "fit": legend} for x, y in zip((0, 1), model.predict(ends), strict=True)]
    names = list(dict.fromkeys(v["fit"] for v in values))
    colours = alt.Scale(domain=names, range=["black", "#D55E00", "#009E73"])
    fitted = alt.Chart(alt.Data(values=values)).encode(
        x="x:Q", y="y:Q", stroke=alt.Stroke("fit:N", scale=colours, title="fit to", sort=names)
    )
    clean = alt.datum.fit == names[0]
    lines = fitted.transform_filter(~clean).mark_line(strokeWidth=4)
    dashed = fitted.transform_filter(clean).mark_line(strokeWidth=1.5, strokeDash=[6, 4])
    chart = (lines + dashed + dots).resolve_scale(color="independent", shape="independent")
    return chart.properties(width=440, height=320)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_trim.svg")
