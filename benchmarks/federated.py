"""What federated rounds, rules and tuned attacks cost beside byzfl 0.0.11, in one object.

The figures are those of federated_round.py, federated_rules.py and federated_search.py, whose first lines say what
they are: one process, one thread, CPU seconds. Needs byzfl: `pip install --no-deps byzfl==0.0.11`.
"""

from common import arguments, finish

# isort: split
from federated_round import rounds
from federated_rules import rules
from federated_search import search


def main() -> None:
    options = arguments(__doc__)
    figures = {**rules(options.quick), **search(options.quick), **rounds(options.quick)}
    finish({**figures, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
