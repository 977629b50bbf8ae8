# SPDX-License-Identifier: Apache-2.0
"""The C interface of the Verilated core (sim/include/openkpu.h), called as a C program would."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from openkpu.devices import build
from openkpu.golden.layers import random_layer
from openkpu.hw.configs import CORES
from openkpu.hw.descriptor import replace
from openkpu.hw.fields import AIRAM_BASE, REGS_BASE, SRAM_BASE, register
from rtl import open_rtl

ROOT = Path(__file__).resolve().parents[1]
TINY = CORES["tiny"].config("tiny")
OK, TIMEOUT, HANG, ADDRESS = range(4)
QUEUE = 16
FIFO = REGS_BASE + register("layer_argument_fifo").offset


class Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("sram_bytes", "latency", "outstanding", "stall_percent", "random_state", "seed", "memory_latency",
                 "memory_beat_tenths")]


class Kpu:
    """A chip and its functions, all with plain integers."""

    def __init__(self, path: Path):
        self.lib = ctypes.CDLL(str(path))
        self.lib.openkpu_create.restype = self.lib.openkpu_sram.restype = ctypes.c_void_p
        self.lib.openkpu_cycles.restype = ctypes.c_uint64
        self.lib.openkpu_message.restype = ctypes.c_char_p
        config = Config()
        self.lib.openkpu_default_config(ctypes.byref(config))
        config.sram_bytes = TINY.sram_bytes
        self.chip = ctypes.c_void_p(self.lib.openkpu_create(ctypes.byref(config)))

    def __call__(self, name: str, *arguments):
        wide = [ctypes.c_uint64(a) if isinstance(a, int) and a >> 31 else a for a in arguments]
        return getattr(self.lib, f"openkpu_{name}")(self.chip, *wide)

    def read64(self, address: int) -> tuple[int, int]:
        value = ctypes.c_uint64()
        return self("read64", address, ctypes.byref(value)), value.value

    def bus_read(self, address: int, size: int) -> tuple[int, bytes]:
        data = ctypes.create_string_buffer(size)
        return self("bus_read", address, data, ctypes.c_size_t(size)), data.raw

    def bus_write(self, address: int, data: bytes) -> int:
        return self("bus_write", address, data, ctypes.c_size_t(len(data)), ctypes.c_uint64(1000))

    def write64(self, address: int, value: int, push_cycles: int = 0) -> int:
        return self("write64", address, ctypes.c_uint64(value), ctypes.c_uint64(push_cycles))

    def put(self, name: str, value: int) -> None:
        assert self.write64(REGS_BASE + register(name).offset, value) == OK

    @property
    def cycles(self) -> int:
        return self("cycles")


@pytest.fixture
def kpu():
    open_rtl("tiny").close()
    chip = Kpu(build.library(CORES["tiny"]))
    yield chip
    chip("destroy")


def slow_layer(**fields):
    """A layer of some thousand cycles, and what it needs in memory."""
    rng = np.random.default_rng(4)
    while True:
        layer = random_layer(rng, TINY, kinds=("conv",), eight_bit=True, max_macs=60_000)
        if layer.descriptor.macs > 40_000:
            return replace(layer, descriptor=replace(layer.descriptor, **fields))


def place(kpu: Kpu, layer) -> None:
    for base, data in layer.memory().items():
        assert kpu.bus_write(base, data) == OK
    assert kpu.bus_write(AIRAM_BASE, layer.airam(TINY.airam_bytes).tobytes()) == OK
    kpu.put("eight_bit_mode", 1)


@pytest.mark.parametrize("patience", [0, 1, 500])
def test_push_into_a_full_queue_gives_up_after_the_cycles_it_was_given(kpu, patience):
    layer = slow_layer(int_en=0, send_data_out=0)
    place(kpu, layer)
    words = layer.words() * (QUEUE + 2)
    pushed, before = 0, kpu.cycles
    while kpu.write64(FIFO, words[pushed], patience) == OK:
        pushed, before = pushed + 1, kpu.cycles
    assert pushed == 12 * (QUEUE + 1), "one runs, and the queue is full"
    assert kpu.cycles - before == patience
    assert b"full" in kpu("message")
    assert kpu.write64(FIFO, words[pushed], patience) == TIMEOUT, "nothing was written: the same call goes on"
    for word in words[pushed:]:
        assert kpu.write64(FIFO, word, 10_000_000) == OK
    for _ in range(100_000):
        if kpu("idle"):
            break
        kpu("step", ctypes.c_uint64(1000))
    assert kpu.read64(REGS_BASE + register("ext_layers").offset) == (OK, QUEUE + 2)


def test_addresses_without_a_register_are_refused(kpu):
    for offset in (4, 1, 7, 0x48, 0x0FF8, 0x1088, 0x1418, 0x1800, 0xFFF8):
        assert kpu.read64(REGS_BASE + offset)[0] == ADDRESS, hex(offset)
        assert kpu.write64(REGS_BASE + offset, 0) == ADDRESS, hex(offset)
        assert b"no register" in kpu("message")
    before = kpu.cycles
    assert kpu.read64(REGS_BASE - 8)[0] == kpu.read64(SRAM_BASE)[0] == ADDRESS
    assert kpu.cycles == before


def test_bus_accesses_reach_whatever_is_there_at_any_width(kpu):
    rng = np.random.default_rng(3)
    for base in (SRAM_BASE, AIRAM_BASE):
        for size in (1, 2, 3, 4, 8, 13, 700):
            data = rng.bytes(size)
            at = base + int(rng.integers(1000))
            assert kpu.bus_write(at, data) == OK
            assert kpu.bus_read(at, size) == (OK, data)
    register_id = REGS_BASE + register("ext_id").offset
    whole = kpu.bus_read(register_id, 16)[1]
    assert whole[:8] == kpu.read64(register_id)[1].to_bytes(8, "little")
    for first, size in ((0, 4), (4, 4), (2, 1), (6, 2), (5, 7)):
        assert kpu.bus_read(register_id + first, size) == (OK, whole[first:first + size])
    mask = REGS_BASE + register("interrupt_mask").offset
    assert kpu.bus_write(mask, (5).to_bytes(8, "little")) == OK
    assert kpu.read64(mask) == (OK, 5)
    assert kpu.bus_write(mask, bytes(4)) == kpu.bus_write(mask + 4, bytes(8)) == ADDRESS, "registers are written whole"
    assert kpu.read64(mask) == (OK, 5)
    assert kpu.bus_read(AIRAM_BASE - 4, 8)[0] == kpu.bus_read(REGS_BASE + 0x50, 8)[0] == ADDRESS


def test_memory_by_pointer_is_the_one_on_the_bus(kpu):
    memory = (ctypes.c_uint8 * TINY.sram_bytes).from_address(kpu("sram"))
    memory[77:80] = b"abc"
    before = kpu.cycles
    assert kpu.bus_read(SRAM_BASE + 77, 3) == (OK, b"abc")
    assert kpu.cycles == before


def test_run_stream_ends_at_the_interrupt_or_at_the_last_byte_whichever_is_first(kpu):
    layer = slow_layer(int_en=1, send_data_out=1)
    place(kpu, layer)
    kpu.put("interrupt_mask", 6)
    expected = b"".join(word.to_bytes(8, "little") for word in layer.result.stream)
    data, taken = ctypes.create_string_buffer(len(expected)), ctypes.c_size_t()

    def run(size: int, cycles: int) -> int:
        return kpu("run_stream", data, ctypes.c_size_t(size), ctypes.c_uint64(cycles), ctypes.byref(taken))

    for word in layer.words():
        assert kpu.write64(FIFO, word) == OK
    assert not kpu("idle")
    assert run(8, 10) == TIMEOUT and taken.value == 0
    assert run(8, 1_000_000) == OK and taken.value == 8 and not kpu("irq")
    first = data.raw[:8]
    assert run(len(expected), 1_000_000) == OK and kpu("irq") and taken.value <= len(expected) - 8
    assert (first + data.raw[:taken.value]) == expected[:8 + taken.value]
    left = len(expected) - 8 - taken.value
    kpu.put("interrupt_clear", 7)
    assert kpu("idle") == (left == 0)
    if left:
        assert run(left, 1000) == OK and data.raw[:left] == expected[-left:]
    before = kpu.cycles
    assert kpu("idle") and kpu.cycles == before


@pytest.mark.parametrize("name, says", [("example", "0 wrong pixels"), ("example_driver", "48 bytes by DMA")])
def test_c_programs_run(kpu, tmp_path, name, says):
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    lib = build.library(CORES["tiny"])
    program = tmp_path / name
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'sim/include'}",
                    str(ROOT / f"sim/{name}.c"), str(lib), f"-Wl,-rpath,{lib.parent}", "-o", str(program)], check=True)
    output = subprocess.run([str(program)], check=True, capture_output=True, text=True, timeout=60).stdout
    assert says in output and "wrong\n" not in output
