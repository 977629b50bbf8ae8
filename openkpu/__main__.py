# SPDX-License-Identifier: Apache-2.0
"""Lets ``python -m openkpu`` stand for the ``openkpu`` script."""

from .cli.entry import main

main()
