"""``python -m toadstone`` is the command line."""

from toadstone.cli import main

main()
