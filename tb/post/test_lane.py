# SPDX-License-Identifier: Apache-2.0
"""kpu_lane: affine, activation and pool of one value per cycle, against the reference model (spec 5.1, 6, 7, 8)."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from openkpu.golden.reference import Segment, activate, batch_norm, pool, wrap36
from tb.bench import SIMULATORS, run_bench

# pool type: (values of a window, kpu_post's controls)
POOLS = {0: (1, {}), 1: (4, {"pool_max": 1}), 2: (4, {"pool_sum": 1, "pool_shift": 2}), 3: (16, {"pool_max": 1}),
         4: (16, {"pool_sum": 1, "pool_shift": 4})}
TOP = 1 << 35


def signed(rng: random.Random, bits: int) -> int:
    """A signed number: small, of any size, or at an end of the range."""
    high = (1 << bits - 1) - 1
    return rng.choice((0, 1, -1, high, -high - 1, rng.randint(-high - 1, high) >> rng.randrange(bits),
                       rng.randint(-high - 1, high)))


class Lane:
    """Parameters of one layer, and the pipeline's controls as kpu_post gives them."""

    def __init__(self, dut, rng: random.Random):
        self.dut, self.rng = dut, rng
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        for name in ("en", "valid", "p_we", "seg_we", "pool_max", "pool_sum", "pool_shift", "first13"):
            getattr(dut, name).value = 0

    async def configure(self, segments: list[Segment], arg_x: int, shr_x: int, norms: list[tuple], constants: list[int],
                        pool_type: int) -> None:
        dut = self.dut
        self.segments, self.arg_x, self.shr_x = segments, arg_x, shr_x
        self.norms, self.constants, self.pool_type = norms, constants, pool_type
        dut.shr_x.value = shr_x
        least = [min(s.x_start for s in segments[i:]) & (1 << 36) - 1 for i in range(16)]
        dut.quarters.value = least[4] | least[8] << 36 | least[12] << 72
        act_bank = self.rng.getrandbits(1)
        dut.act_bank.value = act_bank
        for i, s in enumerate(segments):
            dut.seg_we.value = 1
            dut.seg_windex.value = act_bank << 4 | i
            dut.seg_wdata.value = s.bias << 58 | (s.x_start & (1 << 36) - 1) << 22 | (s.y_mul & 0xFFFF) << 6 | s.shift
            dut.seg_wleast.value = least[i]
            await RisingEdge(dut.clk)
        dut.seg_we.value = 0
        for name in ("pool_max", "pool_sum", "pool_shift"):
            getattr(dut, name).value = POOLS[pool_type][1].get(name, 0)
        for bank in (0, 1):
            mul, shift, add = norms[bank]
            dut.p_we.value = 1
            dut.p_bank.value = bank
            dut.p_bn.value = mul & 0xFFFFFF | (add & 0xFFFFFFFF) << 24 | shift << 56
            dut.p_c.value = constants[bank] & (1 << 36) - 1
            await RisingEdge(dut.clk)
        dut.p_we.value = 0

    def activated(self, total: int, xsum: int, bank: int) -> int:
        alu = wrap36(total + ((self.arg_x * xsum) >> self.shr_x) + self.constants[bank])
        return activate(batch_norm(alu, *self.norms[bank]), self.segments)

    async def run(self, windows: list[tuple[int, list[tuple[int, int]]]], stall: float = 0.3) -> list[int]:
        """Feed windows of (parameter bank, [(sum, pixel sum)]); the result of each."""
        dut, results = self.dut, []
        tokens = deque((bank, value, i == 0, i == len(values) - 1)
                       for bank, values in windows for i, value in enumerate(values))
        pipe: list[tuple | None] = [None] * 15  # pipe[k]: what enters stage k
        while tokens or any(pipe):
            enabled = self.rng.random() >= stall
            if pipe[1] is None and tokens and self.rng.random() >= stall:
                pipe[1] = tokens.popleft()
            dut.en.value = int(enabled)
            dut.seg_windex.value = self.rng.getrandbits(5)  # not written
            dut.seg_wdata.value, dut.seg_wleast.value = self.rng.getrandbits(66), self.rng.getrandbits(36)
            dut.valid.value = sum(1 << k - 1 for k in range(1, 14) if pipe[k])
            for port, stage in (("bank4", 4), ("bank5", 5), ("bank6", 6)):
                getattr(dut, port).value = pipe[stage][0] if pipe[stage] else self.rng.getrandbits(1)
            dut.first13.value = int(pipe[13][2]) if pipe[13] else self.rng.getrandbits(1)
            total = pipe[1][1][0] if pipe[1] else self.rng.getrandbits(36)
            dut.sum.value = total & (1 << 36) - 1
            product = self.arg_x * pipe[4][1][1] if pipe[4] else self.rng.getrandbits(47)
            dut.product.value = product & (1 << 47) - 1
            await FallingEdge(dut.clk)
            if enabled:
                if pipe[14] and pipe[14][3]:
                    results.append(int(dut.result.value))
                pipe = [None, None, *pipe[1:14]]
            await RisingEdge(dut.clk)
        return results

    def expected(self, windows) -> list[int]:
        size = POOLS[self.pool_type][0]
        side = int(size ** 0.5)
        result = []
        for bank, values in windows:
            y = [self.activated(total, xsum, bank) for total, xsum in values]
            image = [y[i * side:(i + 1) * side] for i in range(side)]
            result.append(pool(image, self.pool_type, 1, 1)[0][0])
        return result

    async def check(self, windows) -> None:
        got, expected = await self.run(windows), self.expected(windows)
        assert len(got) == len(expected)
        for (bank, values), a, e in zip(windows, got, expected, strict=True):
            assert a == e, f"bank {bank}, values {values}: {a} instead of {e}; {vars(self)}"


