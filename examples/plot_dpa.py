"""Deep Partition Aggregation

A hash of each training row says which of k models it goes to; the models vote. Whoever adds, removes or relabels a
row reaches one model, so the lead of the winning class says how many rows it would take at the least to change a
prediction, whatever is done to them. Here each model is the nearest neighbour among its rows; the curves are the
share of test digits that are certain to stay right. More partitions carry the proof farther, and make each model
worse. (Levine & Feizi, ICLR 2021, arXiv:2006.14768)"""

from pathlib import Path

import altair as alt

from toadstone import load, split
from toadstone.certificates.partition import certified_accuracy, median_radius
from toadstone.defenses.training.partition_aggregation import PartitionAggregation
from toadstone.training import Fit

NEAREST = Fit("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 1})
PARTITIONS = {10: "#0072B2", 30: "#009E73", 90: "#D55E00"}


def figure(quick: bool = False) -> alt.Chart:
    """Certified accuracy by the number of rows that the attacker changes, one curve a number of partitions."""
    parts = split(load("digits"), test=200 if quick else 500, clean=10, seed=0)
    rows = []
    names = []
    for k in PARTITIONS:
        model = PartitionAggregation(NEAREST, k).fit(parts.train, seed=0)
        curve = certified_accuracy(model.votes(parts.test.x), parts.test.y)
        names.append(f"{k} partitions: {curve[0]:.0%} right, half certain up to {median_radius(curve)} rows")
        rows += [{"rows": r, "share": share, "k": names[-1]} for r, share in enumerate(curve.tolist())]
    lines = alt.Chart(alt.Data(values=rows), width=460, height=260).mark_line(interpolate="step-after", strokeWidth=2)
    lines = lines.encode(
        x=alt.X("rows:Q", title="training rows added, removed or relabelled"),
        y=alt.Y("share:Q", title="test rows certain to be right", axis=alt.Axis(format="%")),
        color=alt.Color(
            "k:N",
            scale=alt.Scale(domain=names, range=list(PARTITIONS.values())),
            legend=alt.Legend(title=None, orient="bottom", columns=1, labelLimit=460, symbolStrokeWidth=4),
        ),
    )
    return lines.configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_dpa.svg")
