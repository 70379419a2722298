"""`python -m screener` is the command line."""

from screener.cli import script

script()
