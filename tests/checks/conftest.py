"""Strangers that change what they are given are given copies."""

import copy
from dataclasses import replace

import pytest

from toadstone.checks import common, data, inference, model, training


@pytest.fixture
def own_toy(monkeypatch):
    """The toy as a copy of its own, for one test."""
    usual = common.toy()
    made = copy.deepcopy(usual)
    made = replace(made, model=replace(made.model, net=copy.deepcopy(usual.model.net)))
    for module in (common, data, inference, model, training):
        monkeypatch.setattr(module, "toy", lambda: made)
    return made
