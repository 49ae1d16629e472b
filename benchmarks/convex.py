"""The convex world in one object: bounds, attack points, label flips, RONI, and transfer.

Each family is a script of its own (convex_bounds.py and so on), whose first lines say what its figures are;
`seconds_*` are the CPU seconds that it took. Needs `TOADSTONE_DATA`, cvxpy and adversarial-robustness-toolbox.
`--only`: some of the families.
"""

from __future__ import annotations

import time

from common import finish, options

# isort: split
import convex_bounds
import convex_flips
import convex_gradient
import convex_roni
import convex_transfer

FAMILIES = {
    "bounds": convex_bounds.figures,
    "gradient": convex_gradient.figures,
    "flips": convex_flips.figures,
    "roni": convex_roni.figures,
    "transfer": convex_transfer.figures,
}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="families to run")
    args = parser.parse_args()
    figures: dict[str, float] = {}
    for name in args.only:
        start = time.process_time()
        figures |= FAMILIES[name](args.quick)
        figures[f"seconds_{name}"] = time.process_time() - start
    finish({**figures, "quick": args.quick}, args.json)


if __name__ == "__main__":
    main()
