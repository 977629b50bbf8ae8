# SPDX-License-Identifier: Apache-2.0
"""Every citation of the specification leads to a heading that exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "docs" / "spec"
ENDINGS = (".py", ".v", ".vh", ".md", ".c", ".cpp", ".h", ".toml", ".vlt", "Makefile")
HEADINGS = {page.name: set(re.findall(r"^#+ (?:Appendix )?((?:\d+|[A-Z])(?:\.\d+)*)\.? ", page.read_text(), re.M))
            for page in SPEC.glob("*.md") if page.name != "README.md"}
DEFAULTS = {folder: page
            for page, folders in re.findall(r"^\| \[([\w-]+\.md)\].*\|(.*)\|$", (SPEC / "README.md").read_text(), re.M)
            for folder in re.findall(r"`([\w/]+)`", folders)}

PLACE = r"(?:Appendix\s+[A-Z]|\d+(?:\.\d+)*)"
# A line may end inside a citation; comment signs then stand between its words.
GAP = r"[\s#/*]+"
CITATION = re.compile(
    rf"(?:\b(?:spec/)?(?P<page>{'|'.join(HEADINGS)})(?:,?{GAP}sections?)?|\bspec(?:{GAP}sections?)?|\b[Ss]ections?)"
    rf"{GAP}(?P<places>{PLACE}(?:(?:,|{GAP}to|{GAP}and|-){GAP}?{PLACE})*)(?![\w])")


def sources() -> list[str]:
    """Tracked texts, without the specification itself, whose pages count their sections alone."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True,
                            capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [name for name in listed.stdout.splitlines()
            if name.endswith(ENDINGS) and (ROOT / name).is_file()
            and not name.startswith(("docs/spec/", "tests/test_citations"))]


def citations(name: str, text: str) -> list[tuple[str | None, str]]:
    """The (page, place) pairs that a text cites; the page is None where nothing says which one is meant."""
    text = re.sub(r"\]\([^)]*\)", "]", text)  # links: what they lead to is tests/test_links.py's
    known = [DEFAULTS[folder] for folder in sorted(DEFAULTS, key=len) if name.startswith(f"{folder}/")]
    named = re.findall("|".join(HEADINGS), text)
    found = []
    for match in CITATION.finditer(text):
        # In a file that names one page only, bare sections are that page's.
        page = match["page"] or (named[0] if len(set(named)) == 1 and not known else (known or [None])[-1])
        found += [(page, place.split()[-1]) for place in re.findall(PLACE, match["places"])]
    return found


def test_every_citation_leads_to_a_heading():
    dead, count = [], 0
    for name in sources():
        for page, place in citations(name, (ROOT / name).read_text()):
            count += 1
            if place not in HEADINGS.get(page, ()):
                dead.append(f"{name}: section {place} of {page or 'no page in particular'}")
    assert not dead, "\n".join(dead)
    assert count > 100


@pytest.mark.parametrize("name, text, expected", [
    ("rtl/a.v", "// alu (spec 5.1, 6 to 8)", [("kpu-hardware.md", p) for p in ("5.1", "6", "8")]),
    ("openkpu/kmodel/a.py", "see spec\n# section 4.5", [("kmodel-format.md", "4.5")]),
    ("docs/a.md", "spec/driver-api.md sections 1.2 and 2", [("driver-api.md", "1.2"), ("driver-api.md", "2")]),
    ("docs/a.md", "kmodel-format.md 3.1, Appendix A", [("kmodel-format.md", "3.1"), ("kmodel-format.md", "A")]),
    ("docs/a.md", "spec 3.1", [(None, "3.1")]),
    ("rtl/a.v", "a 3x3 layer in section s1", []),
])
def test_citations_are_read(name, text, expected):
    assert citations(name, text) == expected
