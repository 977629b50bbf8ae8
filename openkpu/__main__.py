"""Lets ``python -m openkpu`` stand for the ``openkpu`` script."""

from .cli.main import main

main()
