# SPDX-License-Identifier: Apache-2.0
"""Checks that every source file begins with its licence; ``--add`` puts the line into those that lack it.

Data, pictures and pages have none: REUSE.toml speaks for them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINE = "SPDX-License-Identifier: Apache-2.0"
COMMENT = {".py": "#", ".toml": "#", ".yml": "#", ".yaml": "#", ".core": "#", ".rules": "#", "Makefile": "#",
           "run": "#", ".v": "//", ".vh": "//", ".vlt": "//", ".cpp": "//", ".c": "/*", ".h": "/*"}
DATA = ("tests/data/", "docs/")


def sources() -> dict[Path, str]:
    """Every source file of the repository, with what begins a comment in it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in listed.splitlines():
        path = ROOT / name
        comment = COMMENT.get(path.suffix or path.name)
        if comment and path.is_file() and path.stat().st_size and not name.startswith(DATA):
            found[path] = comment
    return found


def main(arguments: list[str]) -> int:
    """Check, or add; 1 if a line is missing."""
    missing = []
    for path, comment in sources().items():
        text = path.read_text()
        head = text.split("\n", 2)[:2]
        wanted = f"{comment} {LINE}{' */' if comment == '/*' else ''}"
        if head[1 if text.startswith(("#!", "CAPI")) else 0] == wanted:
            continue
        missing.append(path.relative_to(ROOT))
        if arguments == ["--add"]:
            if text.startswith(("#!", "CAPI")):
                first, rest = text.split("\n", 1)
                path.write_text(f"{first}\n{wanted}\n{rest}")
            else:
                path.write_text(f"{wanted}\n{text}")
    if arguments == ["--add"]:
        print(f"spdx: added to {len(missing)} files")
        return 0
    for path in missing:
        print(f"{path}: the first line is not '{LINE}'; python tools/spdx.py --add puts it there")
    print(f"spdx: {'not clean' if missing else 'clean'}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
