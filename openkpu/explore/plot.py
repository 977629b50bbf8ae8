# SPDX-License-Identifier: Apache-2.0
"""Points as a table and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape

from ..errors import UsageError
from .points import Point

COLUMNS = ("name", "SEGS", "SEGLEN", "LPS", "DEPTH", "WEIGHT_ENTRIES", "AIRAM_ROWS", "pes", "lanes", "ram_bytes",
           "cycles", "frames_per_second", "gates", "gates_by", "front", "rtl_cycles", "deviation_percent", "reason")


def table(points: Sequence[Point], best: Sequence[Point], mhz: float) -> bytes:
    """CSV, a line per point."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for p in points:
        core = {name: getattr(p.core, name) for name in COLUMNS[1:7]}
        fits = not p.reason
        writer.writerow({
            "name": p.name, **core, "pes": p.config.pes, "lanes": p.config.lanes, "ram_bytes": p.ram_bytes,
            "cycles": p.cycles if fits else "", "frames_per_second": round(p.rate(mhz), 2) if fits else "",
            "gates": p.gates or "", "gates_by": ("yosys" if p.synthesized else "estimate") if p.gates else "",
            "front": "yes" if p in best else "", "rtl_cycles": p.rtl_cycles or "",
            "deviation_percent": "" if p.deviation is None else round(p.deviation, 2), "reason": p.reason})
    return text.getvalue().encode()


def picture(points: Sequence[Point], best: Sequence[Point], mhz: float, title: str) -> bytes:
    """Frames per second against gates as a page that needs no network; UsageError if Plotly is not installed."""
    try:
        from plotly import graph_objects
    except ImportError as error:
        raise UsageError("--plot needs the package 'plotly'; install it with: pip install 'openkpu[report]'") from error
    usable = [p for p in points if not p.reason]

    def hover(p: Point) -> str:
        found = f"<br>RTL: {p.rtl_cycles:,} cycles" if p.rtl_cycles else ""
        return (f"SEGS {p.core.SEGS}, SEGLEN {p.core.SEGLEN}, LPS {p.core.LPS}, DEPTH {p.core.DEPTH}, WEIGHT_ENTRIES "
                f"{p.core.WEIGHT_ENTRIES}<br>{p.config.pes} PEs, {p.config.lanes} lanes, {p.ram_bytes >> 10} KiB"
                f"<br>{p.gates:,} gates ({'Yosys' if p.synthesized else 'estimated'})<br>{p.cycles:,} cycles{found}")

    figure = graph_objects.Figure()
    others = [p for p in usable if p not in best]
    for name, group, colour in (("others", others, "#a9b3bf"), ("front", list(best), "#2a9d8f")):
        figure.add_scatter(x=[p.gates for p in group], y=[p.rate(mhz) for p in group], name=name,
                           mode="lines+markers" if name == "front" else "markers", line={"color": colour, "width": 1},
                           marker={"size": 10, "color": colour,
                                   "symbol": ["circle" if p.synthesized else "circle-open" for p in group]},
                           hovertext=[hover(p) for p in group], hoverinfo="text")
    confirmed = [p for p in usable if p.rtl_cycles]
    if confirmed:
        figure.add_scatter(x=[p.gates for p in confirmed], y=[mhz * 1e6 / (p.rtl_cycles or 1) for p in confirmed],
                           name="counted by the RTL", mode="markers", hoverinfo="skip",
                           marker={"size": 16, "color": "#e76f51", "symbol": "circle-open", "line": {"width": 2}})
    figure.update_layout(title={"text": escape(title), "font": {"size": 15}}, template="plotly_white",
                         xaxis={"title": {"text": "gates (filled: by Yosys, open: estimated)"}, "rangemode": "tozero"},
                         yaxis={"title": {"text": f"frames per second at {mhz:g} MHz"}, "rangemode": "tozero"},
                         legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}, margin={"l": 60, "r": 20})
    return str(figure.to_html(include_plotlyjs=True, config={"displaylogo": False, "responsive": True})).encode()
