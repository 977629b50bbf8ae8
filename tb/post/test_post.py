# SPDX-License-Identifier: Apache-2.0
"""kpu_post: tokens, values, lane parameters and activation tables meet in the lanes, whatever stalls."""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import cocotb
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from openkpu.golden.parameters import pack_activation
from openkpu.golden.reference import Segment, activate, batch_norm, pool, wrap36
from openkpu.hw.configs import CORES
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench
from tb.plans import pack

NAME = os.environ.get("KPU_CONFIG", "full")
CORE = CORES[NAME]
SEGS, LPS = CORE.SEGS, CORE.LPS
LANES = SEGS * LPS
# Values per side of a window; pools that pick a pixel get that pixel only.
SIDES = {1: 2, 2: 2, 3: 4, 4: 4, 8: 2, 9: 2}


@dataclass(frozen=True)
class Token:
    """One value for every lane and what goes with it."""

    sums: list[int]
    xsums: list[int]
    first: bool
    last: bool
    pos: int
    line_end: bool
    params_end: bool


@dataclass(frozen=True)
class ParameterSet:
    """What kpu_params writes for one phase of a block, the tokens that use it, and the results."""

    writes: deque[dict[str, int]]
    tokens: deque[Token]
    results: list[tuple[int, int, bytes]]  # position, end of a line, byte of every lane


