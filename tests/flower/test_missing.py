import sys

import pytest


def test_a_missing_flower_is_one_sentence(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("bezoar.flower.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flwr.app", None)
    monkeypatch.setitem(sys.modules, "flwr", None)
    import bezoar.flower

    with pytest.raises(ImportError, match=r"bezoar.flower needs Flower: `pip install bezoar\[flower\]`."):
        bezoar.flower.BezoarStrategy  # noqa: B018
