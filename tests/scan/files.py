"""All files of the tests: those of the corpus, and those by kind."""

from scan import corpus
from scan.harmless_files import harmless as more_harmless
from scan.hostile_files import KINDS

HOSTILE = [*corpus.HOSTILE, *(kind for kinds in KINDS.values() for kind in kinds)]


def harmless():
    """(name, file, bytes) of files that nobody should be warned of."""
    yield from corpus.harmless()
    yield from more_harmless()
