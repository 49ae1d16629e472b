"""How many malicious clients a server's rule bears

Of 21 clients who train on digits together, f send their updates turned round and four times as long. The lines are
the accuracy of the global model after 12 rounds in which all take part. The mean is lost at four. Krum and Multi-Krum
are told f and hold as far as their proof goes, 2f + 3 <= n, and refuse to be asked beyond it; Krum pays for it with
accuracy where nobody attacks. The other rules lose accuracy little by little, the geometric median all of it before
half of the clients are malicious.
(Blanchard, El Mhamdi, Guerraoui & Stainer, NeurIPS 2017, arXiv:1703.02757)
"""

from pathlib import Path

import altair as alt

from toadstone import defenses as d
from toadstone import load, split
from toadstone.attacks import SignFlip
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.federated import Federated
from toadstone.models import MLP

RULES = {
    "mean": (lambda f: d.Mean(), "#999999"),
    "coordinate median": (lambda f: d.CoordinateMedian(), "#0072B2"),
    "geometric median": (lambda f: d.GeometricMedian(), "#56B4E9"),
    "trimmed mean": (d.TrimmedMean, "#009E73"),
    "Krum": (d.Krum, "#E69F00"),
    "Multi-Krum": (d.MultiKrum, "#D55E00"),
}
CLIENTS = 21


def run(name: str, f: int, seed: int, rounds: int) -> float | None:
    """Accuracy after the last round; None where the rule refuses so large an f."""
    parts = split(load("digits"), test=400, clean=10, seed=seed)
    try:
        trainer = Federated(
            clients=CLIENTS,
            rounds=rounds,
            fraction=1.0,
            aggregator=RULES[name][0](f),
            attack=SignFlip(4.0) if f else None,
            malicious=f,
            net=MLP((32,)),
            epochs=2,
            momentum=0.9,
        )
        return accuracy(trainer.fit(parts.train, seed=seed), parts.test).value
    except ToadstoneError:
        return None


def figure(quick: bool = False) -> alt.Chart:
    """Accuracy by f, a line a rule, the mean of the seeds."""
    seeds, counts, rounds = (1, (0, 4, 8), 3) if quick else (3, range(0, 11), 12)
    rows = []
    for name in RULES:
        for f in counts:
            found = [run(name, f, seed, rounds) for seed in range(seeds)]
            if None not in found:
                rows.append({"rule": name, "f": f, "accuracy": sum(found) / seeds})
    colour = alt.Scale(domain=list(RULES), range=[c for _, c in RULES.values()])
    lines = alt.Chart(alt.Data(values=rows), width=460, height=260).mark_line(point=True, strokeWidth=2)
    return lines.encode(
        x=alt.X("f:Q", title=f"malicious clients of {CLIENTS}", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("rule:N", title=None, scale=colour),
    ).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_breakdown.svg")
