# SPDX-License-Identifier: Apache-2.0
"""spi_flash against two flash models, with the same tests.

On Icarus the flash is cocotbext-qspi's JEDEC model, a witness this project did not write; on Verilator it is the
C++ model of the native back end.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBurstType, AxiLiteBus, AxiLiteMaster, AxiMasterRead, AxiReadBus, AxiResp

from openkpu.hw.fields import FLASH_OPS, FLASH_PAGE_BYTES, FLASH_REGISTERS, FLASH_SECTOR_BYTES
from tb.bench import run_bench
from tb.clocked import runs_on
from tb.flash_on_pins import flash_on, flash_sources
from tb.registers import Registers, pauses

VERILATED = runs_on("verilator")
SIZE = 16384
JEDEC = 0xEF4018
DUMMY = 4
READS = {
    1: dict(opcode=0x03),
    2: dict(opcode=0xBB, address_lanes=1, data_lanes=1, mode_enable=1, dummy_cycles=DUMMY),
    4: dict(opcode=0xEB, address_lanes=2, data_lanes=2, mode_enable=1, dummy_cycles=DUMMY),
}
CLEAR_ALL = 0x1FF


class Bench:
    """The device under test, its bus masters and the content of the flash model."""

    def __init__(self, dut, rng: random.Random, stall: float = 0.0):
        self.dut, self.rng = dut, rng
        self.flash = flash_on(dut.pins, SIZE)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.window = AxiMasterRead(AxiReadBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst, max_burst_len=256)
        self.regs = Registers(self.axil, 0, FLASH_REGISTERS)
        if stall:
            for channel in (self.axil.write_if.aw_channel, self.axil.write_if.w_channel, self.axil.write_if.b_channel,
                            self.axil.read_if.ar_channel, self.axil.read_if.r_channel,
                            self.window.ar_channel, self.window.r_channel):
                channel.set_pause_generator(pauses(rng, stall))

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    def fill(self) -> bytearray:
        content = bytearray(self.rng.randbytes(SIZE))
        self.flash.write(content)
        return content

    async def start(self, op: str, address: int = 0, length: int = 0) -> None:
        await self.regs.write("flash_command", op=FLASH_OPS[op], address=address, length=length)

    async def command(self, op: str, address: int = 0, length: int = 0) -> dict[str, int]:
        """Run one command; returns the status fields and clears the events."""
        await self.start(op, address, length)
        for _ in range(3000):
            status = await self.regs.fields("flash_status")
            if status["done"]:
                await self.regs.write("flash_clear", CLEAR_ALL)
                return status
        raise AssertionError(f"{op} did not finish")

    async def push(self, data: bytes) -> None:
        for i in range(0, len(data), 8):
            await self.regs.write("flash_page_data", int.from_bytes(data[i:i + 8].ljust(8, b"\xff"), "little"))

    async def setup(self, lanes: int = 1, divider: int = 2) -> None:
        await self.regs.write("flash_size", SIZE)
        await self.regs.write("flash_timing", divider=divider, cs_high=4)
        await self.regs.write("flash_read", **READS[lanes])
        if lanes == 4:
            assert not errors(await self.command("enable_quad"))
        await self.regs.write("flash_control", window_enable=1)

    async def read(self, address: int, size: int) -> bytes:
        response = await with_timeout(self.window.read(address, size), 2, "ms")
        assert response.resp == AxiResp.OKAY
        return bytes(response.data)


async def begin(dut, stall: float = 0.0) -> Bench:
    rng = random.Random(cocotb.RANDOM_SEED)
    dut.present.value = 1
    dut.absent_level.value = 1
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    bench = Bench(dut, rng, stall)
    await bench.reset()
    return bench


def errors(status: dict[str, int]) -> set[str]:
    return {name for name, value in status.items() if value and name not in ("done", "device_status", "page_words")}


@cocotb.test()
async def identifies_the_flash(dut):
    b = await begin(dut)
    await b.regs.write("flash_control", irq_enable=1, window_enable=1)
    await b.start("read_id")
    await with_timeout(RisingEdge(dut.irq), 100, "us")
    assert errors(await b.regs.fields("flash_status")) == set()
    await b.regs.write("flash_clear", CLEAR_ALL)
    await ClockCycles(dut.clk, 2)
    assert dut.irq.value == 0
    assert await b.regs.read("flash_jedec") == JEDEC
    await b.regs.write("flash_expect", JEDEC)
    assert errors(await b.command("read_id")) == set()
    assert (await b.regs.fields("flash_control"))["window_enable"] == 1


@cocotb.test()
async def missing_or_wrong_flash_is_an_error_and_closes_the_window(dut):
    b = await begin(dut)
    await b.regs.write("flash_expect", 0xC84018)
    await b.setup()
    assert errors(await b.command("read_id")) == {"wrong_id"}
    assert (await b.regs.fields("flash_control"))["window_enable"] == 0
    await b.regs.write("flash_expect", 0)
    for level in (0, 1):
        dut.present.value = 0
        dut.absent_level.value = level
        await b.setup()
        assert errors(await b.command("read_id")) == {"no_flash"}
        assert (await b.window.read(0, 8)).resp == AxiResp.SLVERR
        await b.regs.write("flash_clear", CLEAR_ALL)
        await b.regs.write("flash_burn_window", burn_end=SIZE)
        await b.regs.write("flash_timeout", 2000)
        # All zeros look like "enable not taken".
        assert errors(await b.command("sector_erase", 0)) == {"no_flash" if level else "protected"}
    dut.present.value = 1


@cocotb.test()
async def every_read_width_and_divider_returns_the_content(dut):
    b = await begin(dut, stall=0.3)
    content = b.fill()
    for lanes in READS:
        for divider in (2, 3, 5):
            await b.setup(lanes, divider)
            at = b.rng.randrange(SIZE - 400)
            for _ in range(3):
                size = b.rng.choice((1, 3, 8, 64))
                assert await b.read(at, size) == content[at:at + size], (lanes, divider, at, size)
                at = b.rng.choice((at + size, b.rng.randrange(SIZE - 400), 0))
                at = min(at, SIZE - 400)
    assert await b.read(SIZE - 16, 16) == content[-16:]


async def note_selections(dut, times: list[float]) -> None:
    """Keep the times at which the flash is selected."""
    while True:
        await FallingEdge(dut.spi_cs_n)
        times.append(get_sim_time("ns"))


@cocotb.test()
async def sequential_bursts_run_at_the_full_speed_of_the_spi_bus(dut):
    b = await begin(dut)
    content = b.fill()
    for lanes in READS:
        await b.setup(lanes, 2)
        await b.read(8, 8)
        selections: list[float] = []
        counter = cocotb.start_soon(note_selections(dut, selections))
        start = get_sim_time("ns")
        for at in range(1024, 2048, 128):
            assert await b.read(at, 128) == content[at:at + 128]
        cycles = (get_sim_time("ns") - start) / 10
        counter.cancel()
        assert len(selections) == 1, "a sequential read was restarted"
        ideal = 1024 * 8 / lanes * 2
        assert cycles < ideal * 1.02 + 120, (lanes, cycles, ideal)


@cocotb.test()
async def a_full_prefetch_pauses_the_clock_and_loses_nothing(dut):
    b = await begin(dut)
    content = b.fill()
    await b.setup(4)
    assert await b.read(256, 8) == content[256:264]
    await ClockCycles(dut.clk, 3000)
    edge = cocotb.start_soon(with_timeout(RisingEdge(dut.spi_sclk), 5, "us"))
    try:
        await edge
        raise AssertionError("the SPI clock runs although the prefetch is full")
    except cocotb.triggers.SimTimeoutError:
        pass
    assert dut.spi_cs_n.value == 0
    assert await b.read(264, 1000) == content[264:1264]


@cocotb.test()
async def illegal_window_reads_are_refused_at_once(dut):
    b = await begin(dut)
    content = b.fill()
    await b.setup(4)
    await b.regs.write("flash_control", 0)
    assert (await b.window.read(0, 64)).resp == AxiResp.SLVERR
    await b.regs.write("flash_control", window_enable=1)
    assert (await b.window.read(SIZE - 8, 16)).resp == AxiResp.SLVERR
    assert (await b.window.read(0, 64, burst=AxiBurstType.FIXED)).resp == AxiResp.SLVERR
    assert (await b.window.read(0, 16, size=2)).resp == AxiResp.SLVERR
    await b.regs.write("flash_burn_window", burn_end=SIZE)
    await b.start("sector_erase", 8192)
    await ClockCycles(dut.clk, 50)
    assert (await b.window.read(0, 64)).resp == AxiResp.SLVERR
    status = await b.regs.fields("flash_status")
    assert status["busy"] and status["refused"]
    while (await b.regs.fields("flash_status"))["busy"]:
        pass
    assert await b.read(0, 64) == content[:64]
    assert await b.read(8192, 8) == b"\xff" * 8


@cocotb.test()
async def partial_register_writes_are_refused(dut):
    b = await begin(dut)
    assert (await b.axil.write(0x20, b"\x00\x01\x02\x03")).resp == AxiResp.SLVERR
    assert await b.regs.read("flash_size") == 16 << 20
    for register in FLASH_REGISTERS:
        if register.access != "W":
            assert await b.regs.read(register.name) == register.reset or register.name == "flash_jedec", register.name


@cocotb.test()
async def burns_pages_and_erases_sectors(dut):
    b = await begin(dut, stall=0.2)
    content = b.fill()
    await b.setup(2)
    await b.regs.write("flash_burn_window", burn_first=4096, burn_end=12288)
    assert errors(await b.command("sector_erase", 4096 + 77)) == set()
    content[4096:8192] = b"\xff" * 4096
    for at, length in ((4096, 256), (4500, 100), (8191 - 7, 8), (5000, 1), (5001, 13)):
        data = b.rng.randbytes(length)
        await b.push(data)
        status = await b.command("page_program", at, length)
        assert errors(status) == set() and status["device_status"] & 1 == 0
        content[at:at + length] = data
    # Programming clears bits only; the flash, not the controller, decides that.
    await b.push(b"\x0f" * 8)
    await b.command("page_program", 9000, 8)
    for i in range(9000, 9008):
        content[i] &= 0x0F
    assert b.flash.read() == content
    assert await b.read(4000, 600) == content[4000:4600]


@cocotb.test()
async def burning_outside_the_burn_window_is_refused_before_anything_is_sent(dut):
    b = await begin(dut)
    content = b.fill()
    await b.setup()
    data = b.rng.randbytes(256)
    await b.push(data)
    assert errors(await b.command("page_program", 4096, 256)) == {"range"}, "closed after reset"
    await b.regs.write("flash_burn_window", burn_first=4096, burn_end=8192)
    for op, at, length in (("sector_erase", 0, 0), ("sector_erase", 8192, 0), ("page_program", 4095, 1),
                           ("page_program", 8192, 8), ("page_program", 4097, 256), ("page_program", 5000, 0),
                           ("page_program", 4300, 100), ("page_program", 4096, 257)):
        await b.push(data)
        assert errors(await b.command(op, at, length)) == {"range"}, (op, at, length)
    await b.regs.write("flash_burn_window", burn_first=4097, burn_end=8192)
    assert errors(await b.command("sector_erase", 5000)) == {"range"}, "a sector only half inside"
    await b.regs.write("flash_burn_window", burn_first=0, burn_end=SIZE + 4096)
    assert errors(await b.command("sector_erase", SIZE)) == {"range"}, "beyond the flash"
    await b.push(data[:16])
    assert errors(await b.command("page_program", 4096, 17)) == {"page_data"}
    await b.push(data + data[:8])
    status = await b.regs.fields("flash_status")
    assert status["page_data"] and status["page_words"] == FLASH_PAGE_BYTES // 8
    await b.regs.write("flash_clear", CLEAR_ALL)
    await b.start("read_status")
    await b.start("sector_erase", 0)
    await ClockCycles(dut.clk, 2000)
    assert errors(await b.regs.fields("flash_status")) == {"command_lost"}
    await b.regs.write("flash_clear", CLEAR_ALL)
    await b.regs.write("flash_command", op=15)
    await ClockCycles(dut.clk, 100)
    assert errors(await b.regs.fields("flash_status")) == {"command_lost"}
    assert b.flash.read() == content


@cocotb.test()
async def a_flash_that_stays_busy_is_a_bounded_error(dut):
    b = await begin(dut)
    await b.setup()
    await b.regs.write("flash_burn_window", burn_end=SIZE)
    await b.regs.write("flash_timeout", 300)
    status = await b.command("sector_erase", 0)
    assert errors(status) == {"timeout"} and status["device_status"] & 1
    await b.regs.write("flash_timeout", 100000)
    assert errors(await b.command("wait_ready")) == set()
    status = await b.command("write_enable")
    assert errors(status) == set()
    assert (await b.command("read_status"))["device_status"] & 2


@cocotb.test()
async def quad_mode_is_written_once_and_a_flash_that_refuses_it_is_an_error(dut):
    b = await begin(dut, stall=0.2)
    content = b.fill()
    await b.setup(4)
    assert await b.read(100, 64) == content[100:164]
    await b.setup(1)
    selections: list[float] = []
    counter = cocotb.start_soon(note_selections(dut, selections))
    assert errors(await b.command("enable_quad")) == set()
    counter.cancel()
    assert len(selections) == 1, "the register was written although the bit is set"
    assert b.flash.read() == content
    dut.present.value, dut.absent_level.value = 0, 0
    assert errors(await b.command("enable_quad")) == {"protected"}
    dut.present.value = 1


@cocotb.test()
async def reset_in_the_middle_of_a_read_leaves_a_working_controller(dut):
    b = await begin(dut, stall=0.2)
    content = b.fill()
    for _ in range(12):
        await b.setup(b.rng.choice(list(READS)), b.rng.choice((2, 3, 4)))
        reading = cocotb.start_soon(b.window.read(b.rng.randrange(8192), 1024))
        await ClockCycles(dut.clk, b.rng.randrange(3, 700))
        await b.reset()
        reading.cancel()
        assert dut.spi_cs_n.value == 1 and dut.spi_sclk.value == 0
        await b.setup(b.rng.choice(list(READS)), 2)
        at = b.rng.randrange(8192)
        assert await b.read(at, 100) == content[at:at + 100]


async def _burn_sector(b: Bench, sector: int, data: bytes) -> None:
    await b.command("sector_erase", sector)
    for at in range(0, len(data), FLASH_PAGE_BYTES):
        page = data[at:at + FLASH_PAGE_BYTES]
        await b.push(page)
        await b.command("page_program", sector + at, len(page))


@cocotb.test()
async def a_power_cut_while_burning_leaves_other_sectors_intact(dut):
    """Power goes at random cycles; the sector being burnt may be lost, nothing else may."""
    b = await begin(dut)
    content = b.fill()
    sector = 2 * FLASH_SECTOR_BYTES
    data = b.rng.randbytes(FLASH_PAGE_BYTES + 24)
    for cut in [b.rng.randrange(60, 8000) for _ in range(8)] + [None]:
        await b.setup(1, 2)
        await b.regs.write("flash_burn_window", burn_first=sector, burn_end=sector + FLASH_SECTOR_BYTES)
        burning = cocotb.start_soon(_burn_sector(b, sector, data))
        if cut is None:
            await burning
        else:
            await ClockCycles(dut.clk, cut)
            burning.cancel()
            b.flash.cut_power()
            await Timer(1, "ns")
        await b.reset()
        await Timer(20, "us")
        now = b.flash.read()
        assert now[:sector] == content[:sector] and now[sector + 4096:] == content[sector + 4096:], cut
    assert now[sector:sector + len(data)] == data


@cocotb.test(skip=not VERILATED)
async def a_power_cut_at_any_change_on_the_pins_harms_the_burnt_sector_only(dut):
    """Every one of an erase and of programming all its pages, also with the flash or the controller cut first."""
    b = await begin(dut)
    content = b.fill()
    await b.setup(1, 2)
    sector = FLASH_SECTOR_BYTES
    data = b.rng.randbytes(FLASH_SECTOR_BYTES)
    await b.regs.write("flash_burn_window", burn_first=sector, burn_end=2 * sector)
    b.flash.watch_cuts(sector, 2 * sector)
    await _burn_sector(b, sector, data)
    cuts, failure = b.flash.watched_cuts()
    assert not failure
    # Opcode, address and data of the pages alone are two changes per bit.
    assert cuts > 3 * 2 * 8 * (FLASH_SECTOR_BYTES + 16 * 4)
    dut._log.warning("%d power cuts", cuts)
    content[sector:2 * sector] = data
    assert b.flash.read() == content


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_spi_flash(simulator):
    run_bench(simulator, "tb_flash", "tb.flash.test_flash",
              [*flash_sources(simulator), Path(__file__).with_name("tb_flash.v")],
              parameters={"MEM_DEPTH": SIZE, "DUMMY": DUMMY}, depth=2)
