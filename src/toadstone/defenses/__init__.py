"""Defenses, by the stage at which they act: data, training, model, federated, inference."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
