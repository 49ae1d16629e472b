"""Does backward error analysis pick a better target than chance?

The game of examples/plot_ada.py on embedded digits: twenty clients train for ten honest rounds, then one client of
ten relabels its 4s and sends its update six times as long. `chosen`: the share of test 4s called the target with the
least attacking distance after that round; `random`: the mean over the other eight targets; `difference` of the two.
Means and 95% intervals over 10 seeds, 2 with `--quick`.
"""

import sys
from pathlib import Path

from common import arguments, finish, spreads

# isort: split
import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from plot_ada import ROUNDS, one_model


def main() -> None:
    options, runs = arguments(__doc__), []
    for seed in range(2 if options.quick else 10):
        rows = one_model(seed, ROUNDS)
        chosen, *_ = [row["success"] for row in rows if row["picked"]]
        others = float(np.mean([row["success"] for row in rows if not row["picked"]]))
        runs.append({"chosen": chosen, "random": others, "difference": chosen - others})
    finish({**spreads(runs), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
