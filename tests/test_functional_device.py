# SPDX-License-Identifier: Apache-2.0
"""The functional device behaves like the chip at its registers (spec/kpu-hardware.md sections 1 and 9)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openkpu.devices.functional import LAYER_FIFO, OUTPUT_FIFO_WORDS, FunctionalDevice
from openkpu.errors import DeviceError
from openkpu.golden.layers import Layer, draw_layer, load_raw_layer, make_descriptor, random_layer
from openkpu.hw.check import descriptor_errors
from openkpu.hw.device import KpuConfig
from openkpu.hw.fields import AIRAM_BASE, DESCRIPTOR, REGS_BASE, ROW_BYTES, SRAM_BASE, register

RAW_LAYERS = Path(__file__).parent / "data" / "raw_layers"
DONE, EMPTY, FULL = 1, 2, 4
SMALL = KpuConfig("small", pes=8, lanes=4, airam_bytes=64 << 10, weight_bytes=2048, sram_bytes=1 << 20,
                  has_16bit=False)


def address(name):
    return REGS_BASE + register(name).offset


def write(device, name, value):
    device.write64(address(name), value)


def read(device, name):
    return device.read64(address(name))


def load(device, layer, source=True):
    for where, data in layer.memory().items():
        device.write_memory(where, data)
    if source:
        device.write_memory(AIRAM_BASE, layer.airam(device.config.airam_bytes).tobytes())
    write(device, "eight_bit_mode", int(layer.eight_bit))


def push(device, d):
    for word in d.pack():
        write(device, "layer_argument_fifo", word)


def airam(device):
    return np.frombuffer(device.read_memory(AIRAM_BASE, device.config.airam_bytes), np.uint8)


def result_of(device, layer):
    return layer.descriptor.out_layout.gather(airam(device))


def error_names(device):
    value = read(device, "ext_error")
    return [f.name for f in register("ext_error").fields if f.width == 1 and value >> f.lsb & 1]


@pytest.mark.parametrize("path", sorted(RAW_LAYERS.glob("*.npz")), ids=lambda p: p.stem)
def test_every_raw_layer_runs_through_the_registers(path):
    layer = load_raw_layer(path)
    device = FunctionalDevice()
    load(device, layer)
    write(device, "interrupt_mask", EMPTY | FULL)
    push(device, layer.descriptor)
    if layer.descriptor.send_data_out:
        assert device.read_stream(layer.expected.size) == layer.expected.tobytes()
    device.wait_interrupt(10_000_000)
    assert read(device, "interrupt_status") == DONE
    np.testing.assert_array_equal(result_of(device, layer), layer.expected)


class Chain:
    """Layers that feed one another: 8 channels of 10x10, always to the other of two places in AI RAM."""

    def __init__(self, count, seed=0):
        self.layers = []
        rng = np.random.default_rng(seed)
        source = rng.integers(0, 256, (8, 10, 10), np.uint8)
        for n in range(count):
            base = random_layer(rng, kinds=("bypass",), pools=(0,))
            d = make_descriptor((8, 10, 10), 8, kernel_type=n % 2, int_en=0, pad_value=7, arg_x=-120, arg_w=-90 + n,
                                image_src_addr=100 * (n % 2), image_dst_addr=100 * ((n + 1) % 2),
                                **{name: SRAM_BASE + 0x8000 * n + offset for name, offset in
                                   (("active_addr", 0), ("bwsx_base_addr", 0x100), ("para_start_addr", 0x1000))})
            bn = (rng.integers(200, 800, 8) | (rng.integers(0, 100, 8) << 24) | (8 << 56)).astype(np.uint64)
            layer = Layer(f"chain{n}", d, True, rng.integers(0, 256, d.weight_bytes(), np.uint8), bn, base.act, source)
            self.layers.append(layer)
            source = layer.result.output
        self.expected = source
        self.descriptors = [layer.descriptor for layer in self.layers]

    def load(self, device):
        load(device, self.layers[0])
        for layer in self.layers[1:]:
            load(device, layer, source=False)

    def assert_done(self, device):
        np.testing.assert_array_equal(result_of(device, self.layers[-1]), self.expected)
        assert read(device, "ext_layers") == len(self.layers)
        assert read(device, "ext_error") == 0


def start(device, mask, thresholds=0x1A):
    write(device, "interrupt_clear", 7)
    write(device, "fifo_threshold", thresholds)
    write(device, "interrupt_mask", mask)


# The five driver styles of section 1.3


def test_v3_style_runs_one_layer_per_calc_done_interrupt():
    device, chain = FunctionalDevice(), Chain(6)
    start(device, DONE | FULL)
    chain.load(device)
    assert read(device, "interrupt_status") == 0, "almost_empty must not be a level"
    for d in chain.descriptors:
        write(device, "interrupt_clear", 7)
        write(device, "interrupt_mask", EMPTY | FULL)
        push(device, replace(d, int_en=1))
        device.wait_interrupt(1_000_000)
        assert read(device, "interrupt_status") == DONE
    write(device, "interrupt_clear", 7)
    assert read(device, "interrupt_status") == 0
    chain.assert_done(device)


def test_v3_style_takes_main_memory_outputs_from_the_stream():
    device, chain = FunctionalDevice(), Chain(3)
    start(device, DONE | FULL)
    chain.load(device)
    for layer in chain.layers:
        write(device, "interrupt_clear", 7)
        write(device, "interrupt_mask", 7)
        push(device, replace(layer.descriptor, send_data_out=1))
        words = (layer.descriptor.dma_total_byte - 1 + 8) // 8
        assert device.read_stream(8 * words) == layer.result.output.tobytes()
    assert read(device, "interrupt_raw") & DONE == 0, "layers without int_en never set calc_done"
    chain.assert_done(device)


def test_v1_style_polls_calc_done_of_every_layer():
    device, chain = FunctionalDevice(), Chain(5)
    start(device, 7)
    chain.load(device)
    for d in chain.descriptors:
        write(device, "interrupt_clear", 7)
        write(device, "interrupt_mask", EMPTY | FULL)
        push(device, replace(d, int_en=1))
        polls = 0
        while not read(device, "interrupt_status") & DONE:
            polls += 1
            assert polls < 4
        write(device, "interrupt_clear", 7)
        write(device, "interrupt_mask", 7)
    chain.assert_done(device)


def test_kpu_run_style_pushes_one_more_layer_at_every_interrupt():
    device, chain = FunctionalDevice(), Chain(9)
    chain.load(device)
    start(device, FULL)
    last = replace(chain.descriptors[-1], int_en=1, send_data_out=1)
    pending = chain.descriptors[:-1] + [last]
    push(device, pending.pop(0))
    while pending:
        device.wait_interrupt(1_000_000)
        write(device, "interrupt_clear", 7)
        push(device, pending.pop(0))
    assert device.read_stream(chain.expected.size) == chain.expected.tobytes()
    interrupts = 0
    while read(device, "interrupt_status"):
        write(device, "interrupt_clear", 7)
        interrupts += 1
        assert interrupts < 4, "almost_empty storms"
    chain.assert_done(device)


def test_kpu_start_style_pushes_twelve_layers_without_looking():
    device, chain = FunctionalDevice(), Chain(30)
    chain.load(device)
    start(device, 7, thresholds=0x1C)
    pending = list(chain.descriptors)

    def push_some():
        for d in pending[:12]:
            push(device, d)
        del pending[:12]

    push_some()
    write(device, "interrupt_mask", DONE | FULL)
    while pending:
        device.wait_interrupt(1_000_000)
        assert read(device, "interrupt_status") == EMPTY
        write(device, "interrupt_clear", 7)
        push_some()
    write(device, "interrupt_mask", 7)
    chain.assert_done(device)


# Queue and interrupts


def test_almost_empty_is_an_event_of_taking_a_layer_from_a_short_queue():
    device, chain = FunctionalDevice(), Chain(4)
    chain.load(device)
    start(device, DONE | FULL, thresholds=0x1F)
    push(device, chain.descriptors[0])
    assert read(device, "interrupt_status") == EMPTY
    write(device, "interrupt_clear", EMPTY)
    assert read(device, "interrupt_status") == 0
    for d in chain.descriptors[1:]:
        push(device, d)
    write(device, "interrupt_clear", 7)
    device.wait_interrupt(1)
    chain.assert_done(device)


@pytest.mark.parametrize(("threshold", "left"), [(0, 0), (1, 1), (2, 2), (15, 2)])
def test_almost_empty_compares_the_layers_left_with_the_threshold(threshold, left):
    device, chain = FunctionalDevice(), Chain(4)
    chain.load(device)
    start(device, DONE | FULL, thresholds=threshold << 4)
    for d in chain.descriptors:
        push(device, d)
    write(device, "interrupt_clear", 7)
    device.wait_interrupt(1_000_000)
    level = read(device, "ext_fifo_level")
    assert level >> 16 & 0xFF == left
    assert level >> 24 & 1, "the layer that was taken is running"


def test_almost_full_is_set_when_a_push_reaches_the_threshold():
    device, chain = FunctionalDevice(), Chain(4)
    chain.load(device)
    start(device, DONE | EMPTY, thresholds=0x03)
    for n, d in enumerate(chain.descriptors):
        # The first layer starts at once, so the fourth push makes three wait.
        push(device, d)
        raw = device._raw & FULL
        assert bool(raw) == (n == 3)
    assert read(device, "interrupt_raw") & FULL
    chain.assert_done(device)


def test_a_seventeenth_waiting_layer_waits_for_room_and_none_is_lost():
    device, chain = FunctionalDevice(), Chain(LAYER_FIFO + 10)
    chain.load(device)
    for d in chain.descriptors:
        push(device, d)
    chain.assert_done(device)


def test_calc_done_needs_int_en_and_status_needs_the_mask_open():
    device, chain = FunctionalDevice(), Chain(2)
    chain.load(device)
    write(device, "interrupt_clear", 7)
    push(device, chain.descriptors[0])
    airam(device)
    assert device._raw & DONE == 0
    push(device, replace(chain.descriptors[1], int_en=1))
    airam(device)
    assert read(device, "interrupt_raw") & DONE
    assert read(device, "interrupt_status") == 0
    write(device, "interrupt_mask", EMPTY | FULL)
    assert read(device, "interrupt_status") == DONE
    write(device, "interrupt_clear", EMPTY | FULL)
    assert read(device, "interrupt_raw") == DONE
    write(device, "interrupt_clear", DONE)
    assert read(device, "interrupt_raw") == 0


def test_eight_bit_mode_counts_when_the_layer_starts():
    rng = np.random.default_rng(3)
    layer = random_layer(rng, kinds=("conv",), eight_bit=True, pools=(0,))
    layer = replace(layer, descriptor=replace(layer.descriptor, send_data_out=0))
    device = FunctionalDevice()
    load(device, layer)
    push(device, layer.descriptor)
    write(device, "eight_bit_mode", 0)
    np.testing.assert_array_equal(result_of(device, layer), layer.result.output)


def test_waiting_for_an_interrupt_that_cannot_come_is_an_error():
    device, chain = FunctionalDevice(), Chain(1)
    with pytest.raises(DeviceError, match="no layer is left"):
        device.wait_interrupt(1_000_000)
    chain.load(device)
    write(device, "interrupt_mask", EMPTY | FULL)
    push(device, chain.descriptors[0])
    with pytest.raises(DeviceError, match="no layer is left"):
        device.wait_interrupt(1_000_000)


# Output stream


def streaming_layer(words):
    """A layer whose output is ``words`` words, all streamed."""
    layer = random_layer(np.random.default_rng(2), kinds=("bypass",), pools=(0,))
    d = make_descriptor((words, 1, 8), words, bypass_conv=1, send_data_out=1)
    return replace(layer, descriptor=d, bn=np.full(words, layer.bn[0]), source=np.ones((words, 1, 8), np.uint8))


def test_a_layer_does_not_finish_before_its_stream_fits_the_fifo():
    device, layer = FunctionalDevice(), streaming_layer(OUTPUT_FIFO_WORDS + 2)
    load(device, layer)
    write(device, "interrupt_mask", EMPTY | FULL)
    push(device, layer.descriptor)
    with pytest.raises(DeviceError, match="output stream is not drained"):
        device.wait_interrupt(1_000_000)
    assert read(device, "fifo_data_out") == layer.result.stream[0]
    assert read(device, "fifo_data_out") == layer.result.stream[1]
    device.wait_interrupt(1_000_000)
    assert device.read_stream(8 * OUTPUT_FIFO_WORDS) == layer.result.output.tobytes()[16:]
    assert read(device, "fifo_data_out") == 0


def test_reading_more_than_is_streamed_is_an_error():
    device, layer = FunctionalDevice(), streaming_layer(3)
    load(device, layer)
    push(device, layer.descriptor)
    with pytest.raises(DeviceError, match="ran dry after 24 of 25 bytes"):
        device.read_stream(25)


def test_a_zero_in_fifo_ctrl_empties_that_fifo():
    device, layer = FunctionalDevice(), streaming_layer(5)
    load(device, layer)
    push(device, layer.descriptor)
    write(device, "fifo_ctrl", 0x1E)
    write(device, "fifo_ctrl", 0x1F)
    assert read(device, "fifo_data_out") == 0
    write(device, "layer_argument_fifo", 1)
    write(device, "fifo_ctrl", 0x1B)
    push(device, layer.descriptor)
    write(device, "fifo_ctrl", 0x1F)
    assert read(device, "fifo_data_out") == 0
    push(device, layer.descriptor)
    assert device.read_stream(40) == layer.result.output.tobytes()


# Registers and memory


def test_registers_reset_to_the_recommended_values_and_keep_defined_bits_only():
    device = FunctionalDevice()
    names = ("interrupt_mask", "interrupt_raw", "interrupt_status", "fifo_threshold", "eight_bit_mode", "fifo_ctrl",
             "layer_argument_fifo", "interrupt_clear")
    assert [read(device, name) for name in names] == [7, 0, 0, 0, 0, 0x1F, 0, 0]
    for name, kept in (("interrupt_mask", 7), ("fifo_threshold", 0xFF), ("eight_bit_mode", 1), ("fifo_ctrl", 0x1F)):
        write(device, name, (1 << 64) - 1)
        assert read(device, name) == kept
    assert device.read64(REGS_BASE + 0x48) == 0


def test_extension_page_identifies_the_device():
    device = FunctionalDevice(SMALL)
    assert read(device, "ext_id") & 0xFFFFFFFF == 0x4F4B5055
    assert read(device, "ext_id") >> 48 & 1 == 0
    assert read(FunctionalDevice(), "ext_id") >> 48 & 1 == 1
    assert read(device, "ext_config") == 8 | 4 << 16 | SMALL.tile_pixels << 32 | LAYER_FIFO << 48
    assert read(device, "ext_memories") == 1024 | 2048 << 32
    assert read(device, "ext_cycles") == 0


def test_memory_is_the_same_in_both_views_and_bounded():
    device = FunctionalDevice(SMALL)
    device.write_memory(0x8000_0010, b"12345678")
    assert device.read_memory(0x4000_0010, 8) == b"12345678"
    assert device.read64(0x4000_0010) == int.from_bytes(b"12345678", "little")
    device.write64(AIRAM_BASE + SMALL.airam_bytes - 8, 1)
    for where, size in ((SRAM_BASE + SMALL.sram_bytes - 1, 2), (AIRAM_BASE + SMALL.airam_bytes - 4, 8),
                        (REGS_BASE, 8), (0x0, SMALL.sram_bytes + 1)):
        with pytest.raises(DeviceError, match="bus address"):
            device.read_memory(where, size)
        with pytest.raises(DeviceError, match="bus address"):
            device.write_memory(where, bytes(size))


# Errors


BAD = {
    "output size": ({"o_row_wid": 9}, "bad_geometry"),
    "group": ({"coef_group": 3}, "bad_geometry"),
    "no output group": ({"wb_group": 0}, "bad_geometry"),
    "slot": ({"i_row_wid": 20, "o_row_wid": 20}, "bad_geometry"),
    "input lines overlap": ({"row_switch_addr": 0}, "bad_geometry"),
    "output channels overlap": ({"wb_channel_switch_addr": 9}, "bad_geometry"),
    "loads": ({"o_ch_num_coef": 3, "load_time": 2}, "bad_geometry"),
    "para_size": ({"para_size": 1}, "bad_geometry"),
    "input range": ({"image_src_addr": 1005}, "airam_range"),
    "output range": ({"image_dst_addr": 1005}, "airam_range"),
    "far output": ({"image_dst_addr": 32767}, "airam_range"),
    "weights": ({"i_ch_num": 200, "channel_switch_addr": 20, "para_size": 60_000}, "weight_size"),
    "alignment": ({"bwsx_base_addr": SRAM_BASE + 4}, "unsupported"),
    "table outside memory": ({"active_addr": 0x5000_0000}, "bus_error"),
    "weights outside memory": ({"para_start_addr": SRAM_BASE + SMALL.sram_bytes - 8}, "bus_error"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("int_en", [0, 1])
def test_an_illegal_layer_sets_its_error_and_calc_done_and_writes_nothing(case, int_en):
    fields, bit = BAD[case]
    device, chain = FunctionalDevice(SMALL), Chain(2)
    chain.load(device)
    good, bad = chain.descriptors[0], replace(chain.descriptors[1], int_en=int_en, send_data_out=1, **fields)
    write(device, "interrupt_mask", EMPTY | FULL)
    push(device, good)
    before = airam(device).copy()
    push(device, bad)
    announced = -(-min(bad.o_ch_num * bad.o_col_high * bad.o_row_wid, bad.dma_total_byte) // 8) * 8
    assert device.read_stream(announced) == bytes(announced), "zeros for a DMA that waits for them"
    device.wait_interrupt(1_000_000)
    assert bit in error_names(device)
    assert read(device, "ext_error") >> 16 == 1, "the second layer since the last clear"
    assert read(device, "ext_layers") == 2
    np.testing.assert_array_equal(airam(device), before)
    with pytest.raises(DeviceError, match="refused a layer"):
        device.read_stream(8)
    write(device, "ext_control", 1)
    assert error_names(device) == [] and read(device, "ext_layers") == 0
    push(device, chain.descriptors[1])
    np.testing.assert_array_equal(result_of(device, chain.layers[1]), chain.expected)


def test_maps_may_end_with_the_last_row_of_the_ai_ram():
    device, layer = FunctionalDevice(SMALL), Chain(1).layers[0]
    layer = replace(layer, descriptor=replace(layer.descriptor, image_dst_addr=1004))
    load(device, layer)
    push(device, layer.descriptor)
    np.testing.assert_array_equal(result_of(device, layer), layer.result.output)
    assert error_names(device) == []


def test_16_bit_weights_are_refused_where_they_are_missing():
    device, chain = FunctionalDevice(SMALL), Chain(1)
    chain.load(device)
    write(device, "eight_bit_mode", 0)
    push(device, chain.descriptors[0])
    airam(device)
    assert "unsupported" in error_names(device)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_descriptors_never_hurt_anything_but_their_destination(data):
    layer = draw_layer(lambda low, high: data.draw(st.integers(low, high)), SMALL, max_macs=50_000, max_pixels=4_000)
    words = layer.words()
    for _ in range(data.draw(st.integers(1, 3))):
        arg = data.draw(st.sampled_from(DESCRIPTOR))
        words[arg.word] &= ~(arg.field.mask << arg.field.lsb)
        words[arg.word] |= data.draw(st.integers(0, arg.field.mask)) << arg.field.lsb
    device = FunctionalDevice(SMALL)
    load(device, layer)
    before = airam(device).copy()
    for word in words:
        write(device, "layer_argument_fifo", word)
    for reset in (0x1E, 0x1F):  # nobody reads the stream: drop it, so that a refused layer ends too
        write(device, "fifo_ctrl", reset)
    changed = np.flatnonzero(airam(device) != before)
    d = type(layer.descriptor).unpack(words)
    errors = descriptor_errors(d, SMALL, layer.eight_bit)
    if errors or error_names(device):
        assert changed.size == 0
        assert {e.bit for e in errors} <= set(error_names(device))
    else:
        assert set(changed) <= set(d.out_layout.offsets().ravel())


def test_words_at_random_are_survived():
    rng = np.random.default_rng(0)
    device = FunctionalDevice(SMALL)
    for _ in range(300):
        for word in rng.integers(0, 1 << 64, 12, np.uint64, endpoint=False) >> rng.integers(0, 64, 12, np.uint64):
            write(device, "layer_argument_fifo", int(word))
        while read(device, "fifo_data_out") or read(device, "ext_fifo_level") & 0xFFFF:
            pass
    device.read_memory(AIRAM_BASE, ROW_BYTES)
    assert read(device, "ext_layers") == 300
