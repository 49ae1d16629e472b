"""What an attacker does, by the stage of the pipeline at which it is done."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
