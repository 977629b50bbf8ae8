# SPDX-License-Identifier: Apache-2.0
"""kpu_array with its segments and processing elements: sums of products and of pixels, both banks, passes in a row."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import cocotb
import pytest
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge

from openkpu.hw.configs import CORES
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench, runs_on

CORE = CORES[os.environ.get("KPU_CONFIG", "full")]
SEGS, SEGLEN, LPS, DEPTH = CORE.SEGS, CORE.SEGLEN, CORE.LPS, 64
LGSEGS = SEGS.bit_length() - 1
LANES = SEGS * LPS
SUM_BITS, XSUM_BITS = 36, 22
# Icarus takes two minutes for what Verilator does with the large array, so it gets a third of it.
SHARE = 3 if SEGS == 8 and runs_on("icarus") else 1


def nine(rng: random.Random) -> bytes:
    """Nine weights or pixels: random ones, or the largest products there are."""
    return bytes(9) if rng.random() < 0.05 else b"\xff" * 9 if rng.random() < 0.1 else rng.randbytes(9)


def dot(a: bytes, b: bytes) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


@dataclass
class Pass:
    """One set of weights and the pixels it sees."""

    weights: list[bytes]
    windows: list[list[bytes]]              # [address][column]; depthwise [cycle][lane]
    controls: dict[str, int] = field(default_factory=dict)


class Bench(ClockedBench):
    low = ("a_valid", "a_ends", "w_valid", "w_loaded", "d_re", "dw", "dw_en", "lgp")

    def __init__(self, dut, stall: float = 0.0):
        super().__init__(dut, stall)
        self.now = 0                        # cycles
        self.loaded: list[int] = []         # cycle of every pass's last weights
        self.ended: list[int] = []          # cycle in which every pass's last pixels came in

    async def run(self, passes: list[Pass], lgp: int, dw: bool = False, pair: bool = False,
                  cycles: int | None = None) -> None:
        """Passes with the timing of kpu_weights and kpu_issue, as tight as those have it; or the first cycles."""
        dut = self.dut
        dut.lgp.value, dut.dw.value = lgp, int(dw)
        self.loaded, self.ended = [], []
        loader = self._load(passes, lgp, dw, pair)
        feeder = self._feed(passes, dw)
        busy = True
        while busy and (cycles is None or self.now < cycles):
            busy = next(loader, "end") != "end"
            busy = next(feeder, "end") != "end" or busy
            await RisingEdge(dut.clk)
            self.now += 1
        dut.w_valid.value = dut.w_loaded.value = dut.a_valid.value = dut.dw_en.value = 0

    def _load(self, passes: list[Pass], lgp: int, dw: bool, pair: bool) -> Iterator[None]:
        """Cycle by cycle the weights: at most two sets that are not used up."""
        dut, top = self.dut, SEGS // 2
        for n, one in enumerate(passes):
            # See kpu_segment: the weights in use are left 3 cycles after the pass's last pixels came in (depthwise 4).
            while n > 1 and (len(self.ended) < n - 1 or self.now < self.ended[n - 2] + 3 + dw):
                yield
            while n > 0 and self.now < self.loaded[-1] + 2:
                yield
            for o, entry in enumerate(one.weights):
                while self.rng.random() < self.stall:
                    yield
                values = {"valid": 1, "loaded": int(o + 1 == len(one.weights)), "dw": int(dw),
                          "data": int.from_bytes(entry, "little")}
                values |= {"seg": top * o, "mask": top * pair, "pe": self.rng.randrange(SEGLEN)} if dw else {
                    "seg": o // SEGLEN, "mask": SEGS - 1 >> lgp, "pe": o % SEGLEN}
                for name, value in values.items():
                    getattr(dut, f"w_{name}").value = value
                if o + 1 == len(one.weights):
                    self.loaded.append(self.now)
                yield
                dut.w_valid.value = dut.w_loaded.value = 0
                dut.w_data.value = self.rng.getrandbits(72)

    def _feed(self, passes: list[Pass], dw: bool) -> Iterator[None]:
        """Cycle by cycle the pixels, with pauses."""
        dut = self.dut
        enable, pixels = (dut.dw_en, dut.dww) if dw else (dut.a_valid, dut.win)
        for n, one in enumerate(passes):
            while len(self.loaded) <= n or self.now < self.loaded[n] + 3:
                yield
            for address, columns in enumerate(one.windows):
                while self.rng.random() < self.stall:
                    yield
                last = address + 1 == len(one.windows)
                pixels.value = sum(int.from_bytes(x, "little") << 72 * c for c, x in enumerate(columns))
                enable.value = 1
                dut.a_ends.value = int(last)
                dut.a_addr.value = address
                for name, value in one.controls.items():
                    getattr(dut, f"a_{name}").value = value
                if last:
                    self.ended.append(self.now)
                yield
                enable.value = 0
                pixels.value = self.rng.getrandbits(72 * SEGS)
                dut.a_ends.value = self.rng.getrandbits(1)

    async def read(self, bank: int, phase: int, address: int) -> tuple[list[int], list[int]]:
        """Sums and pixel sums of all lanes."""
        dut = self.dut
        for name, value in (("re", 1), ("bank", bank), ("phase", phase), ("addr", address)):
            getattr(dut, f"d_{name}").value = value
        await RisingEdge(dut.clk)
        dut.d_re.value = 0
        await FallingEdge(dut.clk)
        return [split(getattr(dut, name).value, bits) for name, bits in (("d_sums", SUM_BITS), ("d_xsums", XSUM_BITS))]


def split(value, bits: int) -> list[int]:
    value = int(value)
    return [value >> bits * lane & (1 << bits) - 1 for lane in range(LANES)]


@cocotb.test()
async def sums_of_several_passes_in_all_column_arrangements(dut):
    b = Bench(dut)
    await b.reset()
    for number in range(20 // SHARE):
        b.stall = b.rng.choice((0.0, 0.0, 0.2))
        await normal_layer(b, bank=number % 2, full=number == 0)


async def normal_layer(b: Bench, bank: int, cycles: int | None = None, *, full: bool = False) -> None:
    """A block of several passes; its sums, unless it is to be left after so many cycles.

    The first one is full: elements without weights would give undefined sums.
    """
    dut, rng = b.dut, b.rng
    lgp = 0 if full else rng.randint(0, LGSEGS)
    columns, spc = 1 << lgp, SEGS >> lgp
    addresses = rng.choice((2, 3, rng.randint(2, DEPTH)))
    outs = spc * SEGLEN if full else rng.choice((1, spc * SEGLEN, rng.randint(1, spc * SEGLEN)))
    sums = [[[0] * outs for _ in range(columns)] for _ in range(addresses)]
    pixels = [[0] * columns for _ in range(addresses)]
    wide = rng.getrandbits(1)
    passes = []
    used: list[bytes] = []
    for i in range(rng.randint(1, 6)):
        windows = [[nine(rng) for _ in range(columns)] for _ in range(addresses)]
        for high in range(1 + wide):
            # A pass with fewer channels than the one before leaves the weights of the others.
            data = [nine(rng) for _ in range(outs if not passes else rng.choice((1, outs, rng.randint(1, outs))))]
            used = data + used[len(data):]
            passes.append(Pass(data, windows, {"bank": bank, "first": int(i == 0 and high == 0), "high": high}))
            for a in range(addresses):
                for c in range(columns):
                    for o, w in enumerate(used):
                        sums[a][c][o] += dot(windows[a][c], w) << 8 * high
                    pixels[a][c] += 0 if high else sum(windows[a][c])
    b.now = 0
    await b.run(passes, lgp, cycles=cycles)
    if cycles:
        return
    await ClockCycles(dut.clk, SEGS + 2)
    for a in rng.sample(range(addresses), min(addresses, 12)):
        for phase in range(SEGLEN // LPS):
            got, got_pixels = await b.read(bank, phase, a)
            for lane in range(LANES):
                segment, i = divmod(lane, LPS)
                column, nth = divmod(segment, spc)
                o = nth * SEGLEN + phase * LPS + i
                if o < outs:
                    assert got[lane] == sums[a][column][o], f"P {columns}, sum {a}, column {column}, channel {o}"
                assert got_pixels[lane] == pixels[a][column], f"P {columns}, pixel sum {a}, column {column}"


@cocotb.test()
async def one_bank_is_read_while_the_other_is_summed(dut):
    b = Bench(dut, 0.2)
    await b.reset()
    rng = b.rng
    data = [[nine(rng) for _ in range(SEGS * SEGLEN)] for _ in range(2)]
    windows = [[[nine(rng)] for _ in range(DEPTH)] for _ in range(2)]
    passes = [Pass(data[bank], windows[bank], {"bank": bank, "first": 1, "high": 0}) for bank in (0, 1)]
    await b.run(passes[:1], 0)
    await ClockCycles(dut.clk, SEGS + 2)
    feeding = cocotb.start_soon(b.run(passes[1:], 0))
    for bank in (0, 1):
        for a in range(0, DEPTH, 5):
            got, _ = await b.read(bank, 0, a)
            for lane in range(LANES):
                segment, i = divmod(lane, LPS)
                assert got[lane] == dot(windows[bank][a][0], data[bank][segment * SEGLEN + i])
        if bank == 0:
            await feeding
            await ClockCycles(dut.clk, SEGS + 2)


@cocotb.test()
async def depthwise_windows_leave_one_cycle_later(dut):
    b = Bench(dut)
    await b.reset()
    for number in range(12 // SHARE):
        b.stall = b.rng.choice((0.0, 0.0, 0.2))
        await depthwise_layer(b, pair=bool(number % 2))


async def depthwise_layer(b: Bench, pair: bool, cycles: int | None = None) -> None:
    """A few channels; every result when it leaves, unless the layer is to be left after so many cycles."""
    dut, rng = b.dut, b.rng
    passes = [Pass([nine(rng) for _ in range(1 + pair)],
                   [[nine(rng) for _ in range(LANES)] for _ in range(rng.choice((1, 2, 20)))])
              for _ in range(rng.randint(1, 6))]
    b.now = 0
    running = cocotb.start_soon(b.run(passes, rng.randint(0, LGSEGS), dw=True, pair=pair, cycles=cycles))
    if cycles:
        await running
        return
    half = LANES // 2
    for one in passes:
        for windows in one.windows:
            await FallingEdge(dut.clk)
            while dut.dw_en.value == 0:
                await FallingEdge(dut.clk)
            await RisingEdge(dut.clk)
            await ReadOnly()
            assert split(dut.d_sums.value, SUM_BITS) == [
                dot(x, one.weights[lane // half if pair else 0]) for lane, x in enumerate(windows)]
            assert split(dut.d_xsums.value, XSUM_BITS) == [sum(x) for x in windows]
    await running


@cocotb.test()
async def kinds_of_layers_alternate_and_a_reset_ends_them(dut):
    b = Bench(dut)
    await b.reset()
    await normal_layer(b, 0, full=True)
    for number in range(24 // SHARE):
        b.stall = b.rng.choice((0.0, 0.2))
        cycles = b.rng.randint(1, 60) if b.rng.random() < 0.4 else None
        if b.rng.getrandbits(1):
            await normal_layer(b, number % 2, cycles)
        else:
            await depthwise_layer(b, bool(b.rng.getrandbits(1)), cycles)
        if cycles:
            await b.reset()


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_array(simulator, name):
    core = CORES[name]
    run_bench(simulator, "kpu_array", "tb.conv.test_array",
              parameters={"SEGS": core.SEGS, "SEGLEN": core.SEGLEN, "LPS": core.LPS, "DEPTH": DEPTH},
              environment={"KPU_CONFIG": name})
