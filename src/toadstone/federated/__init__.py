"""Federated learning: what server and clients see, the rounds, the trainer."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
