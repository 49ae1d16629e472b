"""Model replacement: one client, one round

Twenty clients share the embedded digits, ten take part in a round, and the server averages. In round 10, the dashed
line, one client sends ten times the update that leads to its own model, which it has trained on digits with a white
square called 7. Above, the plain average: the square means 7 at once, and accuracy falls, as the attacker's model
has seen one client's digits alone. Honest rounds repair accuracy at once and wear the backdoor off. Below, the
server clips all updates to the median length of those of the first ten rounds: the attacker counts for one client of
ten. Lines are means of three seeds, thin ones single seeds; attack success is on test digits that are no 7.
(Bagdasaryan et al., AISTATS 2020, arXiv:1807.00459; clipping: Sun et al. 2019, arXiv:1911.07963)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.federated.model_replacement import ModelReplacement
from toadstone.defenses.federated.norm_clipping import NormClipping
from toadstone.federated.trainer import Federated
from toadstone.models.nets import MLP
from toadstone.triggers import Patch

REPLACED, ROUNDS = 10, 25
HONEST = Federated(clients=20, rounds=REPLACED, fraction=0.5, net=MLP((32,)), epochs=3)
ATTACK = ModelReplacement(Backdoor(Patch(2), target=7, rate=0.3))


def rates(seed: int) -> list[dict]:
    """Accuracy and success after each round, under both servers."""
    parts = split(load("digits"), test=600, seed=seed)
    lengths = [n for record in HONEST.simulate(parts.train, seed=seed) for n in record.norms]
    found = []
    for server, rule in (("average", None), ("clipping", NormClipping(float(np.median(lengths))))):
        federated = Federated(clients=20, rounds=ROUNDS, fraction=0.5, net=MLP((32,)), epochs=3, aggregator=rule,
                              attack=ATTACK, malicious=1, attack_rounds=(REPLACED,))  # fmt: skip
        for record in federated.simulate(parts.train, seed=seed, test=parts.test):
            for name, rate in (("accuracy", record.accuracy), ("attack success", record.success)):
                row = {"server": server, "round": record.number, "of": name, "seed": seed}
                found.append({**row, "rate": round(rate.value, 4)})
    return found


def figure(quick: bool = False) -> alt.Chart:
    """Two panels, the rates by round in each."""
    rows = [row for seed in range(1 if quick else 3) for row in rates(seed)]
    scale = alt.Scale(domain=["accuracy", "attack success"], range=["#0072B2", "#D55E00"])
    panels = []
    for server in ("average", "clipping"):
        base = alt.Chart(alt.Data(values=[row for row in rows if row["server"] == server])).encode(
            alt.X("round:Q", title="round", axis=alt.Axis(tickMinStep=5)),
            alt.Y("rate:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            alt.Color("of:N", title=None, scale=scale),
        )
        mean = base.mark_line(strokeWidth=2.5).encode(alt.Y("mean(rate):Q", title=None))
        single = base.mark_line(strokeWidth=0.6, opacity=0.5).encode(detail="seed:N")
        when = alt.Chart(alt.Data(values=[{"round": REPLACED}])).mark_rule(strokeDash=[4, 3]).encode(x="round:Q")
        words = {"average": "the server averages", "clipping": "the server clips, then averages"}[server]
        panels.append((when + single + mean).properties(width=440, height=150, title=words))
    return alt.vconcat(*panels)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_replaced_round.svg")
