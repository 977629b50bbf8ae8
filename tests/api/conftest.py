# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the API tests: a fresh simulated board per test, the shared models and pictures, every back end."""

from __future__ import annotations

import gc
import importlib.util
import os
from pathlib import Path

import pytest

from openkpu.api.board.board import Board, Settings, use_board
from openkpu.api.imaging.image import Image
from openkpu.flash import Flash

REPO = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("OPENKPU_SHARED", REPO.parent / "shared"))


@pytest.fixture
def make_board(tmp_path):
    """Function that makes the current board from settings; screen and /sd lie in the test's folder."""
    gc.collect()  # finalisers of other tests' networks print, and must not do so into this test's output
    def make(*burn, **settings):
        settings.setdefault("lcd", tmp_path / "lcd")
        settings.setdefault("sd", tmp_path)
        settings.setdefault("fs", tmp_path)
        flash = Flash()
        for item in burn:
            flash.burn_argument(str(item))
        return use_board(Board(Settings(**settings), flash))

    yield make
    use_board(Board())


@pytest.fixture
def board(make_board):
    """A board with default settings."""
    return make_board()


@pytest.fixture
def strict_board(make_board):
    """A board that keeps the firmware's surprises."""
    return make_board(compat="strict")


def shared_file(name: str) -> Path:
    """A model or picture of the shared test data; skips the test if it is not there."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is missing: set OPENKPU_SHARED to the folder with the shared models and pictures")
    return path


def backends() -> list:
    """Back ends to test on; the RTL ones carry the mark ``rtl``."""
    from openkpu.devices.backends import BACKENDS

    found = ["functional"]
    if "rtl" in BACKENDS and importlib.util.find_spec(BACKENDS["rtl"][0]):
        found.append(pytest.param("rtl", marks=pytest.mark.rtl))
    return found


DEMO = REPO / "examples" / "demo"
ANCHORS = tuple(float(v) for v in (DEMO / "anchors.txt").read_text().split(","))


@pytest.fixture(scope="session")
def demo_v3() -> Path:
    """The demo detector as a V3 file: 320x240x3 in, 20x15x55 out."""
    return DEMO / "shapes_v3.kmodel"


@pytest.fixture(scope="session")
def demo_v5() -> Path:
    """The demo detector as a V5 file."""
    return DEMO / "shapes.kmodel"


def demo_image(number: int = 6) -> Image:
    """A held-out picture of the demo as a snapshot: RGB565 with AI plane."""
    image = Image(str(DEMO / "pictures" / f"heldout_{number:03d}.png"))
    image.pix_to_ai()
    return image
