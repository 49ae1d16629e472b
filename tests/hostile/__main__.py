"""A worker: ``python -m hostile SEED``; a case a line of its input ("reader number"), an outcome a line of output."""

import sys

from hostile.workers import worker

if __name__ == "__main__":
    worker(int(sys.argv[1]))
