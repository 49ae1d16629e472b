"""Every registered algorithm keeps its contract."""

import pytest

from bezoar.attacks import Backdoor, Semantic
from bezoar.checks import check
from bezoar.models.nets import MLP
from bezoar.registry import Entry, entries
from bezoar.training import Train
from bezoar.triggers import Accessory, Blend, Chain, Coloured, Distributed, Dynamic, InsertWords, Patch, SetFeature

CONTRACTS = ("trigger", "attack", "trainer", "detector", "inspector", "repair", "monitor")
EXAMPLES = {
    "backdoor": [
        Backdoor(Patch(size=2), target=3),
        Backdoor(Blend(), target=3, rate=0.05, source=1),
        Backdoor(Patch(), target=3, rate=0.05, clean_label=True),
        Backdoor(Patch(), all_to_all=True),
    ],
    "semantic": [Semantic(Coloured((255,), distance=40, share=0.2), target=7, share=0.5)],
    "train": [Train(MLP((16,)), epochs=2)],
    "accessory": [Accessory()],
    "chain": [Chain((Patch(), Blend()))],
    "distributed": [Distributed(Patch())],
    "dynamic": [Dynamic(Patch(size=2))],
    "insert-words": [InsertWords()],
    "set-feature": [SetFeature((1,), (9.0,))],
}


def examples(entry: Entry) -> list[object]:
    return EXAMPLES.get(entry.name) or [entry.cls()]


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(o, id=f"{e.name}-{i}")
        for e in entries()
        if e.contract in CONTRACTS
        for i, o in enumerate(examples(e))
    ],
)
def test_keeps_its_contract(obj):
    check(obj)
