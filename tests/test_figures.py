# SPDX-License-Identifier: Apache-2.0
"""The block figures are drawn from their sources, name modules that exist, and every module stands in one."""

import re

import pytest

from openkpu.hw.sources import DESIGN, FILES
from tools import figures

MODULE = re.compile(r"\b(?:kpu|axi|axil|dma|spi|flash|ram|airam|cache)_\w+")
# Words of the bus and of registers that look like modules.
OTHER = {"flash_expect", "flash_timeout"}


@pytest.mark.parametrize("name", figures.names())
def test_figure_is_current(name):
    drawn = (figures.IMAGES / f"{name}.svg").read_text()
    assert figures.digest(name) in drawn, "run 'python -m tools.figures'"


@pytest.mark.parametrize("name", figures.names())
def test_figure_names_modules_that_exist(name):
    named = set(MODULE.findall((figures.IMAGES / f"{name}.gv").read_text())) - OTHER
    assert named <= FILES.keys()


def test_every_module_stands_in_a_figure():
    named = set(MODULE.findall("\n".join((figures.IMAGES / f"{name}.gv").read_text() for name in figures.names())))
    assert {path.stem for path in DESIGN} <= named
