# SPDX-License-Identifier: Apache-2.0
"""The page: styles, drawing library and data in one file."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import Any

from ..errors import UsageError
from .facts import Facts


def page(facts: Facts, other: Facts | None = None, pairs: list[tuple[int | None, int | None]] | None = None) -> bytes:
    """The report of a model as HTML, or of two: ``pairs`` are the rows that belong together.

    Raises
    ------
    UsageError
        Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise UsageError("--html needs the package 'plotly'; install it with: pip install 'openkpu[report]'") from error
    parts = {name: files(__package__).joinpath(f"page.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    title = facts["model"] + (f" and {other['model']}" if other else "")
    data = {"a": facts, "b": other, "pairs": pairs or []}
    text = parts["html"]
    for mark, value in (("TITLE", escape(title)), ("STYLE", parts["css"]), ("DATA", _json(data)),
                        ("SCRIPT", parts["js"]), ("PLOTLY", get_plotlyjs())):
        text = text.replace(f"<!--{mark}-->", value, 1)
    return text.encode("utf-8", "replace")


def _json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace(
        "\u2029", "\\u2029")
