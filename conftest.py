"""Which modules pytest leaves alone: those of an extra that is not installed."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("flwr") else ["src/toadstone/federated/flower/*.py"]
