"""The short form of the tests, which `make test` runs, and the long one (CC_FULL=1, `make full`)."""
import os

FULL = bool(os.environ.get("CC_FULL"))


def some(parameters, count):
    """All of a test's parameters in the long form, the first few in the short one."""
    return list(parameters) if FULL else list(parameters)[:count]
