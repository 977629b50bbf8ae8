"""Lets ``python -m openkpu`` stand for the ``openkpu`` script."""

from .cli.entry import main

main()
