"""Experiments with known truth: an attack is planted, every defense is scored, the record can be replayed."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
