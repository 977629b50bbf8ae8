# SPDX-License-Identifier: Apache-2.0
"""Runs whole layers on any ``Device`` through its registers and compares them with the golden model, byte for byte."""

from __future__ import annotations

import numpy as np

from openkpu.hw.device import Device
from openkpu.hw.fields import AIRAM_BASE, REGS_BASE, ROW_BYTES, register

from .layers import Layer

ALL_INTERRUPTS = 7
ONLY_CALC_DONE = 6
LAYER_CYCLES = 5_000_000


def address(name: str) -> int:
    """Bus address of a register."""
    return REGS_BASE + register(name).offset


def push(device: Device, layer: Layer) -> None:
    """Write the descriptor into the queue."""
    for word in layer.words():
        device.write64(address("layer_argument_fifo"), word)


def check_layer(device: Device, layer: Layer) -> int:
    """Run one layer (with int_en) on an idle device; its clock cycles.

    The rows of both maps are filled with a pattern before, so that a byte written too many shows.
    AssertionError names the layer and the first wrong channel, row and column.
    """
    target = layer.descriptor.out_layout
    windows = [slice(m.base * ROW_BYTES, m.end * ROW_BYTES) for m in (layer.source_layout, target)]
    for base, data in layer.memory().items():
        device.write_memory(base, data)
    ram = np.random.default_rng(len(layer.weights)).integers(0, 256, device.config.airam_bytes, np.uint8)
    layer.source_layout.scatter(ram, layer.source)
    for window in windows:
        device.write_memory(AIRAM_BASE + window.start, ram[window].tobytes())
    expected = layer.run(ram)

    for name, value in (("ext_control", 1), ("interrupt_clear", ALL_INTERRUPTS), ("interrupt_mask", ONLY_CALC_DONE),
                        ("eight_bit_mode", int(layer.eight_bit))):
        device.write64(address(name), value)
    push(device, layer)
    stream = device.read_stream(8 * len(expected.stream))
    device.wait_interrupt(LAYER_CYCLES)
    assert device.read64(address("ext_error")) == 0, f"{layer.name}: refused"
    cycles = device.read64(address("ext_cycles"))
    assert stream == np.asarray(expected.stream, "<u8").tobytes(), f"{layer.name}: the stream differs"
    after = ram.copy()
    for window in windows:
        after[window] = np.frombuffer(device.read_memory(AIRAM_BASE + window.start, len(after[window])), np.uint8)
    _compare(layer, ram, after)
    return cycles


def _compare(layer: Layer, expected: np.ndarray, ram: np.ndarray) -> None:
    target = layer.descriptor.out_layout
    got, wanted = target.gather(ram), target.gather(expected)
    wrong = np.argwhere(got != wanted)
    if len(wrong):
        c, y, x = wrong[0]
        raise AssertionError(f"{layer.name}: {len(wrong)} of {got.size} pixels are wrong, the first in channel {c}, "
                             f"row {y}, column {x}: {got[c, y, x]} instead of {wanted[c, y, x]}")
    touched = np.flatnonzero(ram != expected)
    assert not len(touched), f"{layer.name}: {len(touched)} bytes outside the map changed, the first at {touched[0]}"
