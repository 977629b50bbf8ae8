# SPDX-License-Identifier: Apache-2.0
"""kpu_writeback: every byte of a map reaches its place in the AI RAM, and no other byte changes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CORES
from openkpu.hw.fields import ROW_BYTES
from openkpu.schedule.cycles import Block, blocks
from openkpu.schedule.plan import Plan, plan
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench
from tb.plans import fields, pack

NAME = os.environ.get("KPU_CONFIG", "full")
CORE = CORES[NAME]
LANES = CORE.SEGS * CORE.LPS
PIECE = int(os.environ.get("KPU_PIECE", CORE.piece))
ROWS = 2048  # the largest random plan ends below row 1180


class Bench(ClockedBench):
    low = ("s_valid", "r_valid", "wr_hold", "start")

    async def reset(self) -> None:
        await super().reset()
        await RisingEdge(self.dut.clk)

    async def run(self, p: Plan) -> None:
        """Send a layer's results, random ones, as the lanes do and compare the memory afterwards."""
        dut, rng = self.dut, self.rng
        maps = np.frombuffer(rng.randbytes(int(np.prod(p.descriptor.out_shape))), np.uint8) \
            .reshape(p.descriptor.out_shape)
        dut.layer.value = pack(fields(p))
        ram = np.frombuffer(rng.randbytes(ROWS * ROW_BYTES), np.uint8).copy()
        expected = ram.copy()
        p.descriptor.out_layout.scatter(expected, maps)
        commands = list(blocks(p))
        results = list(self._results(p, maps))
        idle, held, complete = 0, False, 0
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        while idle < 3:
            self._offer(p, commands, results)
            hold = rng.random() < self.stall
            dut.wr_hold.value = int(hold)
            await FallingEdge(dut.clk)
            assert not (held and dut.wr_valid.value == 1), "a row in spite of wr_hold in the cycle before"
            held = hold
            if dut.wr_valid.value == 1:
                enables = int(dut.wr_be.value)
                data = self._known(str(dut.wr_data.value) * (ROW_BYTES // PIECE), enables)
                row = int(dut.wr_row.value)
                for i in range(ROW_BYTES):
                    if enables >> i & 1:
                        ram[row * ROW_BYTES + i] = data[i]
            if int(dut.complete.value) != complete:
                complete = int(dut.complete.value)
                assert (p.descriptor.out_layout.gather(ram)[:complete] == maps[:complete]).all(), "complete too early"
            if commands and dut.s_valid.value == 1 and dut.s_ready.value == 1:
                commands.pop(0)
            if results and dut.r_valid.value == 1 and dut.en.value == 1:
                results.pop(0)
            idle = idle + 1 if dut.idle.value == 1 and not commands and not results else 0
            await RisingEdge(dut.clk)
        assert complete == p.descriptor.o_ch_num
        wrong = np.flatnonzero(ram != expected)
        assert not len(wrong), f"{len(wrong)} bytes differ, the first at row {wrong[0] // ROW_BYTES}, byte " \
                               f"{wrong[0] % ROW_BYTES}: {p}"

    @staticmethod
    def _known(text: str, enables: int) -> bytes:
        """The enabled bytes of a row whose other bytes may never have been written (Icarus: unknown)."""
        parts = [text[len(text) - 8 * i - 8:len(text) - 8 * i] for i in range(ROW_BYTES)]
        assert all(set(part) <= {"0", "1"} for i, part in enumerate(parts) if enables >> i & 1), "unknown byte"
        return bytes(int(part, 2) if set(part) <= {"0", "1"} else 0 for part in parts)

    def _offer(self, p: Plan, commands: list[Block], results: list[tuple]) -> None:
        dut = self.dut
        dut.s_valid.value = int(bool(commands) and self.rng.random() >= self.stall)
        if commands:
            b = commands[0]
            for name, value in (("channel", b.channel), ("outs", b.outs), ("oy", b.row), ("rows", b.rows),
                                ("ox", b.column), ("cols", b.columns),
                                ("final", int(b.last_strip and (p.dwfast or b.last_tile)))):
                getattr(dut, f"s_{name}").value = value
        # The lanes keep a result until it is taken.
        if not results:
            dut.r_valid.value = 0
        elif dut.r_valid.value != 1 or self.taken is not results[0]:
            dut.r_valid.value = int(self.rng.random() >= self.stall)
        if results:
            self.taken = results[0]
            pos, line_end, data = results[0]
            dut.r_pos.value = pos
            dut.r_line_end.value = line_end
            dut.results.value = int.from_bytes(data, "little")

    taken: tuple | None = None

    def _results(self, p: Plan, maps: np.ndarray) -> Iterator[tuple[int, int, bytes]]:
        """(position in the row, end of a line, byte of every lane) in the order of the drain."""
        for b in blocks(p):
            if p.dwfast:
                yield from self._depthwise(p, b, maps)
                continue
            per_column = CORE.SEGS >> p.lgp
            groups = b.columns if p.overlap else -(-b.columns // (1 << p.lgp))
            for phase in range(CORE.SEGLEN // CORE.LPS):
                for y in range(b.row, b.row + b.rows):
                    for group in range(groups):
                        data = bytearray(self.rng.randbytes(LANES))
                        for lane in range(LANES):
                            segment, i = divmod(lane, CORE.LPS)
                            column, nth = divmod(segment, per_column)
                            o = nth * CORE.SEGLEN + phase * CORE.LPS + i
                            x = (group << p.lgp) + column
                            if o < b.outs and x < b.columns:
                                data[lane] = maps[b.channel + o, y, b.column + x]
                        yield b.column % 64 + (group << p.lgp), int(group == groups - 1), bytes(data)

    def _depthwise(self, p: Plan, b: Block, maps: np.ndarray) -> Iterator[tuple[int, int, bytes]]:
        """Results lie as in the row: slot by slot, LANES bytes at a time."""
        pitch = 64 >> p.lgi
        first = b.channel % (1 << p.lgi) * pitch
        groups = -(-b.columns // LANES)
        for y in range(b.row, b.row + b.rows):
            row = bytearray(self.rng.randbytes(192 + LANES))
            for o in range(b.outs):
                line = maps[b.channel + o, y, b.column:b.column + b.columns].tobytes()
                row[first + o * pitch:first + o * pitch + len(line)] = line
            for group in range(groups):
                at = first + group * LANES
                yield at % 64, int(group == groups - 1), bytes(row[at:at + LANES])


def random_plan(rng: random.Random) -> Plan:
    shape = rng.choice(({}, {}, {"pool_type": rng.randrange(1, 10)}, {"depth_wise_layer": 1}, {"first_stride": 1},
                        {"depth_wise_layer": 1, "pool_type": 2}))
    channels, height, width = rng.randint(1, rng.choice((5, 40))), rng.randint(4, 9), rng.choice(
        (4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 80, 130))
    return plan(make_descriptor((channels, height, width), channels if "depth_wise_layer" in shape
                                else rng.randint(1, 40), image_dst_addr=rng.randrange(100), **shape), CORE)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def maps_of_all_shapes_are_written(dut):
    b = Bench(dut, 0.0)
    await b.reset()
    for _ in range(5):
        await b.run(random_plan(b.rng))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def stalls_of_lanes_and_memory_change_nothing(dut):
    b = Bench(dut, 0.5)
    await b.reset()
    for _ in range(3):
        await b.run(random_plan(b.rng))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def strips_may_begin_within_a_piece(dut):
    p = plan(make_descriptor((3, 9, 130), CORE.SEGS * CORE.SEGLEN, pool_type=3), CORE, lgp=0)
    assert p.strip_columns <= 8
    b = Bench(dut, 0.2)
    await b.reset()
    await b.run(p)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def single_channels_are_written_beside_each_other(dut):
    """Pooled depthwise layers: one channel per block, in any slot of a row."""
    b = Bench(dut, 0.2)
    await b.reset()
    for width in (20, 40):  # four, two channels per row
        p = plan(make_descriptor((9, 6, width), 9, depth_wise_layer=1, pool_type=2), CORE)
        assert p.single and not p.dwfast and p.lgo
        await b.run(p)


@pytest.mark.parametrize("simulator, name, piece", [
    *((simulator, name, CORES[name].piece) for simulator, name in CONFIGURATIONS),
    ("icarus", "fpga", 8), ("icarus", "fpga", 32)])  # as wide as the lanes; two slots of a row in a piece
def test_kpu_writeback(simulator, name, piece):
    core = CORES[name]
    run_bench(simulator, "kpu_writeback", "tb.output.test_writeback",
              parameters={"SEGS": core.SEGS, "SEGLEN": core.SEGLEN, "LPS": core.LPS, "PIECE": piece},
              environment={"KPU_CONFIG": name, "KPU_PIECE": str(piece)})
