# SPDX-License-Identifier: Apache-2.0
"""openkpu info: what a model file is."""

from __future__ import annotations

import json
from typing import Any

import click

from ..kmodel import Model
from ..kmodel.summary import describe
from .options import model_argument, print_table, say, show_shape


@click.command()
@model_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def info(loaded: Model, as_json: bool) -> None:
    """Tell what MODEL is.

    Format, inputs, outputs, layers, memory, and whether it fits the chip.
    """
    facts = describe(loaded)
    if as_json:
        say(json.dumps(facts, indent=1))
        return
    _print_head(facts)
    _print_layers(facts["layers"])
    _print_memory(facts)


def _print_head(facts: dict[str, Any]) -> None:
    swapped = ", byte-swapped for load_flash" if facts["byte_swapped"] else ""
    say(f"{facts['model']}: {facts['format']} of {facts['compiler']}, {facts['weight_bits']}-bit weights{swapped}")
    for kind in ("inputs", "outputs"):
        for spec in facts[kind]:
            grid = ""
            if spec["map_shape"] and spec["map_shape"] != spec["shape"][-3:]:
                grid = f" (feature map {show_shape(spec['map_shape'])})"
            say(f"{kind[:-1]} {spec['index']}: {spec['dtype']} {show_shape(spec['shape'])}{grid}")


def _print_layers(layers: list[dict[str, Any]]) -> None:
    header = "layer", "operator", "on", "kind", "batches", "pool", "input", "output", "MAC", "weight bytes"
    rows = [(str(layer["index"]), layer["name"], layer["where"], layer["kind"],
             str(layer["batches"]) if layer["batches"] > 1 else "", layer["pool"] or "",
             show_shape(layer["in_shape"]), show_shape(layer["out_shape"]),
             f"{layer['macs']:,}" if layer["macs"] else "",
             f"{layer['weight_bytes']:,}" if layer["weight_bytes"] else "") for layer in layers]
    print_table(header, rows, right=("layer", "batches", "MAC", "weight bytes"))


def _print_memory(facts: dict[str, Any]) -> None:
    totals, memory = facts["totals"], facts["memory"]
    say(f"{totals['kpu_layers']} of {totals['layers']} layers on the KPU: {totals['kpu_macs'] / 1e6:.1f} of "
        f"{totals['macs'] / 1e6:.1f} M MAC, {totals['kpu_weight_bytes']:,} bytes of weights")
    say(f"RAM: {memory['model']:,} model + {memory['main']:,} working = {memory['total']:,} bytes, "
        f"{_fits(memory['fits'])} the chip's {memory['limit']:,}")
    say(f"AI RAM: {memory['airam']:,} bytes up to the highest map, {_fits(memory['airam_fits'])} the chip's "
        f"{memory['airam_limit']:,}")


def _fits(yes: bool) -> str:
    return "fits" if yes else "DOES NOT FIT"
