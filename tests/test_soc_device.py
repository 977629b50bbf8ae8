# SPDX-License-Identifier: Apache-2.0
"""The simulated SoC: its flash driver, DMA, and models that run from flash, against the functional back end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from soc_board import FLASH_BYTES, JEDEC, SRAM_BYTES, config, open_board

from openkpu.devices.functional import FunctionalDevice
from openkpu.drivers.dma import DmaDriver
from openkpu.drivers.flash import READS, FlashDriver
from openkpu.errors import CapacityError, DeviceError, UsageError
from openkpu.hw.check import descriptor_errors
from openkpu.hw.dma import DmaDescriptor
from openkpu.hw.fields import (
    AIRAM_BASE,
    DMA_CHANNEL_BASE,
    DMA_REGS_BASE,
    FLASH_WINDOW_BASE,
    REGS_BASE,
    SRAM_BASE,
    register,
)
from openkpu.kmodel import load
from openkpu.runtime import Session
from openkpu.runtime.streaming import CHANNEL, FlashSession

SMALL = Path(__file__).parent / "data" / "nncase_small"
AT = 0x30000
NO_LINE = 0


@pytest.fixture(scope="module")
def board():
    """One board for the module: building and resetting it costs most."""
    device = open_board()
    yield device
    device.close()


@pytest.fixture
def device(board):
    board.plug_flash(True)
    board.reset()
    return board


def small_models():
    """Small networks with several KPU layers that the configuration can hold."""
    for path in sorted(SMALL.glob("*.kmodel")):
        model = load(path)
        if len(model.kpu_layers) > 1 and not any(
                descriptor_errors(layer.descriptor, config(), layer.eight_bit) for layer in model.kpu_layers):
            yield path


MODELS = list(small_models())[:3]


def random_inputs(model, seed=1):
    rng = np.random.default_rng(seed)
    return [(rng.random(spec.shape) * 255).astype(spec.dtype) for spec in model.inputs]


def test_memories_and_maps_go_through_the_host_port_and_the_dma(device):
    rng = np.random.default_rng(2)
    for address, size in ((SRAM_BASE + 3, 5000), (AIRAM_BASE + 7, 9001), (AIRAM_BASE, 1)):
        data = rng.bytes(size)
        device.write_memory(address, data)
        assert device.read_memory(address, size) == data
    with pytest.raises(DeviceError, match="nothing is there"):
        device.read_memory(0x4300_0000, 8)
    with pytest.raises(DeviceError, match="nothing can be written"):
        device.write_memory(FLASH_WINDOW_BASE, bytes(8))


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_the_flash_is_identified_and_read_on_any_number_of_lanes(device, lanes):
    content = np.random.default_rng(lanes).bytes(3000)
    device.flash_write(0x1234, content)
    flash = FlashDriver(device, lanes=lanes, spi_hz=45_000_000)
    assert flash.jedec == JEDEC and flash.size == FLASH_BYTES and flash.spi_hz == 400_000_000 // 9
    assert flash.read(0x1234, 3000) == content


def test_flash_errors_are_named(device):
    flash = FlashDriver(device)
    for offset, size in ((FLASH_BYTES - 4, 8), (-1, 1)):
        with pytest.raises(DeviceError, match="outside the flash of 1048576 bytes"):
            flash.read(offset, size)
    with pytest.raises(DeviceError, match="outside the flash"):
        flash.burn(FLASH_BYTES - 1, b"ab")
    with pytest.raises(DeviceError, match="differs from flash_expect"):
        FlashDriver(device, expect=0xC84014)
    for lanes, hz, reason in ((3, 10**6, "lanes"), (1, 80_000_001, "SPI clock"), (1, 0, "SPI clock")):
        with pytest.raises(DeviceError, match=reason):
            FlashDriver(device, lanes=lanes, spi_hz=hz)
    device.plug_flash(False)
    with pytest.raises(DeviceError, match="all zeros or all ones"):
        FlashDriver(device)
    dma = DmaDriver(device, 0, SRAM_BASE, 4096)
    dma.allow((SRAM_BASE + 4096, SRAM_BASE + 8192))
    with pytest.raises(DeviceError, match="0x54000000: a read was answered with an error"):
        dma.start([DmaDescriptor.copy(FLASH_WINDOW_BASE, SRAM_BASE + 4096, 64)])
        dma.finish(10**6)
    with pytest.raises(DeviceError, match="outside both windows"):
        dma.start([DmaDescriptor.copy(SRAM_BASE, SRAM_BASE + 8192, 8)])
        dma.finish(10**6)
    with pytest.raises(DeviceError, match="does not fit"):
        dma.start([DmaDescriptor.copy(SRAM_BASE, SRAM_BASE + 4096, 8)] * 65)


def test_burning_keeps_everything_else_and_survives_a_power_cut(device):
    rng = np.random.default_rng(5)
    before = bytearray(rng.bytes(1 << 16))
    device.flash_write(0, before)
    data = rng.bytes(700)
    FlashDriver(device).burn(0x2F00, data)
    before[0x2F00:0x2F00 + 700] = data
    assert device.flash_read(0, 1 << 16) == before
    # Power goes in the middle of an erase: only that sector may suffer.
    flash = FlashDriver(device)
    flash._write("flash_burn_window", burn_first=0x5000, burn_end=0x6000)
    flash._write("flash_command", op=6, address=0x5000)  # an erase takes 20 000 cycles here
    with pytest.raises(DeviceError, match="no interrupt"):
        device.wait_interrupt(3000)
    device.cut_power()
    after = device.flash_read(0, 1 << 16)
    assert after[:0x5000] == before[:0x5000] and after[0x6000:] == before[0x6000:]
    assert after[0x5000:0x6000] != before[0x5000:0x6000]
    FlashDriver(device).burn(0x5000, before[0x5000:0x6000])
    assert device.flash_read(0, 1 << 16) == before


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_models_run_from_sram_and_from_flash_with_equal_results(device, path):
    model = load(path)
    inputs = random_inputs(model)
    expected = Session(model, FunctionalDevice()).run(inputs)
    results = {"RAM": Session(model, device).run(inputs)}
    device.flash_write(AT, model.image)
    flash = FlashDriver(device)
    least = max(4 * layer.weights.nbytes // layer.descriptor.o_ch_num for layer in model.kpu_layers)
    for dual, batch in ((False, 0), (True, least), (True, 0x4000)):
        session = FlashSession(model, device, flash, AT, dual=dual, batch_size=batch)
        results[f"dual={dual} batch={batch}"] = session.run(inputs)
        assert session.cycles > 0
    for name, outputs in results.items():
        for found, right in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(found, right, err_msg=name)


def test_a_byte_swapped_model_is_restored_by_the_dma(device):
    path = MODELS[0]
    model = load(path)
    image = model.image + b"0" * (-len(model.image) % 4)
    device.flash_write(AT, b"".join(image[i:i + 4][::-1] for i in range(0, len(image), 4)))
    object.__setattr__(model, "byte_swapped", True)
    inputs = random_inputs(model)
    session = FlashSession(model, device, FlashDriver(device), AT, dual=True, batch_size=0x2001)
    for found, right in zip(session.run(inputs), Session(load(path), FunctionalDevice()).run(inputs), strict=True):
        np.testing.assert_array_equal(found, right)


def test_impossible_streaming_is_refused_with_the_reason(device):
    model = load(MODELS[0])
    flash = FlashDriver(device)
    with pytest.raises(UsageError, match="batch_size above 0"):
        FlashSession(model, device, flash, AT, dual=True, batch_size=0)
    with pytest.raises(CapacityError, match="smaller than"):
        FlashSession(model, device, flash, AT, dual=True, batch_size=1)
    with pytest.raises(CapacityError, match="SRAM"):
        FlashSession(model, device, flash, AT, dual=True, batch_size=SRAM_BYTES)
    with pytest.raises(DeviceError, match="outside the flash"):
        FlashSession(model, device, flash, FLASH_BYTES - 8, dual=False, batch_size=0)


def in_the_middle_of_streaming(monkeypatch, device, cycles, action):
    """Let the next runs do something so many cycles after their DMA chain has begun."""
    start = DmaDriver.start

    def started(dma, descriptors):
        start(dma, descriptors)
        if dma.number == CHANNEL:
            with pytest.raises(DeviceError, match="no interrupt"):
                device.wait_line(NO_LINE, cycles)
            action()

    monkeypatch.setattr(DmaDriver, "start", started)


def check_run(session):
    """One run, compared with the functional back end."""
    model = session.model
    for found, right in zip(session.run(random_inputs(model)),
                            Session(model, FunctionalDevice()).run(random_inputs(model)), strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("cycles", [500, 4000])
def test_a_flash_that_goes_away_while_streaming_is_an_error(device, monkeypatch, cycles):
    model = load(MODELS[0])
    device.flash_write(AT, model.image)
    flash = FlashDriver(device)
    session = FlashSession(model, device, flash, AT, dual=True, batch_size=0x4000)
    # A closed window is what a failed read_id leaves.
    for action, reason in ((lambda: flash._write("flash_control", 0), "a read was answered with an error"),
                           (lambda: device.plug_flash(False), "all zeros or all ones")):
        with monkeypatch.context() as patch:
            in_the_middle_of_streaming(patch, device, cycles, action)
            with pytest.raises(DeviceError, match=f"streamed from flash.*{reason}"):
                session.run(random_inputs(model))
    with pytest.raises(DeviceError, match="streamed from flash.*all zeros or all ones"):
        session.run(random_inputs(model))
    # The same session works again when the flash is back.
    device.plug_flash(True)
    check_run(session)


def test_a_reset_in_the_middle_of_streaming_leaves_a_working_system(device, monkeypatch):
    model = load(MODELS[0])
    device.flash_write(AT, model.image)

    def reset():
        device.reset()
        raise DeviceError("reset")

    for cycles in np.random.default_rng(8).integers(1, 12_000, 6):
        session = FlashSession(model, device, FlashDriver(device), AT, dual=True, batch_size=0x2000)
        with monkeypatch.context() as patch:
            in_the_middle_of_streaming(patch, device, int(cycles), reset)
            with pytest.raises(DeviceError, match="reset"):
                session.run(random_inputs(model))
    check_run(FlashSession(model, device, FlashDriver(device), AT, dual=True, batch_size=0x2000))
    check_run(Session(model, device))
    assert device.flash_read(AT, len(model.image)) == model.image


HOLE = 0x4300_0000
OUT = SRAM_BASE + 0x8000
DMA_FAULTS = [
    ("nothing at the source", DmaDescriptor.copy(HOLE, OUT, 64), f"{HOLE:08X}: a read was answered with an error"),
    ("beyond the flash", DmaDescriptor.copy(FLASH_WINDOW_BASE + FLASH_BYTES - 64, OUT, 128),
     f"{FLASH_WINDOW_BASE + FLASH_BYTES:08X}: a read was answered with an error"),
    ("nothing at the destination", DmaDescriptor.copy(SRAM_BASE, HOLE, 64),
     f"{HOLE:08X}: a write was answered with an error"),
    ("overrun", DmaDescriptor.copy(SRAM_BASE, OUT, 1000), f"{OUT + 128:08X}: a write outside both windows"),
    ("overrun in rows", DmaDescriptor.copy(SRAM_BASE, OUT, 8, 9, dst_stride=64),
     f"{OUT + 192:08X}: a write outside both windows"),
    ("malformed", DmaDescriptor.copy(SRAM_BASE, OUT, 0), "descriptor malformed"),
    ("a register that never comes", DmaDescriptor.wait(REGS_BASE + register("ext_layers").offset, 1 << 31),
     "no progress for dma_timeout cycles"),
    ("a stream that never comes", DmaDescriptor.copy(0, OUT, 8, src_stream=1), "no progress for dma_timeout cycles"),
]


@pytest.mark.parametrize("descriptor, message", [case[1:] for case in DMA_FAULTS], ids=[case[0] for case in DMA_FAULTS])
def test_every_dma_error_is_named_in_bounded_time_and_nothing_is_written_outside(device, descriptor, message):
    before = np.random.default_rng(4).bytes(0x4000)
    FlashDriver(device)
    device.write_memory(OUT - 0x2000, before)
    airam = device.read_memory(AIRAM_BASE, 0x2000)
    dma = DmaDriver(device, 0, SRAM_BASE + 0x1000, 4096, idle_cycles=3000)
    dma.allow((OUT, OUT + 160), (HOLE, HOLE + 4096))
    begin = device.cycles
    with pytest.raises(DeviceError, match=f"DMA channel 0 stopped at bus address 0x.*{message}"):
        dma.start([descriptor, DmaDescriptor.copy(SRAM_BASE, OUT, 8)])
        dma.finish(10**6)
    assert device.cycles - begin < 20_000
    after = device.read_memory(OUT - 0x2000, 0x4000)
    assert after[:0x2000] == before[:0x2000] and after[0x2000 + 160:] == before[0x2000 + 160:]
    assert device.read_memory(AIRAM_BASE, 0x2000) == airam
    dma.start([DmaDescriptor.copy(SRAM_BASE, OUT, 8)])
    dma.finish(10**6)


def test_an_aborted_transfer_is_named(device):
    dma = DmaDriver(device, 0, SRAM_BASE, 4096)
    dma.start([DmaDescriptor.wait(REGS_BASE + register("ext_layers").offset, 1 << 31)])
    device.write64(DMA_REGS_BASE + DMA_CHANNEL_BASE + register("dma_control").offset, 2)
    with pytest.raises(DeviceError, match="stopped by the abort bit"):
        dma.finish(10**6)


def test_four_lanes_set_the_quad_enable_bit_of_the_flash():
    board = open_board()
    content = np.random.default_rng(7).bytes(256)
    board.flash_write(0, content)
    flash = FlashDriver(board, lanes=1)
    flash._write("flash_read", dummy_cycles=8, **READS[4])
    assert flash.read(0, 256) == b"\xff" * 256, "the flash takes four-lane reads before they are enabled"
    flash.configure(4, 80_000_000)
    assert flash.read(0, 256) == content
    board.cut_power()
    assert FlashDriver(board, lanes=4).read(0, 256) == content
    board.close()


def test_flash_commands_that_fail_are_named(device):
    flash = FlashDriver(device)
    before = device.flash_read(0, 0x4000)
    flash._write("flash_timeout", busy_cycles=1000)
    with pytest.raises(DeviceError, match="sector_erase failed: the flash stayed busy for longer than flash_timeout"):
        flash.burn(0x1000, b"abc")
    flash = FlashDriver(device)  # waits for the erase
    with pytest.raises(DeviceError, match="page_program failed: a command left flash_burn_window"):
        flash._command("page_program", 0x2000, 8)
    flash._write("flash_burn_window", burn_first=0x1000, burn_end=0x2000)
    with pytest.raises(DeviceError, match="page_program failed: .*fewer than the command programs"):
        flash._command("page_program", 0x1000, 8)
    for _ in range(33):
        flash._write("flash_page_data", 0)
    page_data = next(f for f in register("flash_status").fields if f.name == "page_data")
    assert flash._read("flash_status") >> page_data.lsb & 1, "a page holds 32 words"
    device.plug_flash(False)
    with pytest.raises(DeviceError, match="sector_erase failed: no flash answers"):
        flash._command("sector_erase", 0x1000)
    with pytest.raises(DeviceError, match="read_id failed: no flash answers"):
        flash.check()
    after = device.flash_read(0, 0x4000)
    assert after[:0x1000] == before[:0x1000] and after[0x2000:] == before[0x2000:]
