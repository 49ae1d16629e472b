"""A trigger that no single client plants

Twenty clients share the embedded digits, ten take part in a round, and from round 10 to round 20, between the dashed
lines, four of them attack. Distributed: each marks 30% of its digits with one quarter of a square of 4 x 4 pixels and
calls them 7. Whole: each marks 30%, or, for as many changed pixels, 7.5%, with all of the square. The lines are the
share of test digits with the whole square that the model calls 7: means of five seeds, thin ones single seeds. All
attackers train as honest clients do, and nothing is boosted. With as many changed pixels the quarters plant more than
the whole, and are forgotten sooner; with as many rows the whole square wins. (Xie, Huang, Chen & Li, ICLR 2020,
OpenReview rkgyS0VFvr)
"""

from pathlib import Path

import altair as alt

from toadstone import load, split
from toadstone.attacks import Backdoor, DataPoisoning, DistributedBackdoor
from toadstone.federated import Federated
from toadstone.models import MLP
from toadstone.triggers import Distributed, Patch

SQUARE, EPOCHS, LR = Distributed(Patch(4), 4), 3, 0.1
ATTACKS = {
    "a quarter each, 30% of the rows": (DistributedBackdoor(SQUARE, 7, 0.3, epochs=EPOCHS, lr=LR), "#D55E00"),
    "the whole, 7.5% of the rows": (DataPoisoning(Backdoor(SQUARE, 7, 0.075)), "#0072B2"),
    "the whole, 30% of the rows": (DataPoisoning(Backdoor(SQUARE, 7, 0.3)), "#999999"),
}


def one_run(name: str, seed: int, rounds: int) -> list[dict[str, float | str]]:
    """Attack success by round."""
    parts = split(load("digits"), test=400, clean=10, seed=seed)
    game = Federated(
        clients=20,
        rounds=rounds,
        fraction=0.5,
        net=MLP((32,)),
        epochs=EPOCHS,
        lr=LR,
        attack=ATTACKS[name][0],
        malicious=4,
        attack_rounds=tuple(range(min(10, rounds - 1), min(20, rounds))),
    )
    run = game.simulate(parts.train, seed=seed, test=parts.test)
    return [{"round": r.number, "success": r.success.value, "what": name, "seed": seed} for r in run]


def figure(quick: bool = False) -> alt.Chart:
    """Three lines over the rounds."""
    seeds, rounds = (1, 3) if quick else (5, 35)
    rows = [row for name in ATTACKS for seed in range(seeds) for row in one_run(name, seed, rounds)]
    colour = alt.Scale(domain=list(ATTACKS), range=[c for _, c in ATTACKS.values()])
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("round:Q", title="round"),
        color=alt.Color("what:N", title=None, scale=colour, legend=alt.Legend(labelLimit=260)),
    )
    up = alt.Y("success:Q", title="attack success rate", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    mean = alt.Y("mean(success):Q", title="attack success rate", axis=alt.Axis(format="%"))
    thin = base.mark_line(strokeWidth=0.7, opacity=0.4).encode(y=up, detail="seed:N")
    edges = alt.Chart(alt.Data(values=[{"at": 10}, {"at": 20}])).mark_rule(strokeDash=[4, 4]).encode(x="at:Q")
    return alt.layer(thin, base.mark_line(strokeWidth=2.5).encode(y=mean), edges).properties(width=460, height=280)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_dba.svg")
