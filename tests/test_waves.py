# SPDX-License-Identifier: Apache-2.0
"""The page "one 3x3 layer, cycle by cycle" tells the cycles of the RTL as it is."""

from tools import waves


def test_page_and_figures_tell_what_the_simulation_does():
    assert not waves.stale(), "run 'python -m tools.waves'"