class Layer:
    """A layer's constants and activation table, and random sets of lane parameters."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.pool_type = rng.choice((0, *range(10)))
        self.depthwise = rng.random() < 0.3  # every lane has a window of its own
        self.arg_x, self.shr_x = rng.randrange(-1 << 10, 1 << 10), rng.randrange(16)
        # The arguments' effects lie in the middle of the table; shifts go up to what the field holds.
        starts = [rng.randrange(-1 << 20, 1 << 20) for _ in range(15)]
        if rng.random() < 0.7:  # the others are in no order: the highest segment below the argument counts
            starts.sort()
        self.segments = [Segment(x, rng.randrange(-1 << 15, 1 << 15), rng.choice((24, 27, 30, rng.randrange(256))),
                                 rng.randrange(256)) for x in (-1 << 35, *starts)]

    def plan(self) -> int:
        return pack({"POOL": self.pool_type, "DWFAST": int(self.depthwise), "ARG_X": self.arg_x & 0xFFFFFF,
                     "SHR_X": self.shr_x})

    def table(self) -> list[int]:
        return [int(word) for word in pack_activation(
            *zip(*((s.x_start, s.y_mul, s.shift, s.bias) for s in self.segments), strict=True))]

    def parameters(self) -> ParameterSet:
        """A set for any arrangement of the segments: 1 to SEGS columns, or half of the lanes each (depthwise)."""
        rng = self.rng
        depthwise = self.depthwise
        columns = 1 << rng.randrange(SEGS.bit_length())
        pair = rng.getrandbits(1)
        writes, lanes = [], [(0, 0, 0, 0)] * LANES
        for segment in range(1 + pair) if depthwise else range(SEGS // columns):
            for i in range(1 if depthwise else LPS):
                value = (rng.randrange(-1 << 12, 1 << 12), rng.randrange(16), rng.randrange(-1 << 18, 1 << 18),
                         rng.randrange(-1 << 22, 1 << 22))
                mul, shift, add, c = value
                at, mask = (segment * SEGS // 2, pair * SEGS // 2) if depthwise else (segment, SEGS // columns - 1)
                writes.append({"seg": at, "mask": mask, "all": int(depthwise), "lane": i, "c": c & (1 << 36) - 1,
                               "bn": mul & 0xFFFFFF | (add & 0xFFFFFFFF) << 24 | shift << 56})
                for lane in range(LANES):
                    if not (lane // LPS ^ at) & mask and (depthwise or lane % LPS == i):
                        lanes[lane] = value
        rng.shuffle(writes)
        tokens, results = deque(), []
        rows, length = rng.randint(1, 2), rng.randint(1, 4)
        for number in range(rows * length):
            line_end, pos = number % length == length - 1, rng.randrange(64)
            window = list(self._window(pos, line_end, line_end and number == rows * length - 1))
            tokens.extend(window)
            results.append((pos, int(line_end), self._results(window, lanes)))
        return ParameterSet(deque(writes), tokens, results)

    def _window(self, pos: int, line_end: bool, params_end: bool) -> Iterator[Token]:
        size = SIDES.get(self.pool_type, 1) ** 2
        for i in range(size):
            last = i == size - 1
            yield Token([self.rng.randrange(1 << 21) for _ in range(LANES)], self._pixel_sums(),
                        i == 0, last, pos, last and line_end, last and params_end)

    def _pixel_sums(self) -> list[int]:
        """Of nine pixels per lane (depthwise), or of a column that all lanes of a segment share."""
        if self.depthwise:
            return [self.rng.choice((0, 9 * 255, self.rng.randrange(9 * 255))) for _ in range(LANES)]
        return [value for _ in range(SEGS)
                for value in [self.rng.choice(((1 << 22) - 1, self.rng.getrandbits(22)))] for _ in range(LPS)]

    def _results(self, window: list[Token], lanes: list[tuple[int, int, int, int]]) -> bytes:
        side = SIDES.get(self.pool_type, 1)
        result = bytearray()
        for lane, (mul, shift, add, c) in enumerate(lanes):
            y = [activate(batch_norm(wrap36(t.sums[lane] + (self.arg_x * t.xsums[lane] >> self.shr_x) + c),
                                     mul, shift, add), self.segments) for t in window]
            image = [y[i * side:(i + 1) * side] for i in range(side)]
            result.append(pool(image, self.pool_type if side > 1 else 0, 1, 1)[0][0])
        return bytes(result)


class Bench(ClockedBench):
    low = ("en", "t_valid", "p_we", "act_we", "act_bank")

    async def reset(self) -> None:
        await super().reset()
        self.bank, self.table_bank = 0, 0

    async def load_table(self, table: list[int]) -> None:
        """Write a table while nothing runs."""
        for write in self._table_writes(table, self.table_bank):
            self._write_table(write)
            await RisingEdge(self.dut.clk)
        self.dut.act_we.value = 0
        await self.table_moved(self.table_bank)

    async def table_moved(self, bank: int) -> None:
        """Wait until a table that came has moved on to the lanes."""
        self.dut.act_bank.value = bank
        for _ in range(20):
            await FallingEdge(self.dut.clk)
            busy = self.dut.act_busy.value == 1
            await RisingEdge(self.dut.clk)
            if not busy:
                return
        raise AssertionError("a table takes too long")

    @staticmethod
    def _table_writes(table: list[int], bank: int) -> deque[tuple[int, int, int]]:
        return deque((bank, index, word) for index, word in enumerate(table))

    def _write_table(self, write: tuple[int, int, int] | None) -> None:
        dut = self.dut
        dut.act_we.value = int(write is not None)
        if write:
            dut.act_wbank.value, dut.act_windex.value, dut.act_wdata.value = write

    async def run(self, layer: Layer, following: Layer | None, sets: int, cycles: int | None = None) -> None:
        """``sets`` sets of parameters of a layer, whose table has been loaded; loads the next one's table, if any."""
        dut, rng = self.dut, self.rng
        dut.layer.value = layer.plan()
        dut.act_bank.value = self.table_bank
        listed = [layer.parameters() for _ in range(sets)]
        results = deque(result for s in listed for result in s.results)
        table = self._table_writes(following.table(), 1 - self.table_bank) if following else deque()
        loaded = used = freed = 0
        values: Token | None = None               # of the token before
        ends: deque[int] = deque([0] * 6)         # whether stages 1 to 6 hold the last token of a set
        for _ in range(cycles or 200 + int(8 * sum(len(s.tokens) + LANES for s in listed) / (1 - self.stall) ** 2)):
            en = rng.random() >= self.stall
            dut.en.value = int(en)
            self._write_table(table.popleft() if table and rng.random() < 0.3 else None)
            write = loaded < sets and loaded < freed + 2 and rng.random() >= self.stall
            dut.p_we.value = int(write)
            for name, value in (listed[loaded].writes.popleft() if write else {}).items():
                getattr(dut, f"p_{name}").value = value
            dut.p_bank.value = (self.bank + loaded) % 2
            ready = used < loaded and rng.random() >= self.stall
            loaded += write and not listed[loaded].writes
            token = listed[used].tokens[0] if ready else None
            dut.t_valid.value = int(ready)
            for name in ("first", "last", "pos", "line_end", "params_end"):
                getattr(dut, f"t_{name}").value = int(getattr(token, name)) if token else rng.getrandbits(1)
            for name, width in (("sums", 36), ("xsums", 22)):
                listed_values = getattr(values, name) if values else [rng.getrandbits(width)] * LANES
                getattr(dut, name).value = sum(v << width * lane for lane, v in enumerate(listed_values))
            await FallingEdge(dut.clk)
            assert dut.params_free.value == int(en and ends[5]), "a set is free when its last token leaves stage 6"
            freed += en and ends[5]
            if dut.r_valid.value == 1 and en:
                assert results, "there is a result too many"
                pos, line_end, data = results.popleft()
                assert (int(dut.r_pos.value), int(dut.r_line_end.value)) == (pos, line_end)
                got = int(dut.results.value).to_bytes(LANES, "little")
                wrong = [lane for lane in range(LANES) if got[lane] != data[lane]]
                assert not wrong, f"lane {wrong[0]}: {got[wrong[0]]} instead of {data[wrong[0]]}; " \
                                  f"pool {layer.pool_type}, {layer.segments}"
            if en:
                ends.rotate(1)
                ends[0] = int(token is not None and token.params_end)
                values = token
                if token:
                    listed[used].tokens.popleft()
                    used += token.params_end
            await RisingEdge(dut.clk)
            if not results and not table:
                break
        else:
            assert cycles, f"{len(results)} results are missing"
            return
        dut.t_valid.value = dut.p_we.value = dut.act_we.value = 0
        self.bank ^= sets % 2
        self.table_bank ^= 1
        await self.table_moved(self.table_bank)

    async def layers(self, count: int, sets: int) -> None:
        layer = Layer(self.rng)
        await self.load_table(layer.table())
        for _ in range(count):
            following = Layer(self.rng)
            await self.run(layer, following, sets)
            layer = following


