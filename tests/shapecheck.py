"""The type checker under which the tests run the library: beartype, where an int is as good as a float.

A function's check is built when the function is first called: a run of a few tests calls few functions, and building
all checks takes seconds.
"""

from functools import wraps

from beartype import BeartypeConf, beartype

strict = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function):
    built = None

    @wraps(function)
    def checked(*args, **kwargs):
        nonlocal built
        if built is None:
            built = strict(function)
        return built(*args, **kwargs)

    return checked
