"""``python -m serin`` is ``serin``."""

from serin.cli import main

main()
