"""kpu_array with its segments and processing elements: sums of products, sums of pixels, both weight sets and banks."""

from __future__ import annotations

import os
import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from openkpu.hw.configs import CORES
from tb.bench import CONFIGURATIONS, RTL, run_bench
from tb.clocked import ClockedBench

CORE = CORES[os.environ.get("KPU_CONFIG", "full")]
SEGS, SEGLEN, LPS, DEPTH = CORE.SEGS, CORE.SEGLEN, CORE.LPS, 64
LGSEGS = SEGS.bit_length() - 1
LANES = SEGS * LPS
SUM_BITS, XSUM_BITS = 36, 22


def nine(rng: random.Random) -> bytes:
    """Nine weights or pixels: random ones, or the largest products there are."""
    return bytes(9) if rng.random() < 0.05 else b"\xff" * 9 if rng.random() < 0.1 else rng.randbytes(9)


def dot(a: bytes, b: bytes) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


class Bench(ClockedBench):
    low = ("a_valid", "w_valid", "d_re", "dw", "dw_en", "lgp")

    async def weights(self, data: list[bytes], bank: int, lgp: int) -> None:
        dut = self.dut
        for o, entry in enumerate(data):
            for name, value in (("valid", 1), ("bank", bank), ("dw", 0), ("seg", o // SEGLEN),
                                ("mask", SEGS - 1 >> lgp), ("pe", o % SEGLEN),
                                ("data", int.from_bytes(entry, "little"))):
                getattr(dut, f"w_{name}").value = value
            await RisingEdge(dut.clk)
        dut.w_valid.value = 0

    async def feed(self, windows: list[list[bytes]], lgp: int, **controls: int) -> None:
        """One pass: windows[address][column], with pauses."""
        dut = self.dut
        for address, columns in enumerate(windows):
            while self.rng.random() < 0.2:
                dut.a_valid.value = 0
                dut.win.value = self.rng.getrandbits(SEGS * 72)
                await RisingEdge(dut.clk)
            dut.win.value = sum(int.from_bytes(x, "little") << 72 * c for c, x in enumerate(columns))
            dut.a_valid.value = 1
            dut.a_addr.value = address
            for name, value in controls.items():
                getattr(dut, f"a_{name}").value = value
            await RisingEdge(dut.clk)
        dut.a_valid.value = 0

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
    rng = b.rng
    weight_set = 0
    for number in range(16):
        lgp, bank = rng.randint(0, LGSEGS), number % 2
        dut.lgp.value = lgp
        columns, spc = 1 << lgp, SEGS >> lgp
        addresses = rng.randint(2, DEPTH)
        sums = [[[0] * (spc * SEGLEN) for _ in range(columns)] for _ in range(addresses)]
        pixels = [[0] * columns for _ in range(addresses)]
        wide, passes = rng.getrandbits(1), rng.randint(1, 4)
        for i in range(passes):
            windows = [[nine(rng) for _ in range(columns)] for _ in range(addresses)]
            for high in range(1 + wide):
                data = [nine(rng) for _ in range(spc * SEGLEN)]
                await b.weights(data, weight_set, lgp)
                await b.feed(windows, lgp, bank=bank, weights=weight_set, first=int(i == 0 and high == 0), high=high)
                weight_set ^= 1
                for a in range(addresses):
                    for c in range(columns):
                        for o, w in enumerate(data):
                            sums[a][c][o] += dot(windows[a][c], w) << 8 * high
                        pixels[a][c] += 0 if high else sum(windows[a][c])
        await ClockCycles(dut.clk, SEGS + 2)
        for a in rng.sample(range(addresses), min(addresses, 12)):
            for phase in range(SEGLEN // LPS):
                got, got_pixels = await b.read(bank, phase, a)
                for lane in range(LANES):
                    segment, i = divmod(lane, LPS)
                    column, nth = divmod(segment, spc)
                    o = nth * SEGLEN + phase * LPS + i
                    assert got[lane] == sums[a][column][o], f"P {columns}, sum {a}, column {column}, channel {o}"
                    assert got_pixels[lane] == pixels[a][column], f"P {columns}, pixel sum {a}, column {column}"


@cocotb.test()
async def one_bank_is_read_while_the_other_is_summed(dut):
    b = Bench(dut)
    await b.reset()
    rng = b.rng
    dut.lgp.value = 0
    data = [nine(rng) for _ in range(SEGS * SEGLEN)]
    await b.weights(data, 0, 0)
    windows = [[[nine(rng)] for _ in range(DEPTH)] for _ in range(2)]
    await b.feed(windows[0], 0, bank=0, weights=0, first=1, high=0)
    await ClockCycles(dut.clk, SEGS + 2)
    feeding = cocotb.start_soon(b.feed(windows[1], 0, bank=1, weights=0, first=1, high=0))
    for bank in (0, 1):
        for a in range(0, DEPTH, 5):
            got, _ = await b.read(bank, 0, a)
            for lane in range(LANES):
                segment, i = divmod(lane, LPS)
                assert got[lane] == dot(windows[bank][a][0], data[segment * SEGLEN + i])
        if bank == 0:
            await feeding
            await ClockCycles(dut.clk, SEGS + 2)


@cocotb.test()
async def depthwise_windows_leave_one_cycle_later(dut):
    b = Bench(dut)
    await b.reset()
    rng = b.rng
    dut.dw.value = 1
    for weight_set, pair in ((0, 0), (1, 1), (0, 1)):
        data = [nine(rng) for _ in range(1 + pair)]
        top = SEGS // 2
        for k, entry in enumerate(data):
            for name, value in (("valid", 1), ("bank", weight_set), ("dw", 1), ("seg", top * k), ("mask", top * pair),
                                ("pe", 0), ("data", int.from_bytes(entry, "little"))):
                getattr(dut, f"w_{name}").value = value
            await RisingEdge(dut.clk)
        dut.w_valid.value = 0
        dut.a_weights.value = weight_set
        for _ in range(20):
            windows = [nine(rng) for _ in range(LANES)]
            dut.dww.value = sum(int.from_bytes(x, "little") << 72 * lane for lane, x in enumerate(windows))
            dut.dw_en.value = 1
            await RisingEdge(dut.clk)
            dut.dw_en.value = 0
            dut.dww.value = rng.getrandbits(LANES * 72)
            await ClockCycles(dut.clk, rng.randint(0, 2))
            await FallingEdge(dut.clk)
            half = LANES // 2
            assert split(dut.d_sums.value, SUM_BITS) == [
                dot(x, data[lane // half if pair else 0]) for lane, x in enumerate(windows)]
            assert split(dut.d_xsums.value, XSUM_BITS) == [sum(x) for x in windows]
            await RisingEdge(dut.clk)


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_array(simulator, name):
    core = CORES[name]
    run_bench(simulator, "kpu_array", "tb.array.test_array",
              [*(RTL / f"conv/kpu_{part}.v" for part in ("array", "segment", "pe")), RTL / "kpu_ram.v",
               RTL / "kpu_sum_of_nine.v"],
              parameters={"SEGS": core.SEGS, "SEGLEN": core.SEGLEN, "LPS": core.LPS, "DEPTH": DEPTH},
              environment={"KPU_CONFIG": name})
