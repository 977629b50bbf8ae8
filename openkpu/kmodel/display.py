# SPDX-License-Identifier: Apache-2.0
"""Models as HTML, for notebooks: small tables in the notebook's own style, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from .model import Layer, Model
from .summary import describe


def table(header: Sequence[str], rows: Sequence[Sequence[object]], text: Sequence[str] = ()) -> str:
    """An HTML table; the columns in ``text`` are aligned to the left, others are numbers."""
    def cells(tag: str, values: Sequence[object]) -> str:
        return "".join(f'<{tag} style="text-align:{"left" if name in text else "right"}">{escape(str(value))}</{tag}>'
                       for name, value in zip(header, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', header)}</tr></thead><tbody>{body}</tbody></table>"


def paragraph(sentence: str) -> str:
    """A sentence as HTML."""
    return f"<p>{escape(sentence)}</p>"


def shape(dimensions: Sequence[int]) -> str:
    """1x3x240x320."""
    return "x".join(map(str, dimensions))


LAYER = ("layer", "operator", "on", "kind", "pool", "input", "output", "MAC", "weight bytes")
TEXT = ("operator", "on", "kind", "pool", "input", "output")


def layer_cells(told: dict[str, Any]) -> tuple[object, ...]:
    """A layer of ``describe`` as the cells of a line under ``LAYER``."""
    return (told["index"], told["name"], told["where"], told["kind"], told["pool"] or "", shape(told["in_shape"]),
            shape(told["out_shape"]), f"{told['macs']:,}" if told["macs"] else "",
            f"{told['weight_bytes']:,}" if told["weight_bytes"] else "")


def model_html(model: Model) -> str:
    """What ``openkpu info`` prints."""
    told = describe(model)
    totals, memory = told["totals"], told["memory"]
    ports = [f"{kind[:-1]} {spec['index']}: {spec['dtype']} {shape(spec['shape'])}"
             for kind in ("inputs", "outputs") for spec in told[kind]]
    return (paragraph(f"{told['model'] or 'model'}: {told['format']} of {told['compiler']}, {told['weight_bits']}-bit "
                      f"weights; {'; '.join(ports)}")
            + table(LAYER, [layer_cells(layer) for layer in told["layers"]], TEXT)
            + paragraph(f"{totals['kpu_layers']} of {totals['layers']} layers on the KPU, {totals['macs'] / 1e6:.1f} M "
                        f"MAC; RAM {memory['total']:,} bytes, AI RAM {memory['airam']:,} bytes"))


def layer_html(layer: Layer) -> str:
    """One layer: where it runs, what it reads and writes."""
    rows = [(kind, t.pool, t.offset, str(t.dtype), shape(t.shape))
            for kind, tensors in (("reads", layer.inputs), ("writes", layer.outputs)) for t in tensors]
    return (paragraph(f"layer {layer.index}: {layer.name} ({layer.where})")
            + table(("", "memory", "offset", "dtype", "shape"), rows, ("", "memory", "dtype", "shape")))
