# SPDX-License-Identifier: Apache-2.0
"""The planning rules against layers planned by hand, and the cycle model against the core's own counters."""

from __future__ import annotations

import json

import numpy as np
import pytest

from openkpu.devices.native import NativeDevice
from openkpu.golden.layers import make_descriptor, random_layer
from openkpu.golden.on_device import address, check_layer
from openkpu.hw.configs import CORES, ON_CHIP
from openkpu.hw.descriptor import Descriptor, replace
from openkpu.hw.fields import EXT_LOG_BASE, EXT_LOG_STRIDE, REGS_BASE, SRAM_BASE, WORD_NAMES
from openkpu.kmodel import load
from openkpu.profiling.layers import Profiler
from openkpu.runtime import Session
from openkpu.schedule.cycles import LayerCycles, blocks, line_rows, plan, run
from openkpu.schedule.plan import effective_macs
from rtl import open_rtl

FULL, TINY = CORES["full"], CORES["tiny"]


def close(predicted: int, counted: int) -> bool:
    """The agreement that the model promises."""
    return abs(predicted - counted) <= max(200, 0.03 * counted)


# (input shape, output channels, descriptor fields) -> plan of the full configuration, worked out by hand.
PLANS = {
    # P = 4 and 8 cost the same, and the larger one wins. 64 input columns are 32 windows; with P = 8 that is 4 column
    # groups of 4 pixels: 16 sums, so 128 / 16 = 8 rows.
    "first layer of a detector": (
        ((3, 240, 320), 16, {"kernel_type": 1, "pool_type": 1}),
        {"lgp": 3, "lgsw": 6, "rows": 8, "last_rows": 8, "passes": 3, "block": 8, "keep": True, "repetitions": 75}),
    # P = 1 and 2 cost 4 * 20 and 8 * 10 per pass; P = 4 would read 156 rows in 145 cycles. 128 // 10 = 12 rows,
    # 2 tiles, 8 rows each.
    "wide 1x1 layer": (
        ((256, 15, 20), 256, {}),
        {"lgp": 1, "rows": 8, "passes": 29, "block": 32, "piece": 32, "keep": True, "repetitions": 2}),
    # The last strip is 16 of 64 columns wide: tiles of 8 instead of 2 rows.
    "last strip of its own height": (
        ((32, 60, 80), 64, {}),
        {"lgp": 0, "rows": 2, "last_rows": 8, "passes": 4, "keep": True, "repetitions": 30 + 8}),
    # 512 * 57 entries do not fit; a single tile needs no second fetch.
    "weights fetched once": (
        ((512, 7, 10), 512, {"o_ch_num_coef": 60}),
        {"lgp": 1, "rows": 7, "passes": 57, "keep": False, "repetitions": 1}),
    # 2 tiles, 256 * 128 entries: fetched again for each tile.
    "weights fetched for every tile": (
        ((128, 64, 32), 256, {"kernel_type": 1, "o_ch_num_coef": 26}),
        {"lgp": 3, "rows": 32, "passes": 128, "keep": False, "repetitions": 2}),
    # Overlapping windows: P = 1, strips of 32 columns and one more, and 128 // 33 - 1 = 2 rows; 6 columns: 21 - 1 rows.
    "overlapping pool": (
        ((8, 40, 70), 4, {"pool_type": 9}),
        {"overlap": True, "lgp": 0, "lgsw": 5, "rows": 2, "last_rows": 20, "passes": 1, "repetitions": 20 + 20 + 2}),
    "depthwise": (
        ((20, 30, 100), 20, {"kernel_type": 1, "depth_wise_layer": 1}),
        {"dwfast": True, "single": True, "passes": 1, "block": 1, "repetitions": 1, "keep": False}),
    "narrow depthwise, four channels at once": (
        ((20, 9, 16), 20, {"kernel_type": 1, "depth_wise_layer": 1}), {"dwfast": True, "block": 4}),
    # The streaming path cannot pool: one channel per block on the array.
    "pooled depthwise": (
        ((20, 8, 32), 20, {"kernel_type": 1, "depth_wise_layer": 1, "pool_type": 2}),
        {"dwfast": False, "single": True, "passes": 1, "block": 1}),
    # Every second column: strips of 32 input columns, 8 groups of P = 4.
    "first_stride": (
        ((3, 224, 224), 64, {"kernel_type": 1, "first_stride": 1}),
        {"lgp": 2, "lgsw": 5, "width": 112, "height": 112, "rows": 16, "last_rows": 28, "passes": 3, "keep": True}),
}


