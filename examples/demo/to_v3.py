# SPDX-License-Identifier: Apache-2.0
"""Write the demo detector as kmodel v3, the version that MaixPy's ``KPU`` module loads.

    python examples/demo/to_v3.py examples/demo/shapes.kmodel examples/demo/shapes_v3.kmodel

Only the container changes: the KPU layers and their tables are copied as they are. That works for any network that is
one chain of KPU layers with a dequantize at the end.
"""

from __future__ import annotations

import argparse
import struct
from itertools import pairwise
from pathlib import Path

from openkpu.kmodel import KpuConv, KpuDownload, KpuUpload, Model, load
from openkpu.kmodel.v5.ops import Dequantize

K210_CONV, DEQUANTIZE = 10240, 12
MAIN_MEM_OUT = 1
HEADER_BYTES, TABLE_ALIGNMENT, BODY_ALIGNMENT = 28, 128, 8


def main_memory_map(model: Model) -> tuple[int, int]:
    """(offset of the last KPU map, bytes of main memory): the float output lies at 0, the map behind it."""
    floats = model.outputs[0].tensor.nbytes
    return floats, floats + model.outputs[0].tensor.count


def chain(model: Model) -> tuple[tuple[KpuConv, ...], Dequantize]:
    """KPU layers and the dequantize; ``ValueError`` if the network is anything else."""
    steps = [layer for layer in model.layers if not isinstance(layer, (KpuUpload, KpuDownload))]
    *layers, last = steps
    if not (layers and isinstance(last, Dequantize) and all(isinstance(layer, KpuConv) for layer in layers)):
        raise ValueError(f"{model.source} is not one chain of KPU layers with a dequantize at the end")
    if any(a.kpu_out != b.input for a, b in pairwise(layers)):
        raise ValueError(f"{model.source}: a KPU layer does not read the result of the one before it")
    return tuple(layers), last


def conv_body(layer: KpuConv, position: int, main_out: int | None) -> bytes:
    """A K210_CONV body for the file offset ``position``: addresses, record, then the tables at multiples of 128."""
    body = bytearray(24) + struct.pack("<12Q", *layer.descriptor.pack())
    offsets = []
    for table in (layer.weights, layer.batch_norm, layer.activation):
        body += bytes(-(position + len(body)) % TABLE_ALIGNMENT)
        offsets.append(position + len(body))
        body += table.tobytes()
    flags = 0 if main_out is None else MAIN_MEM_OUT
    body[:24] = struct.pack("<6I", flags, main_out or 0, position + 24, *offsets)
    return bytes(body)


def to_v3(model: Model) -> bytes:
    """The model as a kmodel v3 file."""
    layers, dequantize = chain(model)
    map_at, main = main_memory_map(model)
    count = model.outputs[0].tensor.count
    position = HEADER_BYTES + 8 + 8 * (len(layers) + 1)
    table, bodies = b"", b""
    for layer in (*layers, dequantize):
        start = position + len(bodies)
        if isinstance(layer, KpuConv):
            kind, body = K210_CONV, conv_body(layer, start, map_at if layer is layers[-1] else None)
        else:
            kind, body = DEQUANTIZE, struct.pack("<4I2f", 0, map_at, 0, count, layer.scale, layer.bias)
        body += bytes(-(start + len(body)) % BODY_ALIGNMENT)
        table += struct.pack("<2I", kind, len(body))
        bodies += body
    header = struct.pack("<7I", 3, int(model.eight_bit), 0, len(layers) + 1, 0, main, 1)
    return header + struct.pack("<2I", 0, 4 * count) + table + bodies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    options.target.write_bytes(to_v3(load(options.source)))


if __name__ == "__main__":
    main()
