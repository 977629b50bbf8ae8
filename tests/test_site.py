# SPDX-License-Identifier: Apache-2.0
"""The documentation builds as a site without a warning, and its pages load nothing from the network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_site_builds_without_warnings_and_loads_nothing_from_outside(tmp_path):
    pytest.importorskip("material", reason="the site needs: python -m pip install -e '.[docs]'")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)], cwd=ROOT,
                          text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"?([^\s\">]+)", text)
        loaded += re.findall(r"<link[^>]*rel=\"?(?:stylesheet|preconnect)[^>]*href=\"?([^\s\">]+)", text)
        assert not [place for place in loaded if re.match(r"(https?:)?//", place)], page.name
