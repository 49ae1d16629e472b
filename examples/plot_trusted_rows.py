"""How few trusted rows are too few

A set of 5,000 rows, a twentieth of them poisoned, judged at a false-discovery rate of 5%: the share of poison that is
found against the number of trusted rows, by how well the detector ranks (its AUROC). No p-value can be smaller than
one in the number of trusted rows and one; left of the dashed line none can be small enough, and even a perfect
detector finds nothing. There the verdict is "undecidable", not "nothing found". `toadstone plan` answers the same
question for other numbers. Simulated, mean of 40 sets.
"""

from pathlib import Path

import altair as alt

from toadstone.evaluation.planning import Plan


def figure(quick: bool = False) -> alt.Chart:
    """Recall by trusted rows, a line a detector."""
    plan = Plan(5_000, 0.05, 0.05, runs=2 if quick else 40)
    trusted = [round(plan.least * times) for times in (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6)]
    rows = [
        {"trusted rows": n, "share found": round(plan.recall(n, auroc).mean, 4), "AUROC": f"{auroc:g}"}
        for n in trusted
        for auroc in (0.9, 0.99, 0.999, 0.99999)
    ]
    lines = alt.Chart(alt.Data(values=rows)).mark_line(point=True)
    lines = lines.encode(
        x=alt.X("trusted rows:Q"),
        y=alt.Y("share found:Q", title="share of poison found", axis=alt.Axis(format="%")),
        color=alt.Color("AUROC:N", title="detector's AUROC", sort="descending"),
    )
    least = alt.Chart(alt.Data(values=[{"trusted rows": plan.least}])).mark_rule(strokeDash=[4, 4])
    least = least.encode(x="trusted rows:Q")
    return (lines + least).properties(width=460, height=240).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_trusted_rows.svg")
