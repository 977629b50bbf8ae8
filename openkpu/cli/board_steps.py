# SPDX-License-Identifier: Apache-2.0
"""The steps of ``openkpu board test`` and ``bench``. Each raises DeviceError with the first thing that is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from ..devices.board import BoardDevice
from ..devices.functional import FunctionalDevice
from ..errors import DeviceError
from ..golden.layers import random_layer
from ..golden.on_device import check_layer
from ..hw.fields import AIRAM_BASE, REGS_BASE, SRAM_BASE, register
from ..hw.sources import ROOT
from ..kmodel import Model, load
from ..runtime import Session

DEMO = ROOT / "examples" / "demo" / "shapes.kmodel"
RANDOM_BYTES = 60_000
SPREAD = 1 << 17  # bytes between two words that tell a memory's address lines apart
LAYERS = 8
LAYER_MACS = 100_000
BUSY_READS = 10_000
FLUSH, INVALIDATE, BUSY = (1 << f.lsb for f in register("ext_cache").fields[:3])


def memories(device: BoardDevice, cycles: dict[str, int]) -> str:
    """Both memories: random bytes at odd places, and words all over whose content is their address."""
    rng = np.random.default_rng(1)
    for what, base, size in (("SRAM", SRAM_BASE, device.config.sram_bytes),
                             ("AI RAM", AIRAM_BASE, device.config.airam_bytes)):
        data = rng.integers(0, 256, RANDOM_BYTES).astype(np.uint8).tobytes()
        device.write_memory(base + 1001, data)
        device.write_memory(base + 1004, b"abc")
        _compare(what, base + 1001, device.read_memory(base + 1001, len(data)), data[:3] + b"abc" + data[6:])
        places = [*range(base, base + size, SPREAD), base + size - 4]
        for place in places:
            device.write_memory(place, place.to_bytes(4, "little"))
        for place in places:
            _compare(what, place, device.read_memory(place, 4), place.to_bytes(4, "little"))
    return f"{device.config.sram_bytes >> 10} KB of SRAM, {device.config.airam_bytes >> 10} KB of AI RAM"


def cache(device: BoardDevice, cycles: dict[str, int]) -> str:
    """More bytes than the cache holds; flushed, forgotten, and all back from the memory."""
    lines = device.read64(REGS_BASE + register("ext_cache").offset) >> 32
    if not lines:
        return "none"
    data = np.random.default_rng(2).integers(0, 256, 64 * lines + 5000).astype(np.uint8).tobytes()
    device.write_memory(AIRAM_BASE + 77, data)
    for command in FLUSH, INVALIDATE:
        device.write64(REGS_BASE + register("ext_cache").offset, command)
        for _ in range(BUSY_READS):
            if not device.read64(REGS_BASE + register("ext_cache").offset) & BUSY:
                break
        else:
            raise DeviceError(f"the cache of {lines} lines stays busy")
    _compare("AI RAM behind the cache", AIRAM_BASE + 77, device.read_memory(AIRAM_BASE + 77, len(data)), data)
    return f"{lines} lines, written back and read again"


def layers(device: BoardDevice, cycles: dict[str, int]) -> str:
    """Random layers, the same ones on every board, compared byte for byte.

    A layer that streams its result takes as long as the link; only the others' cycles are noted.
    """
    rng = np.random.default_rng(3)
    for number in range(LAYERS):
        layer = random_layer(rng, device.config, max_macs=LAYER_MACS)
        try:
            count = check_layer(device, layer)
        except AssertionError as error:
            raise DeviceError(f"layer {number} is wrong: {error}") from error
        if not layer.descriptor.send_data_out and not layer.descriptor.full_add:
            cycles[f"layer {number}"] = count
    return f"{LAYERS} layers, {len(cycles)} of them without a stream in {sum(cycles.values())} cycles"


def demo_model(device: BoardDevice, cycles: dict[str, int]) -> str:
    """The demo's model on random pixels."""
    if not DEMO.is_file():
        return "not in this installation"
    model = load(DEMO)
    inputs = _inputs(model)
    expected = Session(model, FunctionalDevice(device.config)).run(inputs)
    session = Session(model, device)
    for number, (mine, golden) in enumerate(zip(session.run(inputs), expected, strict=True)):
        if not np.array_equal(mine, golden):
            raise DeviceError(f"{DEMO.name}: {np.count_nonzero(mine != golden)} of {golden.size} values of output "
                              f"{number} are wrong")
    count = cycles[DEMO.name] = session.cycles or 0
    return f"{count} cycles, {1000 * device.clock_khz / max(1, count):.1f} frames per second"


STEPS = {"memories": memories, "cache": cache, "layers": layers}


def compare_cycles(simulated: BoardDevice, cycles: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    """The same work on a simulated board: what, cycles of the board, cycles of the simulation."""
    others: dict[str, int] = {}
    layers(simulated, others)
    if DEMO.name in cycles:
        demo_model(simulated, others)
    for name, count in cycles.items():
        yield name, count, others[name]


def measure(device: BoardDevice, model: Model, frames: int) -> tuple[int, float]:
    """Clock cycles of a model's KPU layers, and seconds per frame with everything."""
    inputs = _inputs(model)
    session = Session(model, device)
    session.run(inputs)
    begin = time.monotonic()
    for _ in range(frames):
        session.run(inputs)
    return session.cycles or 0, (time.monotonic() - begin) / frames


def _inputs(model: Model) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]


def _compare(what: str, address: int, got: bytes, expected: bytes) -> None:
    wrong = np.flatnonzero(np.frombuffer(got, np.uint8) != np.frombuffer(expected, np.uint8))
    if len(wrong):
        raise DeviceError(f"{what}: {len(wrong)} of {len(expected)} bytes from 0x{address:08x} on read back wrong, the "
                          f"first at 0x{address + wrong[0]:08x}: 0x{got[wrong[0]]:02x} instead of "
                          f"0x{expected[wrong[0]]:02x}")
