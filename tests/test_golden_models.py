# SPDX-License-Identifier: Apache-2.0
"""The two golden models agree with each other and with the vendor's vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openkpu.golden import fast, reference
from openkpu.golden.layers import layers, load_raw_layer, make_descriptor, memory_reader, random_layer, raw_layers
from openkpu.golden.parameters import ParameterMemory, pack_activation, pack_fields
from openkpu.hw.check import descriptor_errors
from openkpu.hw.descriptor import Descriptor
from openkpu.hw.device import KpuConfig
from openkpu.hw.fields import BN_FIELDS

RAW_LAYERS = Path(__file__).parent / "data" / "raw_layers"
SMALL = KpuConfig("small", pes=8, lanes=4, airam_bytes=64 << 10, weight_bytes=2048, sram_bytes=1 << 20,
                  has_16bit=False)
many = settings(max_examples=80, deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def both(layer, memories=(None, None)):
    """AI RAM and result of either model; both start from the same garbage."""
    background = np.random.default_rng(0).integers(0, 256, KpuConfig.airam_bytes, np.uint8)
    outcome = []
    for model, memory in zip((reference, fast), memories, strict=True):
        ram = layer.airam(background=background)
        outcome.append((ram, model.run_layer(layer.descriptor, ram, memory_reader(layer.memory()), layer.eight_bit,
                                             memory)))
    return outcome


def assert_agree(layer, memories=(None, None)):
    (slow_ram, slow), (fast_ram, quick) = both(layer, memories)
    np.testing.assert_array_equal(quick.output, slow.output)
    assert quick.stream == slow.stream
    np.testing.assert_array_equal(fast_ram, slow_ram)


@many
@given(layers(max_macs=100_000, max_pixels=6_000))
def test_fast_model_equals_the_reference_on_random_layers(layer):
    assert_agree(layer)


@pytest.mark.parametrize("pool_type", range(16))
@pytest.mark.parametrize("kind", ["conv", "depthwise", "first_stride", "bypass"])
def test_fast_model_equals_the_reference_with_every_pool(kind, pool_type):
    rng = np.random.default_rng(pool_type)
    for kernel_type in (0, 1):
        assert_agree(random_layer(rng, kinds=(kind,), kernels=(kernel_type,), pools=(pool_type,), max_macs=50_000,
                                  max_pixels=3_000))


@many
@given(st.data())
def test_fast_post_processing_equals_the_reference_at_the_ends_of_all_ranges(data):
    """norm_add is v: chosen next to segment starts, with any table at all, garbage in the unused bits."""
    bottom, top = -(1 << 35), (1 << 35) - 1
    near_zero, anything = st.integers(-300, 300), st.integers(bottom, top)
    table = [data.draw(st.tuples(near_zero | anything | st.sampled_from([bottom, top]), st.integers(-1 << 15, 32767),
                                 st.integers(0, 45) | st.integers(0, 255), st.integers(0, 255))) for _ in range(16)]
    values = [np.clip(start + step, -1 << 31, (1 << 31) - 1) for start, *_ in table for step in (-1, 0, 1, 2, 257)]
    values += data.draw(st.lists(st.integers(-1 << 31, (1 << 31) - 1), min_size=20, max_size=20))
    pixel = data.draw(st.sampled_from([0, 255]))
    mul = data.draw(st.integers(-1 << 23, (1 << 23) - 1) | st.just(0))
    d = make_descriptor((len(values), 1, 1), len(values), bypass_conv=1)
    base = random_layer(np.random.default_rng(1), kinds=("bypass",))
    bn = pack_fields(BN_FIELDS, norm_mul=mul, norm_shift=data.draw(st.integers(0, 15)), norm_add=np.array(values))
    act = pack_activation(*zip(*table, strict=True))
    garbage = np.uint64(data.draw(st.integers(0, 15)) << 60)
    act[:16] |= garbage
    assert_agree(replace(base, descriptor=d, bn=bn | garbage, act=act, weights=np.zeros(0, np.uint8),
                         source=np.full((len(values), 1, 1), pixel, np.uint8)))


def test_sums_beyond_36_bits_wrap_in_both_models():
    rng = np.random.default_rng(5)
    for eight_bit in (True, False):
        base = random_layer(rng, kinds=("conv",), kernels=(1,), pools=(0,), eight_bit=eight_bit, max_macs=50_000)
        for arg_add in (-(1 << 39), (1 << 39) - 1, (1 << 35) // base.descriptor.i_ch_num):
            layer = replace(base, descriptor=replace(base.descriptor, arg_add=arg_add))
            unbounded = abs(arg_add) * layer.descriptor.i_ch_num
            assert unbounded > 1 << 34
            assert_agree(layer)


@pytest.mark.parametrize("path", sorted(RAW_LAYERS.glob("*.npz")), ids=lambda p: p.stem)
def test_fast_model_gives_the_vendors_result_of_every_raw_layer(path):
    layer = load_raw_layer(path)
    np.testing.assert_array_equal(layer.result.output, layer.expected)


def test_reference_gives_the_vendors_results_of_the_small_raw_layers():
    small = [layer for layer in raw_layers(RAW_LAYERS)
             if layer.descriptor.macs < 300_000 and layer.source.size + layer.expected.size < 30_000]
    assert len(small) > 50
    for layer in small:
        result = reference.run_layer(layer.descriptor, layer.airam(), memory_reader(layer.memory()), True)
        np.testing.assert_array_equal(result.output, layer.expected, err_msg=layer.name)


@pytest.mark.parametrize("config", [KpuConfig(), SMALL], ids=lambda c: c.name)
def test_random_layers_are_legal_and_cover_all_kinds(config):
    rng = np.random.default_rng(3)
    drawn = [random_layer(rng, config) for _ in range(400)]
    for layer in drawn:
        assert descriptor_errors(layer.descriptor, config, layer.eight_bit) == []
        assert Descriptor.unpack(layer.words()) == layer.descriptor
    descriptors = [layer.descriptor for layer in drawn]
    assert {d.pool_type for d in descriptors} == set(range(16))
    assert {d.kernel for d in descriptors} == {1, 3}
    assert {(d.coef_group, d.wb_group) for d in descriptors} >= {(1, 1), (2, 2), (4, 4), (1, 2), (2, 4)}
    assert {layer.eight_bit for layer in drawn} == ({True, False} if config.has_16bit else {True})
    for name in ("depth_wise_layer", "first_stride", "bypass_conv", "full_add", "send_data_out"):
        assert {getattr(d, name) for d in descriptors} == {0, 1}, name
    assert any(d.depthwise and d.i_ch_num != d.o_ch_num for d in descriptors)
    assert any(d.load_time > 1 and d.o_ch_num % d.o_ch_num_coef for d in descriptors)


def test_tables_that_are_not_loaded_are_kept():
    rng = np.random.default_rng(8)
    first = random_layer(rng, kinds=("conv",), kernels=(1,), pools=(0,), eight_bit=True, max_macs=40_000)
    d = first.descriptor
    if d.load_time > 1:
        first = replace(first, descriptor=replace(d, load_time=1, o_ch_num_coef=d.o_ch_num,
                                                  para_size=d.taps * d.o_ch_num))
    for name, table in (("load_act", "act"), ("load_para", "bn"), ("load_coor", "weights")):
        kept = replace(first, descriptor=replace(first.descriptor, **{name: 0}),
                       **{table: np.zeros_like(getattr(first, table))})
        memories = ParameterMemory(), ParameterMemory()
        assert_agree(first, memories)
        (_, slow), (_, quick) = both(kept, memories)
        np.testing.assert_array_equal(slow.output, first.result.output)
        np.testing.assert_array_equal(quick.output, first.result.output)


def test_weights_of_several_loads_come_from_their_own_addresses():
    """para_size may be larger than a load needs; the gap is not read."""
    layer = random_layer(np.random.default_rng(2), kinds=("conv",), kernels=(0,), pools=(0,), eight_bit=True)
    d = layer.descriptor
    per = d.taps
    loads = [layer.weights[n * per: (n + 1) * per] for n in range(d.o_ch_num)]
    gapped = np.concatenate([np.append(load, np.full(5, 99, np.uint8)) for load in loads[:64]])
    d = replace(d, o_ch_num=min(d.o_ch_num, 64))
    d = replace(d, o_ch_num_coef=1, load_time=d.o_ch_num, para_size=per + 5)
    gapped_layer = replace(layer, descriptor=d, weights=gapped)
    assert_agree(gapped_layer)
    np.testing.assert_array_equal(gapped_layer.result.output, layer.result.output[: d.o_ch_num])


def test_stream_ends_after_dma_total_byte():
    layer = random_layer(np.random.default_rng(4), kinds=("conv",), pools=(0,), eight_bit=True)
    d = replace(layer.descriptor, send_data_out=1, full_add=0)
    whole = replace(layer, descriptor=d).result
    assert len(whole.stream) == -(-whole.output.size // 8)
    cut = replace(layer, descriptor=replace(d, dma_total_byte=11)).result
    assert cut.stream == [whole.stream[0], whole.stream[1] & 0xFFFFFF]


def test_full_add_streams_one_sum_per_channel_and_still_writes_the_map():
    layer = random_layer(np.random.default_rng(6), kinds=("conv",), pools=(1,), eight_bit=True)
    layer = replace(layer, descriptor=replace(layer.descriptor, send_data_out=1, full_add=1))
    ram = layer.airam()
    result = layer.run(ram)
    assert result.stream == [int(channel.sum()) for channel in result.output.astype(int)]
    np.testing.assert_array_equal(layer.descriptor.out_layout.gather(ram), result.output)
    assert_agree(layer)


def test_first_stride_equals_a_layer_on_the_decimated_map():
    layer = random_layer(np.random.default_rng(7), kinds=("first_stride",), kernels=(1,), eight_bit=True)
    d, source = layer.descriptor, layer.source[:, ::2, ::2]
    names = ("kernel_type", "pad_value", "arg_x", "arg_w", "arg_add", "shr_x", "shr_w", "active_addr", "bwsx_base_addr",
             "para_start_addr")
    plain = make_descriptor(source.shape, d.o_ch_num, **{name: getattr(d, name) for name in names})
    decimated = replace(layer, descriptor=plain, source=source)
    np.testing.assert_array_equal(layer.result.output, decimated.result.output)
