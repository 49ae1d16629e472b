"""The one error of the library."""


class BezoarError(ValueError):
    """Something the caller can mend; the message is one sentence that names the argument and what to do."""
