"""What a backdoor looks for: changes of one input that leave its shape and dtype as they were; natural features."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
