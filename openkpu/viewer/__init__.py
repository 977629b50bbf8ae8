# SPDX-License-Identifier: Apache-2.0
"""Feature maps in a browser: ``runner.py`` runs layers when they are asked for, ``server.py`` answers."""
