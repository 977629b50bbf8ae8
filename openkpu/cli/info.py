"""openkpu info: what a model file is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..hw.fields import AIRAM_BYTES, POOL_NAMES, ROW_BYTES
from ..kmodel import load
from ..kmodel.model import KPU_POOL, KpuConv, Layer, Model, TensorSpec
from .options import console, model_argument, say, show_shape, table

CHIP_RAM = int(5.9 * 1024 * 1024)


@click.command()
@model_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def info(model: Path, address: str | None, release: str | None, as_json: bool) -> None:
    """Tell what MODEL is: format, inputs, outputs, layers, memory, and whether it fits the chip."""
    facts = describe(load(model, member=address, release=release))
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        _print(facts)


def describe(model: Model) -> dict:
    """Everything ``info`` shows, ready for JSON. Bytes and shapes as numbers."""
    airam = airam_bytes(model)
    ram = model.size + model.main_memory
    return {
        "model": model.source,
        "format": f"kmodel v{model.version}",
        "byte_swapped": model.byte_swapped,
        "operator_table": model.operator_table,
        "weight_bits": 8 if model.eight_bit else 16,
        "inputs": [_tensor(spec) for spec in model.inputs],
        "outputs": [_tensor(spec) for spec in model.outputs],
        "layers": [_layer(layer) for layer in model.layers],
        "totals": {
            "kpu_layers": len(model.kpu_layers),
            "macs": sum(layer.descriptor.macs * layer.batches for layer in model.kpu_layers),
            "weight_bytes": sum(len(layer.weights) for layer in model.kpu_layers),
        },
        "memory": {
            "model_bytes": model.size,
            "main_memory_bytes": model.main_memory,
            "ram_bytes": ram,
            "fits_ram": ram <= CHIP_RAM,
            "airam_bytes": airam,
            "fits_airam": airam <= AIRAM_BYTES,
        },
        "warnings": list(model.warnings),
    }


def airam_bytes(model: Model) -> int:
    """Bytes of AI RAM that some map of the model touches: a first-fit compiler leaves no hole worth counting.

    v3 compilers allocate from both ends, so that the highest row says nothing about the need.
    """
    tensors = [t for layer in model.layers for t in (*layer.inputs, *layer.outputs) if t.pool == KPU_POOL]
    spans = sorted((t.layouts[0].base, t.layouts[-1].end) for t in tensors)
    used, reached = 0, 0
    for begin, end in spans:
        used += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return used * ROW_BYTES


def _tensor(spec: TensorSpec) -> dict:
    return {"index": spec.index, "dtype": str(spec.dtype), "shape": list(spec.shape),
            "map_shape": list(spec.map_shape) if spec.map_shape else None}


def _layer(layer: Layer) -> dict:
    facts = {
        "index": layer.index, "name": layer.name, "where": layer.where, "kind": "", "pool": "",
        "in_shape": list(layer.inputs[0].shape) if layer.inputs else [],
        "out_shape": list(layer.outputs[0].shape), "macs": 0, "weight_bytes": 0,
    }
    if isinstance(layer, KpuConv):
        d = layer.descriptor
        kind = f"{d.kernel}x{d.kernel}" + (" depthwise" if d.depthwise else "")
        facts |= {"kind": kind, "pool": POOL_NAMES[d.pool_type] if d.pool_type < len(POOL_NAMES) else "none",
                  "in_shape": list(layer.input.shape), "macs": d.macs * layer.batches,
                  "weight_bytes": len(layer.weights)}
    return facts


def _print(facts: dict) -> None:
    totals, memory = facts["totals"], facts["memory"]
    notes = [facts["format"], f"{facts['weight_bits']}-bit weights"]
    if facts["byte_swapped"]:
        notes.append("byte-swapped for load_flash")
    if facts["operator_table"]:
        notes.append(f"operators as in nncase {facts['operator_table']}")
    say(f"{facts['model']}: {', '.join(notes)}")
    for kind in ("inputs", "outputs"):
        for spec in facts[kind]:
            hidden = spec["map_shape"] and spec["map_shape"] != spec["shape"][-3:]
            grid = f" (feature map {show_shape(spec['map_shape'])})" if hidden else ""
            say(f"{kind[:-1]} {spec['index']}: {spec['dtype']} {show_shape(spec['shape'])}{grid}")
    layers = table("layer", "operator", "on", "kind", "pool", "input", "output", "MAC", "weights")
    for layer in facts["layers"]:
        layers.add_row(str(layer["index"]), layer["name"], layer["where"], layer["kind"], layer["pool"],
                       show_shape(layer["in_shape"]), show_shape(layer["out_shape"]),
                       f"{layer['macs']:,}" if layer["macs"] else "",
                       f"{layer['weight_bytes']:,}" if layer["weight_bytes"] else "")
    console().print(layers)
    say(f"{totals['kpu_layers']} KPU layers, {totals['macs'] / 1e6:.1f} M MAC, "
        f"{totals['weight_bytes']:,} bytes of weights")
    say(f"RAM: {memory['model_bytes']:,} model + {memory['main_memory_bytes']:,} working = "
        f"{memory['ram_bytes']:,} bytes, {'fits' if memory['fits_ram'] else 'DOES NOT FIT'} the chip's 5.9 MiB")
    say(f"AI RAM: {memory['airam_bytes']:,} bytes, {'fits' if memory['fits_airam'] else 'DOES NOT FIT'} 2 MiB")
    for warning in facts["warnings"]:
        say(f"warning: {warning}")
