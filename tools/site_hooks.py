# SPDX-License-Identifier: Apache-2.0
"""MkDocs hook: links that leave docs/, to sources of the repository, become plain text; the site does not hold them."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.exceptions import PluginError

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#]+)\)")


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Called by MkDocs for every page."""
    docs = Path(config["docs_dir"])
    folder = (docs / page.file.src_uri).parent

    def plain(match: re.Match) -> str:
        target = (folder / match[2]).resolve()
        if target.is_relative_to(docs):
            return match[0]
        if not target.exists():
            raise PluginError(f"{page.file.src_uri}: there is no {match[2]}")
        return match[1]

    return LINK.sub(plain, markdown)