# 8x6 pixels, 3 input and 2 output channels: descriptor fields -> pixels that the output depends on.
EFFECTIVE = {
    "no pool": ({}, 48), "maximum of every window": ({"pool_type": 1}, 48), "left-top of 2x2": ({"pool_type": 5}, 12),
    "left-top of 4x4": ({"pool_type": 7}, 2), "overlapping": ({"pool_type": 9}, 48),
    "first_stride": ({"first_stride": 1}, 12)}


@pytest.mark.parametrize("name", EFFECTIVE)
def test_effective_macs_leave_out_what_a_sampling_pool_drops(name):
    fields, pixels = EFFECTIVE[name]
    assert effective_macs(make_descriptor((3, 6, 8), 2, kernel_type=1, **fields)) == pixels * 9 * 3 * 2


def test_no_layer_uses_more_than_every_multiplier():
    for seed in range(300):
        d = random_layer(np.random.default_rng(seed)).descriptor
        assert effective_macs(d) <= d.macs
        assert effective_macs(d) <= 9 * FULL.config("full").pes * run([plan(d, FULL)], FULL)[0].total, seed


@pytest.mark.parametrize("name", PLANS)
def test_plan_follows_the_rules(name):
    (shape, channels, fields), expected = PLANS[name]
    p = plan(make_descriptor(shape, channels, **fields), FULL)
    assert {key: getattr(p, key) for key in expected} == expected


def test_sixteen_bit_weights_take_two_passes():
    p = plan(make_descriptor((20, 8, 8), 8, eight_bit=False), FULL, eight_bit=False)
    assert (p.wide, p.passes, p.channel_bytes) == (True, 6, 40)


def test_blocks_cover_every_output_pixel_once():
    rng = np.random.default_rng(5)
    for _ in range(60):
        layer = random_layer(rng, TINY.config("tiny"), max_macs=20_000, max_pixels=4_000)
        d = layer.descriptor
        hits = np.zeros(d.out_shape, int)
        for b in blocks(plan(d, TINY, layer.eight_bit)):
            hits[b.channel:b.channel + b.outs, b.row:b.row + b.rows, b.column:b.column + b.columns] += 1
        assert (hits == 1).all(), layer.name


def test_feature_rows_of_a_pass():
    # 3x3, 100 columns wide, second tile: the line above, at and below, each in two words; then one line more per line.
    p = plan(make_descriptor((1, 12, 100), 64, kernel_type=1), FULL, lgp=0)
    first, second = [b for b in blocks(p) if b.column == 0][:2]
    assert line_rows(p, first, 0)[:2] == [4, 2]
    assert line_rows(p, second, 0)[:2] == [6, 2]
    # 1x1, 20 columns wide: two channels share a row; channels 9 to 17 begin in the middle of one.
    p = plan(make_descriptor((21, 6, 20), 64), FULL)
    block = next(blocks(p))
    assert [line_rows(p, block, g)[0] for g in range(3)] == [5, 5, 2]


def test_busy_cycles_are_the_column_groups_of_all_passes():
    d = make_descriptor((256, 15, 20), 256)
    # 4 blocks * 29 passes * 15 lines * 20 columns
    assert run([plan(d, FULL)], FULL)[0].busy == 4 * 29 * 15 * 20


def test_prefetched_parameters_save_their_fetch():
    d = make_descriptor((64, 16, 20), 64)
    cold, warm = (run([plan(d, FULL)], FULL, prefetched)[0] for prefetched in (False, True))
    assert warm.busy == cold.busy and warm.wait["parameters"] < 100 < cold.wait["parameters"]
    queued = run([plan(d, FULL)] * 3, FULL)
    assert [layer.total for layer in queued] == [cold.total, warm.total, warm.total]


def test_limit_names_what_costs_most():
    names = {name: run([plan(d, FULL)], FULL)[0].limit for name, d in {
        "array": make_descriptor((64, 60, 64), 64, kernel_type=1),
        "parameters": make_descriptor((512, 4, 4), 128, o_ch_num_coef=60),
        "write-back": make_descriptor((8, 64, 64), 8, pool_type=9)}.items()}
    assert names == {name: name for name in names}


