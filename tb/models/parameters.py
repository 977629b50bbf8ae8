# SPDX-License-Identifier: Apache-2.0
"""Parameter memories of the KPU: fetch and decode of weights, batch-norm and activation tables.

Both golden models start from the :class:`Parameters` made here (spec/kpu-hardware.md sections 4 and 9.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openkpu.hw.descriptor import Descriptor
from openkpu.hw.fields import ACT_FIELDS, ACT_SEGMENTS, ACT_TABLE_BYTES, BN_FIELDS, Field

Read = Callable[[int, int], bytes]
"""``read(bus_address, size) -> bytes``: the KPU's view of main memory."""

MAX_CHANNELS = 1024


def unpack_field(words: np.ndarray, field: Field) -> np.ndarray:
    """One bit field of 64-bit words (uint64, any shape) as int64."""
    value = ((words >> np.uint64(field.lsb)) & np.uint64(field.mask)).astype(np.int64)
    if field.enc == "s":
        value -= (value >> (field.width - 1)) << field.width
    return value


def pack_fields(fields: tuple[Field, ...], **values: np.ndarray) -> np.ndarray:
    """The reverse of :func:`unpack_field` for several fields; every value must fit its field."""
    words = np.zeros(np.broadcast_shapes(*(np.shape(v) for v in values.values())), np.uint64)
    for field in fields:
        words |= (np.asarray(values[field.name], np.int64).astype(np.uint64) & np.uint64(field.mask)) \
            << np.uint64(field.lsb)
    return words


def pack_activation(x_start, y_mul, shift_number, bias) -> np.ndarray:
    """The 18 words of an activation table from four sequences of 16 integers (spec 4.4), uint64."""
    segments = pack_fields(ACT_FIELDS, x_start=x_start, y_mul=y_mul, shift_number=shift_number)
    return np.concatenate([segments, np.asarray(bias, np.uint8).view("<u8")])


@dataclass(frozen=True)
class Parameters:
    """Decoded parameters of one layer.

    Attributes
    ----------
    weights : (OC, n, K, K) int64
        Unsigned weight values; n = 1 for depthwise layers, else IC. Empty for ``bypass_conv``.
    norm_mul, norm_add, norm_shift : (OC,) int64
    x_start, y_mul, shift_number, bias : (16,) int64
    """

    weights: np.ndarray
    norm_mul: np.ndarray
    norm_add: np.ndarray
    norm_shift: np.ndarray
    x_start: np.ndarray
    y_mul: np.ndarray
    shift_number: np.ndarray
    bias: np.ndarray


class ParameterMemory:
    """The on-chip parameter memories, which outlive a layer.

    ``load_act`` = 0, ``load_para`` = 0 and ``load_coor`` = 0 keep what the last layer that did load has left
    (spec 12.1 number 11):

    * activation table: the 18 words;
    * batch-norm table: 1024 entries, a layer replaces entries 0..OC-1 only;
    * weights: the buffer holds the bytes of the *last* load, in memory order. With ``load_coor`` = 0 output channel o
      takes the ``taps * B`` bytes at ``(o % o_ch_num_coef) * taps * B`` of it, in every load. That is defined
      when the last loading layer had the same kernel, input channels, depthwise flag, weight width and at least as many
      channels in its last load; otherwise the weights are unspecified (an implementation may store them
      in an order of its own) but nothing else is affected.

    All contents are zero after reset here and unspecified in hardware.
    """

    def __init__(self) -> None:
        self.act = np.zeros(ACT_TABLE_BYTES // 8, np.uint64)
        self.bn = np.zeros(MAX_CHANNELS, np.uint64)
        self.weights = np.zeros(0, np.uint8)

    def fetch(self, d: Descriptor, read: Read, eight_bit: bool) -> Parameters:
        """Fetch what the descriptor asks for, in hardware order, and decode the tables.

        Only the bytes that are needed are read: the last load may be shorter than ``para_size`` (spec 12.1 number 10).
        Whatever ``read`` raises passes through.
        """
        if d.load_act:
            self.act = np.frombuffer(read(d.active_addr, ACT_TABLE_BYTES), "<u8").astype(np.uint64)
        if d.load_para:
            self.bn[: d.o_ch_num] = np.frombuffer(read(d.bwsx_base_addr, 8 * d.o_ch_num), "<u8")
        weights = np.zeros((0, 0, 0, 0), np.int64) if d.bypass_conv else self._fetch_weights(d, read, eight_bit)
        bn = {f.name: unpack_field(self.bn[: d.o_ch_num], f) for f in BN_FIELDS}
        act = {f.name: unpack_field(self.act[:ACT_SEGMENTS], f) for f in ACT_FIELDS}
        bias = self.act[ACT_SEGMENTS:].astype("<u8").view(np.uint8).astype(np.int64)
        return Parameters(weights, **bn, **act, bias=bias)

    def _fetch_weights(self, d: Descriptor, read: Read, eight_bit: bool) -> np.ndarray:
        per_channel = d.taps * (1 if eight_bit else 2)
        pieces = []
        for first in range(0, d.o_ch_num, d.o_ch_num_coef):
            size = min(d.o_ch_num_coef, d.o_ch_num - first) * per_channel
            if d.load_coor:
                address = d.para_start_addr + first // d.o_ch_num_coef * d.para_size
                self.weights = np.frombuffer(read(address, size), np.uint8)
            elif self.weights.size < size:
                self.weights = np.concatenate([self.weights, np.zeros(size - self.weights.size, np.uint8)])
            pieces.append(self.weights[:size])
        values = np.concatenate(pieces).view("u1" if eight_bit else "<u2").astype(np.int64)
        return values.reshape(d.o_ch_num, 1 if d.depthwise else d.i_ch_num, d.kernel, d.kernel)
