"""The library's error, and two subclasses after which a run goes on."""


class ToadstoneError(ValueError):
    """Something the caller can mend; the message is one sentence that names the argument and what to do."""


class NotApplicableError(ToadstoneError):
    """An algorithm is not meant for this kind of model or data; this is not a failure."""


class RefusedError(ToadstoneError):
    """A server's rule rejected every update of a round."""


def no_gradients(of: str) -> NotApplicableError:
    """What is raised where a net cuts the gradients of its own answer; ``of`` begins the sentence."""
    return NotApplicableError(
        f"{of} answers without gradients: let the forward of its net return the tensor of logits as torch made it, "
        "without detach(), no_grad() or numpy on the way."
    )


def missing_extra(what: str, extra: str) -> str:
    """One sentence: ``what`` needs packages that are not installed, and the command that installs them.

    The packages are named one by one, as this distribution's extra lists them: an index may hold somebody else's
    package of the same name.

    >>> missing_extra("The hub", "hub")
    "The hub needs a package that is not installed: `pip install 'datasets>=3.2'`."
    """
    from importlib.metadata import requires  # noqa: PLC0415 (only on the way to an error)

    packages = [line.split(";")[0].strip() for line in requires("toadstone") or () if f"extra == '{extra}'" in line]
    return f"{what} needs a package that is not installed: `pip install {' '.join(map(repr, packages))}`."