@cocotb.test()
async def any_parameters_and_values(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    lane = Lane(dut, rng)
    for _ in range(60):
        segments = [Segment(signed(rng, 36), signed(rng, 16), rng.randrange(64), rng.randrange(256)) for _ in range(16)]
        if rng.random() < 0.6:
            segments.sort(key=lambda s: s.x_start)
        norms = [(signed(rng, 24), rng.randrange(16), signed(rng, 32)) for _ in range(2)]
        pool_type = rng.choice(list(POOLS))
        await lane.configure(segments, signed(rng, 24), rng.randrange(16), norms,
                             [signed(rng, 36) for _ in range(2)], pool_type)
        await lane.check([
            (rng.getrandbits(1), [(signed(rng, 36), rng.choice((0, 1, (1 << 22) - 1, rng.getrandbits(22))))
                                  for _ in range(POOLS[pool_type][0])]) for _ in range(8)])


@cocotb.test()
async def values_around_every_segment_and_every_tie(dut):
    """v passes through unchanged (norm_mul = 1), so that segments and halves are met exactly, on both sides of zero."""
    rng = random.Random(cocotb.RANDOM_SEED)
    lane = Lane(dut, rng)
    for _ in range(25):
        starts = sorted(rng.randint(-2000, 2000) for _ in range(15))
        segments = [Segment(x, rng.choice((1, -1, 3, -5, 32767, -32768)), rng.choice((0, 1, 2, 4, 16, 63)),
                            rng.choice((0, 1, 128, 255))) for x in (-TOP, *starts)]
        await lane.configure(segments, 0, 0, [(1, 0, 0)] * 2, [0, 0], 0)
        values = {x + offset for x in starts for offset in (-1, 0, 1, 2)}
        values |= {x + (1 << shift - 1) * odd for x in starts for shift in (1, 2, 4) for odd in (1, 3, 5)}
        await lane.check([(rng.getrandbits(1), [(v, 0)]) for v in values])


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_kpu_lane(simulator):
    run_bench(simulator, "kpu_lane", "tb.post.test_lane")
