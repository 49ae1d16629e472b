"""The errors of the library: one kind, and one of it that a federated run goes on after."""


class BezoarError(ValueError):
    """Something the caller can mend; the message is one sentence that names the argument and what to do."""


class RefusedError(BezoarError):
    """A server's rule rejected every update of a round."""
