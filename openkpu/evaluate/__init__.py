# SPDX-License-Identifier: Apache-2.0
"""How good a model is on labelled pictures, on all cores or a cluster of computers.

A picture becomes a row (``worker.py``), rows are kept in a file that a later run goes on with (``journal.py``), rows
and labels become figures (``metrics.py``).
"""
