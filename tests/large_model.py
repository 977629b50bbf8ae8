# SPDX-License-Identifier: Apache-2.0
"""A model that just fits the chip's 6 MiB of SRAM; ``python tests/large_model.py OUT.kmodel`` writes it as a file.

A V3 file of 3x3 convolutions with random weights, scaled so that every layer's output uses its whole range.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
from kmodel_writer import v3_conv, v3_file

from openkpu.golden.layers import make_descriptor
from openkpu.golden.parameters import pack_activation, pack_fields
from openkpu.hw.descriptor import Descriptor
from openkpu.hw.fields import BN_FIELDS

SIZE = int(5.9 * 2**20)
INPUT = (3, 28, 40)
CHANNELS = 256
WEIGHT_BUFFER = 73728
K210_CONV, DEQUANTIZE = 10240, 12
MAX_POOL = 1
SECOND_MAP = 16384  # AI-RAM row; the first map is at row 0
# Weights are spread about their zero point, pixels over 0 to 255 (their root mean square is about 150).
ZERO, SPREAD, PIXEL = 128, 25, 150
TARGET = 12800  # half the range of values that the activation maps to 0 to 255


def parameters(d: Descriptor, rng: np.random.Generator) -> tuple[bytes, bytes, bytes]:
    """Weights, batch norm and activation of a layer."""
    weights = np.clip(rng.normal(ZERO, SPREAD, d.o_ch_num * d.taps), 0, 255).astype(np.uint8)
    factor = round(2**15 * TARGET / 2 / (SPREAD * PIXEL * d.taps**0.5))
    norms = pack_fields(BN_FIELDS, norm_mul=np.full(d.o_ch_num, factor), norm_shift=15,
                        norm_add=rng.integers(-TARGET // 4, TARGET // 4, d.o_ch_num))
    unused = np.arange(14) + (1 << 34)
    activation = pack_activation(np.concatenate([[-1 << 35, -TARGET], unused]), [0, 326, *[0] * 14],
                                 [0, 15, *[0] * 14], [0, 0, *[255] * 14])
    return weights.tobytes(), norms.astype("<u8").tobytes(), activation.astype("<u8").tobytes()


def large_model(size: int = SIZE, seed: int = 1) -> bytes:
    """A V3 model of ``size`` bytes, or up to 8 KB less."""
    rng = np.random.default_rng(seed)
    layers, shape, used = [], INPUT, 0
    while True:
        pools = len(layers) < 2
        per_channel = 9 * shape[0]
        last = not pools and size - used < 2 * per_channel * CHANNELS
        channels = (size - used - 1024) // (per_channel + 8) if last else CHANNELS
        source, target = (0, SECOND_MAP) if len(layers) % 2 == 0 else (SECOND_MAP, 0)
        per_load = min(channels, WEIGHT_BUFFER // per_channel)
        d = make_descriptor(shape, channels, kernel_type=1, pool_type=MAX_POOL if pools else 0, arg_x=-ZERO,
                            o_ch_num_coef=per_load, image_src_addr=source, image_dst_addr=target)
        tables = parameters(d, rng)
        layers.append((K210_CONV, lambda at, d=d, tables=tables, last=last:
                       v3_conv(at, d, flags=int(last), parameters=tables)))
        shape = d.out_shape
        used += 512 + sum(map(len, tables))  # with the record and the alignment of the tables
        if last:
            break
    count = int(np.prod(shape))
    layers.append((DEQUANTIZE, struct.pack("<4I2f", 0, 0, count, count, 1.0, 0.0)))
    return v3_file(layers, main=5 * count + 64, outputs=((count, 4 * count),))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: large_model.py OUT.kmodel")
    Path(sys.argv[1]).write_bytes(large_model())
