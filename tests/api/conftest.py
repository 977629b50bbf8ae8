"""Fixtures of the API tests: a fresh simulated board per test, the shared models and pictures, every back end."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from openkpu.api import session
from openkpu.api.flash import Flash

REPO = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("OPENKPU_SHARED", REPO.parent / "shared"))


@pytest.fixture
def make_board(tmp_path):
    """Function that makes the current session from settings; screen and /sd lie in the test's folder."""
    def make(*burn, **settings):
        settings.setdefault("lcd", tmp_path / "lcd")
        settings.setdefault("sd", tmp_path)
        settings.setdefault("fs", tmp_path)
        flash = Flash()
        for item in burn:
            flash.burn_argument(str(item))
        return session.use(session.Session(session.Settings(**settings), flash))

    yield make
    session.use(session.Session())


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
    from openkpu.devices.registry import BACKENDS

    found = ["functional"]
    if "rtl" in BACKENDS and importlib.util.find_spec(BACKENDS["rtl"][0]):
        found.append(pytest.param("rtl", marks=pytest.mark.rtl))
    return found
