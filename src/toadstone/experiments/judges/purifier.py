"""Purifiers: accuracy and attack success when every input is cleaned before the model sees it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Model, Purifier
from toadstone.experiments.cells import Cell
from toadstone.experiments.judges.base import Bench, Judge, Line, Measurement, rates
from toadstone.experiments.judges.repair import remainder
from toadstone.experiments.record import Record
from toadstone.experiments.words import percent
from toadstone.experiments.words import rates as rates_in_words
from toadstone.overlay import Rows


@dataclass(frozen=True)
class Purified:
    """A model behind a purifier."""

    model: Model
    purifier: Purifier
    seed: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.classes

    def probs(self, x: Rows) -> Float[ndarray, "n k"]:
        """The model's probabilities for the cleaned rows."""
        return self.model.probs(self.purifier.purify(x, seed=self.seed))


class PurifierJudge(Judge):
    """Measured on both models, on the test set and on the attack's trials, with every input cleaned."""

    contract, verb, order = "purifier", Purifier, 5
    stage, heading, compared = "Inputs", "Cleaned inputs", "attack success after"

    def measure(self, bench: Bench, defense: Purifier, side: str, seed: int) -> Measurement:
        return Measurement(rates(Purified(bench.models[side], defense, seed), bench.poison.goal, bench.test))

    def columns(self, record: Record, cell: Cell) -> dict[str, str]:
        return rates_in_words(cell)

    def brief(self, record: Record, cell: Cell) -> str:
        return percent(cell.number("attack_success_rate"))

    def row(self, record: Record, cell: Cell) -> str:
        return f"attack success {self.brief(record, cell)}, accuracy {percent(cell.number('clean_accuracy'))}"

    def sentence(self, record: Record, cell: Cell, twin: Cell | None) -> Line:
        return self.line(*remainder(record, cell, twin))


JUDGE = PurifierJudge()