@cocotb.test()
async def random_layers(dut):
    b = Bench(dut, 0.0)
    await b.reset()
    await b.layers(6, sets=5)


@cocotb.test()
async def stalls_change_nothing(dut):
    b = Bench(dut, 0.4)
    await b.reset()
    await b.layers(4, sets=5)


@cocotb.test()
async def a_table_right_behind_another(dut):
    """As close as the parameter fetch can send them: the mark of the layer before takes a cycle."""
    b = Bench(dut, 0.0)
    await b.reset()
    for _ in range(3):
        layers = [Layer(b.rng) for _ in range(2)]
        for bank, layer in zip((b.table_bank, 1 - b.table_bank), layers, strict=True):
            for write in b._table_writes(layer.table(), bank):
                b._write_table(write)
                await RisingEdge(dut.clk)
            dut.act_we.value = 0
            await RisingEdge(dut.clk)
        for layer in layers:
            await b.run(layer, None, sets=2)


@cocotb.test()
async def reset_in_the_middle_of_a_layer(dut):
    b = Bench(dut, 0.2)
    await b.reset()
    for _ in range(3):
        layer = Layer(b.rng)
        await b.load_table(layer.table())
        await b.run(layer, layer, sets=9, cycles=b.rng.randint(1, 120))
        await b.reset()
        await b.layers(1, sets=2)


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_post(simulator, name):
    run_bench(simulator, "kpu_post", "tb.post.test_post",
              parameters={"SEGS": CORES[name].SEGS, "LPS": CORES[name].LPS}, environment={"KPU_CONFIG": name})
