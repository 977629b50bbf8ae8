# SPDX-License-Identifier: Apache-2.0
"""Relative links and figures of every Markdown file lead somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")


def anchors(text: str) -> set[str]:
    """The headings' anchors, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def test_links_lead_somewhere():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                            text=True, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    dead, count = [], 0
    for name in listed.stdout.split():
        page = ROOT / name
        for path, anchor in LINK.findall(page.read_text()):
            count += 1
            target = page.parent / path if path else page
            if not target.exists() or (anchor and anchor[1:] not in anchors(target.read_text())):
                dead.append(f"{name}: {path}{anchor}")
    assert not dead, "\n".join(dead)
    assert count > 100