@pytest.fixture(scope="module", params=ON_CHIP)
def device(request):
    device = open_rtl(request.param)
    yield device
    device.close()


@pytest.mark.rtl
@pytest.mark.parametrize("seed", range(10))
def test_random_layers_take_the_predicted_cycles(device, seed):
    core = CORES[device.config.name]
    layer = random_layer(np.random.default_rng(seed), device.config, max_macs=200_000 if core == FULL else 30_000)
    layer = replace(layer, descriptor=replace(layer.descriptor, send_data_out=0))
    predicted = run([plan(layer.descriptor, core, layer.eight_bit)], core)[0].total
    counted = check_layer(device, layer)
    assert close(predicted, counted), f"{layer.name}: predicted {predicted}, counted {counted}"


# model: layers of it, queued together
REAL = {"v3_yolo_face_detect": slice(6, 13), "v3_yolo20": slice(9, 11), "v3_ld5": slice(4, 8),
        "v5_yolox_nano_224": slice(98, 112)}


@pytest.mark.rtl
@pytest.mark.parametrize("device", ["full"], indirect=True)
@pytest.mark.parametrize("model", REAL)
def test_layers_of_real_models_take_the_predicted_cycles(device, shared, model):
    listed = json.loads((shared / "vectors" / "models" / model / "layers.json").read_text())[REAL[model]]
    descriptors = [replace(Descriptor.unpack([int(layer[word], 16) for word in WORD_NAMES]), send_data_out=0)
                   for layer in listed]
    predicted = run([plan(d, FULL) for d in descriptors], FULL)
    for d, prediction, counted in zip(descriptors, predicted, queue(device, descriptors), strict=True):
        assert close(prediction.total, counted.total), \
            f"{d.in_shape} -> {d.out_shape}: predicted {prediction}, counted {counted}"
        assert prediction.busy == counted.busy


@pytest.mark.rtl
@pytest.mark.parametrize("device", ["full"], indirect=True)
@pytest.mark.parametrize("model", ["v4_RFB-320", "v5_yolox_nano_224"])  # with host operators in between
def test_layers_of_a_run_take_the_predicted_cycles(device, shared, model):
    loaded = load(shared / "kmodels" / f"{model}.kmodel")
    profiler = Profiler(loaded, device.config)
    Session(loaded, device).run([np.zeros(spec.shape, spec.dtype) for spec in loaded.inputs], hooks=(profiler,))
    wrong = [(row["layer"], row["predicted"], row["cycles"]) for row in profiler.rows
             if not close(row["predicted"], row["cycles"])]
    assert not wrong, f"(layer, predicted, counted): {wrong}"


@pytest.mark.rtl
@pytest.mark.parametrize("shape, channels, eight_bit, burst", [
    ((64, 8, 8), 64, True, 1), ((64, 8, 8), 64, True, 2),  # bursts too short to cover the memory's latency
    ((91, 4, 4), 200, False, 16),                          # channels that end with one weight of two bytes
])
def test_layers_that_wait_for_weights_take_the_predicted_cycles(device, shape, channels, eight_bit, burst):
    core = CORES[device.config.name]
    d = make_descriptor(shape, channels, eight_bit=eight_bit, dma_burst_size=burst, o_ch_num_coef=20)
    predicted, = run([plan(d, core, eight_bit)], core)
    counted, = queue(device, [d], eight_bit)
    assert close(predicted.total, counted.total), f"predicted {predicted}, counted {counted}"


def queue(device: NativeDevice, descriptors: list[Descriptor], eight_bit: bool = True) -> list[LayerCycles]:
    """Run layers with whatever lies in the memories; their entries in the core's log."""
    rng = np.random.default_rng(3)
    device.write_memory(SRAM_BASE, rng.bytes(1 << 20))
    for name, value in (("ext_control", 1), ("interrupt_clear", 7), ("interrupt_mask", 6),
                        ("eight_bit_mode", int(eight_bit))):
        device.write64(address(name), value)
    for number, d in enumerate(descriptors, 1):
        for word in replace(d, int_en=int(number == len(descriptors))).pack():
            device.write64(address("layer_argument_fifo"), word)
    device.wait_interrupt(3_000_000)
    result = []
    for number in range(len(descriptors)):
        work = device.read64(REGS_BASE + EXT_LOG_BASE + number * EXT_LOG_STRIDE)
        result.append(LayerCycles(work & 0xFFFF_FFFF, work >> 32))
    return result
