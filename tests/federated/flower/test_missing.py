import sys

import pytest


def test_a_missing_flower_is_one_sentence(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("toadstone.federated.flower.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flwr.app", None)
    monkeypatch.setitem(sys.modules, "flwr", None)
    import toadstone.federated.flower

    with pytest.raises(
        ImportError,
        match=r"toadstone.federated.flower needs a package.*: `pip install 'flwr\[simulation\]>=1.41'`.",
    ):
        toadstone.federated.flower.ToadstoneStrategy  # noqa: B018
