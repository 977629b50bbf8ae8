# SPDX-License-Identifier: Apache-2.0
"""Whole layers as test data: random legal ones for every model and bench, and the vendor's ``raw_layers``.

>>> layer = random_layer(np.random.default_rng(1))
>>> layer.words(), layer.memory(), layer.airam(), layer.run()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from openkpu.hw.descriptor import Descriptor
from openkpu.hw.device import KpuConfig
from openkpu.hw.fields import ACT_TABLE_BYTES, DESCRIPTOR, POOLS, ROW_BYTES, SRAM_BASE
from openkpu.hw.layout import MapLayout

from . import fast
from .parameters import BN_FIELDS, MAX_CHANNELS, ParameterMemory, Read, pack_activation, pack_fields
from .reference import LayerResult

FULL = KpuConfig()
LARGEST_LOAD = next(a.field.mask for a in DESCRIPTOR if a.field.name == "para_size")  # bytes

Integer = Callable[[int, int], int]
"""``integer(low, high)``: a random integer, both ends included."""

EDGE_WIDTHS = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129)


def memory_reader(image: dict[int, bytes]) -> Read:
    """A ``read(address, size)`` over a memory image; KeyError for bytes that are not in it."""

    def read(address: int, size: int) -> bytes:
        for base, data in image.items():
            if base <= address and address + size <= base + len(data):
                return data[address - base: address - base + size]
        raise KeyError(f"{size} bytes at 0x{address:08x}")

    return read


@dataclass(frozen=True)
class Layer:
    """One layer with all its data.

    Attributes
    ----------
    descriptor : Descriptor, with all addresses set
    eight_bit : value of the ``eight_bit_mode`` register
    weights : uint8, the bytes at ``para_start_addr``
    bn : (OC,) uint64
    act : (18,) uint64
    source : (C, H, W) uint8, every channel the layer reads
    expected : (OC, OH, OW) uint8, known result of someone else's model, or None
    """

    name: str
    descriptor: Descriptor
    eight_bit: bool
    weights: np.ndarray = field(repr=False)
    bn: np.ndarray = field(repr=False)
    act: np.ndarray = field(repr=False)
    source: np.ndarray = field(repr=False)
    expected: np.ndarray | None = field(default=None, repr=False)

    def words(self) -> list[int]:
        """The 12 descriptor words."""
        return self.descriptor.pack()

    def memory(self) -> dict[int, bytes]:
        """Parameter bytes by bus address; every piece is padded to a multiple of 8 bytes."""
        d = self.descriptor
        pieces = {d.active_addr: self.act.astype("<u8").tobytes(), d.bwsx_base_addr: self.bn.astype("<u8").tobytes(),
                  d.para_start_addr: self.weights.tobytes()}
        return {address: data + bytes(-(address + len(data)) % 8) for address, data in pieces.items() if data}

    @property
    def source_layout(self) -> MapLayout:
        """AI-RAM layout of ``source``."""
        return replace(self.descriptor.in_layout, channels=len(self.source))

    def airam(self, size: int = KpuConfig.airam_bytes, background: np.ndarray | int = 0) -> np.ndarray:
        """AI RAM before the layer, (size,) uint8: ``background`` everywhere but in the source map."""
        ram = np.empty(size, np.uint8)
        ram[:] = background
        self.source_layout.scatter(ram, self.source)
        return ram

    @cached_property
    def result(self) -> LayerResult:
        """Output and stream words by the fast golden model."""
        return self.run()

    def run(self, ram: np.ndarray | None = None) -> LayerResult:
        """Run the fast golden model in ``ram`` (changed in place; a fresh one if None)."""
        return fast.run_layer(self.descriptor, self.airam() if ram is None else ram, memory_reader(self.memory()),
                         self.eight_bit)


def make_descriptor(in_shape: tuple[int, int, int], out_channels: int, *, eight_bit: bool = True,
                    **fields: int) -> Descriptor:
    """A descriptor as a compiler would write it, with the derived fields filled in.

    Parameters
    ----------
    in_shape : (IC, H, W)
    fields : any descriptor fields; what is not given is worked out (sizes, strides, loads) or plain: one load, no
        arguments, ``int_en``, tables one after the other at the start of the SRAM, the output map behind the input map
    """
    channels, height, width = in_shape
    d = Descriptor(**{f: 0 for f in Descriptor.__dataclass_fields__} | {
        "int_en": 1, "load_para": 1, "load_act": 1, "load_coor": 1, "dma_burst_size": 16,
        "i_ch_num": channels, "i_col_high": height, "i_row_wid": width, "o_ch_num": out_channels,
        "o_ch_num_coef": out_channels, "active_addr": SRAM_BASE, "bwsx_base_addr": SRAM_BASE + 0x100,
        "para_start_addr": SRAM_BASE + 0x100 + 8 * MAX_CHANNELS} | fields)
    stride = d.pool[1]
    out_height, out_width = (-(-height // 2), -(-width // 2)) if d.first_stride else (height // stride, width // stride)
    source = MapLayout.of(d.image_src_addr, d.source_channels, height, width)
    target = MapLayout.of(fields.get("image_dst_addr", source.end), out_channels, out_height, out_width)
    derived = {
        "image_dst_addr": target.base, "o_row_wid": out_width, "o_col_high": out_height,
        "load_time": -(-out_channels // d.o_ch_num_coef),
        "para_size": d.taps * d.o_ch_num_coef * (1 if eight_bit else 2),
        "channel_switch_addr": source.group_step, "row_switch_addr": source.row_step, "coef_group": source.group,
        "wb_channel_switch_addr": target.group_step, "wb_row_switch_addr": target.row_step, "wb_group": target.group,
        "channel_byte_num": (out_width * out_height - 1) % 65536 + 1,
        "dma_total_byte": out_width * out_height * out_channels}
    return replace(d, **derived | fields)


def load_raw_layer(path: Path) -> Layer:
    """One file of ``raw_layers`` (8-bit weights)."""
    with np.load(path) as z:
        d = Descriptor.unpack(z["args"].tolist())
        return Layer(f"raw{json.loads(str(z['meta']))['id']:03d}", d, True, z["w"], z["bn"], z["act"], z["x"], z["y"])


def raw_layers(folder: Path) -> Iterator[Layer]:
    """All layers of a ``raw_layers`` folder in order of their numbers."""
    return map(load_raw_layer, sorted(folder.glob("*.npz")))


def random_layer(rng: np.random.Generator, config: KpuConfig = FULL, **limits: Any) -> Layer:
    """A random legal layer. ``limits`` are those of :func:`draw_layer`."""
    return draw_layer(lambda low, high: int(rng.integers(low, high, endpoint=True)), config, **limits)


def layers(config: KpuConfig = FULL, **limits: Any):
    """The same as a hypothesis strategy; shrinks towards small, plain layers."""
    from hypothesis import strategies as st

    @st.composite
    def build(draw) -> Layer:
        return draw_layer(lambda low, high: draw(st.integers(low, high)), config, **limits)

    return build()


def draw_layer(integer: Integer, config: KpuConfig = FULL, *, max_macs: int = 300_000, max_pixels: int = 20_000,
               kinds: Sequence[str] = ("conv", "conv", "conv", "depthwise", "depthwise", "first_stride", "bypass"),
               kernels: Sequence[int] = (1, 0, 1, 0, 5), pools: Sequence[int] = tuple(range(16)),
               eight_bit: bool | None = None) -> Layer:
    """Draw a legal layer for ``config`` from a source of integers.

    Parameters
    ----------
    integer : the source; smaller integers give simpler layers
    max_macs : multiply-accumulates of the layer
    max_pixels : pixels of input and of output map, all channels
    kinds, kernels, pools : what to choose from (kernels and pools are raw field values)
    eight_bit : weight width; drawn if None and the configuration allows both
    """

    def pick(choices: Sequence) -> Any:
        return choices[integer(0, len(choices) - 1)]

    kind, kernel_type, pool_type = pick(kinds), pick(kernels), pick(pools)
    if eight_bit is None:
        eight_bit = not config.has_16bit or integer(0, 3) < 3
    stride = 2 if kind == "first_stride" else POOLS[pool_type][1] if pool_type < len(POOLS) else 1
    taps = 9 if kernel_type == 1 else 1
    pixels = min(max_pixels, config.airam_bytes // 4, max_macs // taps)

    width = pick(EDGE_WIDTHS) if integer(0, 3) else integer(1, 512)
    width = min(max(width, stride), pixels // stride)
    # One channel has to fit half of the AI RAM.
    lines = config.airam_bytes // ROW_BYTES // 2 // MapLayout.of(0, 1, 1, width).row_step
    height = min(max(integer(1, pick((24, 24, 24, 512))), stride), pixels // width, lines)
    if kind == "first_stride":
        width, height = max(width - integer(0, 1), 1), max(height - integer(0, 1), 1)
    area = width * height
    weight_size = 1 if eight_bit else 2
    buffer = config.weight_bytes // (taps * weight_size)
    channels = max(1, min(integer(1, pick((8, 40, 140, 1024))), pixels // area, _map_channels(config, width, height),
                          buffer))
    single = kind in ("depthwise", "bypass")
    if single:
        o_channels = channels
        # para_size is bounded even where nothing is loaded; there are 64 loads at most.
        most = LARGEST_LOAD // (taps * weight_size * -(-o_channels // 64))
        i_channels = min(most, channels if integer(0, 3) else integer(1, 1024))
    else:
        i_channels = channels
        o_channels = max(1, min(integer(1, pick((8, 40, 140, 1024))), max_pixels // area,
                                max_macs // (taps * area * channels), _map_channels(config, width, height),
                                64 * (buffer // channels)))

    shape = {"kernel_type": kernel_type, "pool_type": pool_type, "first_stride": int(kind == "first_stride"),
             "depth_wise_layer": int(kind == "depthwise"), "bypass_conv": int(kind == "bypass")}
    plain = make_descriptor((i_channels, height, width), o_channels, **shape)
    source_rows = replace(plain.in_layout, channels=channels).rows
    source_row, target_row = _place(integer, source_rows, plain.out_layout.rows, config.airam_bytes // ROW_BYTES)

    per_channel = plain.taps * weight_size
    per_load = max(1, min(o_channels, config.weight_bytes // per_channel,
                          o_channels if integer(0, 1) else integer(1, o_channels)))
    per_load = max(per_load, -(-o_channels // 64))

    act_address = SRAM_BASE + 256 * integer(0, 16)
    bn_address = act_address + ACT_TABLE_BYTES + 8 * integer(0, 40)
    weight_address = bn_address + 8 * o_channels + 8 * integer(0, 600)
    data = np.random.default_rng(integer(0, 2**32 - 1))
    weights = _weights(data, 0 if kind == "bypass" else o_channels * per_channel // weight_size, eight_bit)
    convolution = _convolution(data, pick(("model",) * 5 + ("random", "extreme")), taps, eight_bit)
    norm_style = pick(("model",) * 8 + ("random", "extreme"))
    activation = _activation(data, pick((0, 1, 2, 1, 2, 1, 2, 3, 4)))

    d = make_descriptor(
        (i_channels, height, width), o_channels, eight_bit=eight_bit, image_src_addr=source_row,
        image_dst_addr=target_row, o_ch_num_coef=per_load, active_addr=act_address, bwsx_base_addr=bn_address,
        para_start_addr=weight_address, send_data_out=integer(0, 1), full_add=int(integer(0, 7) == 7),
        ram_flag=integer(0, 1), pad_type=integer(0, 1), coef_column_offset=integer(0, 15),
        coef_row_offset=integer(0, 4095), coef_size=integer(0, 255), dma_burst_size=pick((16, 1, 4, 256)),
        **shape, **convolution)
    layer = Layer(f"{kind}{d.kernel}p{pool_type} {channels}x{height}x{width}->{o_channels}", d, eight_bit, weights,
                  np.zeros(o_channels, np.uint64), activation, _pixels(data, (d.source_channels, height, width)))
    parameters = ParameterMemory().fetch(d, memory_reader(layer.memory()), eight_bit)
    return replace(layer, bn=_norms(data, norm_style, fast.alu(d, layer.source, parameters)))


def _map_channels(config: KpuConfig, width: int, height: int) -> int:
    """Channels of a map that fills half of the AI RAM."""
    one = MapLayout.of(0, 1, height, width)
    return config.airam_bytes // ROW_BYTES // 2 // (one.row_step * height) * one.group


def _place(integer: Integer, source_rows: int, target_rows: int, rows: int) -> tuple[int, int]:
    """First rows of two maps that do not overlap."""
    spare = rows - source_rows - target_rows
    before = integer(0, spare)
    gap = integer(0, spare - before)
    if integer(0, 1):
        return before + target_rows + gap, before
    return before, before + source_rows + gap


def _pixels(data: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    low, high = [(0, 255), (0, 40), (200, 255), (254, 255)][data.integers(4)]
    return data.integers(low, high, shape, np.uint8, endpoint=True)


def _weights(data: np.random.Generator, count: int, eight_bit: bool) -> np.ndarray:
    top = 255 if eight_bit else 65535
    style = data.integers(3)
    if style == 0:
        values = data.integers(0, top, count, endpoint=True)
    elif style == 1:
        values = np.clip(data.normal(top / 2, top / 10, count), 0, top)
    else:
        values = data.choice([0, top, top // 2], count)
    return values.astype("u1" if eight_bit else "<u2").view(np.uint8)


def _convolution(data: np.random.Generator, style: str, taps: int, eight_bit: bool) -> dict[str, int]:
    """arg_*, shr_* and pad_value: as compilers set them, random, or at the ends of their ranges."""
    if style == "model":
        zero_x, shr_x, shr_w = int(data.integers(256)), int(data.choice([0, 15])), int(data.choice([0, 15]))
        # 24 bits hold the zero point of 16-bit weights with a shift of 7 at most.
        zero_w, shr_x = (int(data.integers(256)), shr_x) if eight_bit else (int(data.integers(65536)), shr_x // 2)
        return {"pad_value": zero_x, "arg_w": -zero_x << shr_w, "arg_x": -zero_w << shr_x, "shr_w": shr_w,
                "shr_x": shr_x, "arg_add": taps * zero_x * zero_w}
    high = (1 << 23) - 1
    if style == "random":
        def signed(bits: int) -> int:
            return int(data.integers(-1 << bits - 1, 1 << bits - 1)) >> int(data.integers(bits))

        return {"pad_value": int(data.integers(256)), "arg_w": signed(24), "arg_x": signed(24), "arg_add": signed(40),
                "shr_w": int(data.integers(16)), "shr_x": int(data.integers(16))}
    return {"pad_value": int(data.choice([0, 255])), "arg_w": int(data.choice([-high - 1, high])),
            "arg_x": int(data.choice([-high - 1, high])), "shr_w": int(data.choice([0, 15])),
            "shr_x": int(data.choice([0, 15])), "arg_add": int(data.choice([-1 << 39, (1 << 39) - 1]))}


def _norms(data: np.random.Generator, style: str, alu: np.ndarray) -> np.ndarray:
    """Batch-norm words; "model" brings v to about +-20000. Bits [63:60] are garbage."""
    count = len(alu)
    if style == "model":
        low, high = alu.min(axis=(1, 2)), alu.max(axis=(1, 2))
        factor = 2.0**15 * 20000 / np.maximum((high - low) / 2, 1) * data.uniform(0.3, 2, count)
        factor = np.clip(factor, 1, 2**21).astype(np.int64) * data.choice([1, 1, 1, -1], count)
        centre = np.clip(((low + high) / 2 * factor).astype(np.int64) >> 15, -1 << 30, 1 << 30)
        values = {"norm_mul": factor, "norm_shift": np.full(count, 15),
                  "norm_add": data.integers(-10000, 10000, count) - centre}
    elif style == "random":
        values = {"norm_mul": data.integers(-1 << 23, 1 << 23, count) >> data.integers(0, 24, count),
                  "norm_shift": data.integers(0, 16, count),
                  "norm_add": data.integers(-1 << 31, 1 << 31, count) >> data.integers(0, 32, count)}
    else:
        values = {"norm_mul": data.choice([-1 << 23, (1 << 23) - 1, 0], count),
                  "norm_shift": data.choice([0, 15], count), "norm_add": data.choice([-1 << 31, (1 << 31) - 1], count)}
    words = pack_fields(BN_FIELDS, **{name: np.asarray(v).astype(np.int64) for name, v in values.items()})
    return words | data.integers(0, 16, count, np.uint64) << np.uint64(60)


def _activation(data: np.random.Generator, style: int) -> np.ndarray:
    """Activation words; bits [63:60] are garbage."""
    bottom, top = -(1 << 35), (1 << 35) - 1
    if style == 0:  # ReLU as nncase v0.1 writes it
        starts = np.concatenate([[bottom], np.arange(-9, 0) << 32, [0], top - 20 + np.arange(5)])
        table = starts, np.where(starts == 0, 1024, 0), np.where(starts == 0, data.integers(16, 19), 0), np.zeros(16)
    elif style in (1, 2):  # a function fitted by 15 pieces; style 2 also falls and has ties
        starts = np.sort(data.integers(-30000, 30000, 15))
        scale = data.integers(1000, 32767, 15) * (data.choice([-1, 1], 15) if style == 2 else 1)
        shift = data.integers(17, 23, 15) if style == 1 else data.integers(15, 24, 15)
        table = np.append(bottom, starts), np.append(0, scale), np.append(0, shift), data.integers(0, 256, 16)
    elif style == 3:  # equal and unsorted starts, any shift
        table = (data.choice([0, 1, -1, 5, -300, 300, bottom, top], 16), data.integers(-1 << 15, 1 << 15, 16),
                 data.integers(0, 256, 16), data.integers(0, 256, 16))
    else:  # everything at random
        table = (data.integers(bottom, top, 16, endpoint=True) >> data.integers(0, 36, 16),
                 data.integers(-1 << 15, 1 << 15, 16), data.integers(0, 64, 16), data.integers(0, 256, 16))
    words = pack_activation(*(np.asarray(column).astype(np.int64) for column in table))
    words[:16] |= data.integers(0, 16, 16, np.uint64) << np.uint64(60)
    return words
