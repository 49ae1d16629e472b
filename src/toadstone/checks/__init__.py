"""Conformance checks: does an attack or a defense keep its contract? For the library's algorithms and your own.

>>> from toadstone.checks import check_attack
>>> from toadstone.attacks import Backdoor
>>> from toadstone.triggers import Patch
>>> check_attack(Backdoor(Patch(), target=3))  # silent, or a ViolationError that says what is wrong
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toadstone.checks.common import ViolationError
from toadstone.checks.data import check_attack, check_detector, check_trigger
from toadstone.checks.federated import check_aggregator, check_client_attack
from toadstone.checks.inference import check_monitor, check_purifier
from toadstone.checks.model import check_implant, check_inspector, check_repair
from toadstone.checks.training import check_outsourced, check_trainer
from toadstone.registry import entry, name_of

__all__ = [
    "ViolationError",
    "check",
    "check_aggregator",
    "check_attack",
    "check_client_attack",
    "check_detector",
    "check_implant",
    "check_inspector",
    "check_monitor",
    "check_outsourced",
    "check_purifier",
    "check_repair",
    "check_trainer",
    "check_trigger",
]


def check(obj: Any) -> None:
    """Check a registered object by its contract."""
    checks: dict[str, Callable[[Any], None]] = {
        "trigger": check_trigger,
        "attack": check_attack,
        "outsourced": check_outsourced,
        "trainer": check_trainer,
        "detector": check_detector,
        "implant": check_implant,
        "inspector": check_inspector,
        "repair": check_repair,
        "monitor": check_monitor,
        "purifier": check_purifier,
        "aggregator": check_aggregator,
        "client-attack": check_client_attack,
    }
    checks[entry(name_of(obj)).contract](obj)
