# SPDX-License-Identifier: Apache-2.0
"""kmodel v3: every layer body of the format is decoded, every check refuses what it should."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from kmodel_writer import descriptor, v3_conv, v3_fc, v3_file

from openkpu.errors import ModelError
from openkpu.kmodel import KpuConv, KpuUpload, Tensor, load, model_size
from openkpu.kmodel.v3 import ops as ops_v3


def words(*values: int | float) -> bytes:
    return b"".join(struct.pack("<f" if isinstance(v, float) else "<i" if v < 0 else "<I", v) for v in values)


def one(layer: tuple[int, bytes], **options):
    """The only layer behind a FULLY_CONNECTED of a file."""
    return load(v3_file([v3_fc(), layer], **options)).layers[1]


POOL = (0, 0, 256, 6, 5, 2, 3, 3, 2, 2, 3, 2, 2, 1, 1)
BODIES = [
    ("KL_ADD", 1, words(0, 0, 64, 128, 8), ops_v3.Add, {"a": (0, "f4", (8,)), "b": (64, "f4", (8,)),
                                                       "out": (128, "f4", (8,))}),
    ("KL_QUANTIZED_ADD", 2, words(0, 0, 8, 16, 8, -1, 2, 3, 4, 5, 6, 7, 8, 9), ops_v3.QuantizedAdd,
     {"a": (0, "u1", (8,)), "a_offset": -1, "a_mul": 2, "a_shift": 3, "b_offset": 4, "b_mul": 5, "b_shift": 6,
      "o_offset": 7, "o_mul": 8, "o_shift": 9}),
    ("KL_GLOBAL_AVERAGE_POOL2D", 5, words(0, 0, 512, 9, 4), ops_v3.GlobalAveragePool2d,
     {"input": (0, "f4", (4, 9)), "out": (512, "f4", (4,))}),
    ("KL_QUANTIZED_MAX_POOL2D", 8, words(*POOL), ops_v3.QuantizedMaxPool2d,
     {"input": (0, "u1", (2, 5, 6)), "out": (256, "u1", (2, 3, 3)), "kernel_w": 2, "kernel_h": 3, "stride_w": 2,
      "stride_h": 2, "pad_w": 1, "pad_h": 1}),
    ("KL_AVERAGE_POOL2D", 9, words(*POOL, 2), ops_v3.AveragePool2d,
     {"input": (0, "f4", (2, 5, 6)), "out": (256, "f4", (2, 3, 3)), "act": 2}),
    ("KL_QUANTIZE", 11, words(0, 0, 64, 8, 0.5, -1.0), ops_v3.Quantize,
     {"input": (0, "f4", (8,)), "out": (64, "u1", (8,)), "scale": 0.5, "bias": -1.0}),
    ("KL_DEQUANTIZE", 12, words(0, 0, 64, 8, 0.0, 2.0), ops_v3.Dequantize,
     {"input": (0, "u1", (8,)), "out": (64, "f4", (8,)), "scale": 0.0, "bias": 2.0}),
    ("KL_REQUANTIZE", 13, words(0, 0, 64, 8) + bytes(range(256)), ops_v3.Requantize,
     {"input": (0, "u1", (8,)), "table": np.arange(256)}),
    ("KL_L2_NORMALIZATION", 14, words(0, 0, 64, 8), ops_v3.L2Normalization, {"input": (0, "f4", (8,))}),
    ("KL_SOFTMAX", 15, words(0, 0, 64, 8), ops_v3.Softmax, {"out": (64, "f4", (8,))}),
    ("KL_CONCAT", 16, words(0, 512, 2, 0, 8, 100, 5), ops_v3.Concat,
     {"parts": ((0, "u1", (8,)), (100, "u1", (5,))), "out": (512, "u1", (13,))}),
    ("KL_QUANTIZED_CONCAT", 17, words(0, 512, 1, 3, 7), ops_v3.Concat, {"parts": ((3, "u1", (7,)),)}),
    ("KL_FULLY_CONNECTED", 18, words(0, 0, 64, 3, 2, 2, *map(float, range(8))), ops_v3.FullyConnected,
     {"input": (0, "f4", (3,)), "out": (64, "f4", (2,)), "act": 2, "weights": np.arange(6).reshape(2, 3),
      "bias": np.array([6, 7])}),
    ("KL_TENSORFLOW_FLATTEN", 20, words(0, 0, 512, 4, 3, 2), ops_v3.TensorflowFlatten,
     {"input": (0, "f4", (2, 3, 4)), "out": (512, "f4", (3, 4, 2))}),
    ("KL_RESIZE_NEAREST_NEIGHBOR", 22, words(0, 0, 512, 4, 3, 2, 8, 6, 0), ops_v3.ResizeNearestNeighbor,
     {"input": (0, "f4", (2, 3, 4)), "out": (512, "f4", (2, 6, 8))}),
    ("KL_QUANTIZED_RESIZE_NEAREST_NEIGHBOR", 23, words(0, 0, 512, 4, 3, 2, 8, 6, 1), ops_v3.ResizeNearestNeighbor,
     {"input": (0, "u1", (2, 3, 4)), "out": (512, "u1", (2, 6, 8))}),
    ("KL_CHANNELWISE_DEQUANTIZE", 24, words(0, 0, 64, 2, 5, 1.0, 2.0, 3.0, 4.0), ops_v3.ChannelwiseDequantize,
     {"input": (0, "u1", (2, 5)), "out": (64, "f4", (2, 5)), "scale": np.array([1, 3]), "bias": np.array([2, 4])}),
    ("KL_LOGISTIC", 25, words(0, 0, 64, 8), ops_v3.Logistic, {"input": (0, "f4", (8,))}),
    ("KL_K210_ADD_PADDING", 10241, words(0, 0, 7, 6), ops_v3.AddPadding,
     {"input": (0, "u1", (6,)), "out": (7 * 64, "u1", (1, 6, 4, 4))}),
    ("KL_K210_REMOVE_PADDING", 10242, words(0, 0, 512, 6), ops_v3.RemovePadding,
     {"input": (0, "u1", (6, 4, 4)), "out": (512, "u1", (6,))}),
    ("KL_K210_UPLOAD", 10243, words(0, 0, 9, 20, 10, 3), KpuUpload,
     {"input": (0, "u1", (1, 3, 10, 20)), "out": (9 * 64, "u1", (1, 3, 10, 20))}),
]


def place(value):
    """A tensor as (offset, dtype, shape); anything else as it is."""
    if isinstance(value, tuple):
        return tuple(place(v) for v in value)
    return (value.offset, value.dtype.str[1:], value.shape) if isinstance(value, Tensor) else value


@pytest.mark.parametrize(("name", "kind", "body", "cls", "expected"), BODIES, ids=[b[0] for b in BODIES])
def test_layer_body_is_decoded(name, kind, body, cls, expected):
    layer = one((kind, body))
    assert type(layer) is cls and layer.name == name and layer.index == 1 and layer.where == "host"
    for field, value in expected.items():
        found = place(getattr(layer, field))
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value, field


@pytest.mark.parametrize(("name", "kind", "body", "cls", "expected"), BODIES, ids=[b[0] for b in BODIES])
def test_layer_body_that_is_cut_off_is_refused(name, kind, body, cls, expected):
    # The writer pads the body to a multiple of 8, so less than 8 missing bytes would come back as zeros.
    for size in range(0, len(body) - 7, 4):
        with pytest.raises(ModelError):
            one((kind, body[:size]))


@pytest.mark.parametrize("eight_bit", [True, False])
@pytest.mark.parametrize("depthwise", [False, True])
def test_conv_reads_record_and_tables(eight_bit, depthwise):
    d = descriptor(ic=5, oc=5 if depthwise else 7, depthwise=depthwise, pool=1, eight_bit=eight_bit)
    data = v3_file([(10240, lambda p: v3_conv(p, d, flags=1, main_out=8, eight_bit=eight_bit))], flags=int(eight_bit))
    model = load(data)
    conv = model.layers[0]
    assert isinstance(conv, KpuConv) and conv.where == "kpu" and conv.name == "KL_K210_CONV"
    assert conv.descriptor == d and conv.eight_bit is eight_bit and conv.stream
    assert conv.weights.size == d.weight_bytes(eight_bit) and conv.batch_norm.size == 8 * d.o_ch_num
    assert data[conv.weights_offset:][: conv.weights.size] == conv.weights.tobytes()
    assert data[conv.activation_offset:][:144] == conv.activation.tobytes()
    assert place(conv.main_out) == (8, "u1", (1, *d.out_shape))
    assert model.inputs[0].tensor.pool == "kpu" and model.inputs[0].shape == (1, *d.in_shape)


def test_conv_without_main_memory_output_leaves_the_map_in_the_ai_ram():
    conv = load(v3_file([(10240, lambda p: v3_conv(p, descriptor()))])).layers[0]
    assert conv.main_out is None and not conv.stream and conv.kpu_out.offset == 16384 * 64


def conv_with(**changed):
    d = replace(descriptor(), **changed)
    return load(v3_file([(10240, lambda p: v3_conv(p, d))]))


@pytest.mark.parametrize(("field", "value"), [
    ("kernel_type", 2), ("pool_type", 10), ("pool_type", 1), ("first_stride", 1), ("bypass_conv", 1), ("full_add", 1),
    ("load_para", 0), ("load_coor", 0), ("load_act", 0), ("depth_wise_layer", 1), ("i_row_wid", 9), ("o_col_high", 5),
    ("coef_group", 2), ("row_switch_addr", 2), ("channel_switch_addr", 3), ("wb_group", 1), ("load_time", 2),
    ("o_ch_num_coef", 3), ("para_size", 107), ("channel_byte_num", 47), ("dma_total_byte", 193),
    ("image_src_addr", 32767), ("image_dst_addr", 32767), ("i_ch_num", 4), ("o_ch_num", 5),
])
def test_record_whose_fields_contradict_each_other_is_refused(field, value):
    # Three channels in one group have no next group, so a wrong channel step is legal there; five have one.
    if field == "channel_switch_addr":
        d = replace(descriptor(ic=5), channel_switch_addr=value)
        with pytest.raises(ModelError, match="input layout"):
            load(v3_file([(10240, lambda p: v3_conv(p, d))]))
        return
    with pytest.raises(ModelError) as error:
        conv_with(**{field: value})
    assert "layer 0 KL_K210_CONV" in str(error.value)


def test_weights_loaded_in_pieces_are_accepted():
    d = descriptor(ic=3, oc=7, load_time=3, o_ch_num_coef=3, para_size=81)
    assert load(v3_file([(10240, lambda p: v3_conv(p, d))])).layers[0].weights.size == 189


def test_activation_shift_above_63_is_refused():
    data = bytearray(v3_file([(10240, lambda p: v3_conv(p, descriptor()))]))
    offset = load(bytes(data)).layers[0].activation_offset
    data[offset] = 64
    with pytest.raises(ModelError, match="shift_number = 64"):
        load(bytes(data))


def test_reserved_bits_of_a_record_are_ignored_with_a_warning():
    data = bytearray(v3_file([(10240, lambda p: v3_conv(p, descriptor()))]))
    start = load(bytes(data)).layers[0].offset + 24
    data[start + 7] = 0x80
    assert "reserved bits" in load(bytes(data)).warnings[0]


@pytest.mark.parametrize(("table", "value"), [(2, 1 << 31), (3, 0xFFFFFF80), (4, 0xFFFFFFFF), (5, 10 ** 6)])
def test_conv_tables_behind_the_file_are_refused(table, value):
    data = bytearray(v3_file([(10240, lambda p: v3_conv(p, descriptor()))]))
    struct.pack_into("<I", data, 44 + 4 * table, value)
    with pytest.raises(ModelError, match="behind the file"):
        load(bytes(data))


@pytest.mark.parametrize("kind", [0, 3, 4, 6, 7, 10, 19, 21, 26, 10239, 10244, 0xFFFFFFFF])
def test_layer_type_without_a_body_is_refused(kind):
    with pytest.raises(ModelError, match="not supported"):
        one((kind, bytes(64)))


@pytest.mark.parametrize(("kind", "body", "field"), [
    (1, words(0, 0, 64, 4090, 8), "out"), (1, words(0, 4096, 64, 128, 8), "in_a"), (1, words(0, 0, 64, 128, 0), "in_a"),
    (1, words(0, 0, 64, 128, 0xFFFFFFFF), "in_a"), (2, words(0, 0, 8, 16, 8, 0, 1, 63, 0, 1, 0, 0, 1, 0), "a_shift"),
    (2, words(0, 0, 8, 16, 8, 0, 1, 0, 0, 1, 0, 0, 1, -1), "o_shift"), (11, words(0, 0, 64, 8, 0.0, 1.0), "scale"),
    (11, words(0, 0, 64, 8, float("nan"), 1.0), "scale"), (12, words(0, 0, 64, 8, 1.0, float("inf")), "bias"),
    (16, words(0, 512, 0), "input_count"), (16, words(0, 512, 0xFFFFFFFF), "input_count"),
    (16, words(0, 512, 1, 4090, 8), "input 0"), (18, words(0, 0, 64, 4, 4, 3), "act"),
    (18, words(0, 0, 64, 4, 0xFFFFFFFF, 0), "out"), (20, words(0, 0, 512, 0, 3, 2), "width"),
    (22, words(0, 0, 512, 4, 3, 2, 0, 6, 0), "out_w"), (24, words(0, 0, 64, 1, 5, 1.0, float("nan")), "scale"),
    (10241, words(0, 0, 32767, 9), "out"), (10241, words(0, 0, 0xFFFFFFFF, 4), "out"),
    (10242, words(0, 0, 512, 512), "in"), (10243, words(0, 0, 0, 65536, 1, 1), "width"),
])
def test_operand_outside_its_memory_or_range_is_refused(kind, body, field):
    with pytest.raises(ModelError) as error:
        one((kind, body))
    assert field in error.value.field or field in str(error.value)


@pytest.mark.parametrize(("position", "value"), [(3, 0), (6, 0), (8, 3), (9, 0), (11, 0), (13, 2), (14, 3), (6, 99),
                                                 (9, 1 << 31), (11, 1 << 31)])
def test_pool_with_an_empty_window_or_no_size_is_refused(position, value):
    fields = list(POOL)
    fields[position] = value
    for kind, extra in ((8, b""), (9, words(0))):
        with pytest.raises(ModelError):
            one((kind, words(*fields) + extra), main=1 << 20)


def test_first_layer_must_give_an_input():
    with pytest.raises(ModelError, match="cannot determine the input"):
        load(v3_file([(15, words(0, 0, 64, 8))]))


def test_fully_connected_model_takes_a_row_of_floats():
    model = load(v3_file([v3_fc(ic=5)]))
    assert model.inputs[0].shape == (1, 5) and model.inputs[0].dtype == np.float32


@pytest.mark.parametrize(("options", "text"), [
    ({"arch": 1}, "arch"), ({"outputs": ()}, "output_count"), ({"outputs": ((4090, 16),)}, "output 0 address"),
    ({"outputs": ((0, 6),)}, "output 0 size"), ({"outputs": ((0, 0),)}, "output 0 size"),
    ({"main": (64 << 20) + 1}, "main_mem_usage"),
])
def test_header_field_that_cannot_be_is_refused(options, text):
    with pytest.raises(ModelError, match=text):
        load(v3_file([v3_fc()], **options))


def test_final_padding_may_be_missing_and_trailing_data_is_ignored():
    layers = [v3_fc(), (5, words(0, 0, 512, 9, 4))]
    whole = v3_file(layers)
    cut = v3_file(layers, pad_last=False)
    assert 0 < len(whole) - len(cut) < 8
    assert len(load(cut).layers) == 2 and load(cut).image == cut
    assert load(cut).warnings == () and model_size(cut) == len(whole)
    assert "5 bytes behind the model" in load(whole + bytes(5)).warnings[0]
    assert load(whole + bytes(5)).image == whole and model_size(whole + b"\xff" * 4096) == len(whole)
    with pytest.raises(ModelError, match="truncated"):
        load(cut[:-4])


def test_byte_reversed_image_is_converted():
    plain = v3_file([v3_fc(), (12, words(0, 0, 64, 8, 1.0, 0.0))])
    swapped = np.frombuffer(plain, "<u4").byteswap().tobytes()
    model = load(swapped)
    assert model.byte_swapped and model.image == plain and not load(plain).byte_swapped
    assert model_size(swapped) == len(plain)


def test_map_shape_follows_dequantize_back_to_the_conv():
    d = descriptor(ic=3, oc=4, h=6, w=8)
    layers = [(10240, lambda p: v3_conv(p, d, flags=1, main_out=1024)), (12, words(0, 1024, 0, 192, 1.0, 0.0))]
    outputs = load(v3_file(layers, outputs=((0, 768),))).outputs
    assert outputs[0].shape == (192,) and outputs[0].map_shape == (4, 6, 8)


def test_map_shape_is_unknown_behind_fully_connected():
    assert load(v3_file([v3_fc()], outputs=((64, 16),))).outputs[0].map_shape is None


def test_tables_behind_the_last_body_belong_to_the_model():
    d = descriptor()
    body = v3_conv(44, d)
    data = bytearray(v3_file([(10240, body[:24])]))
    moved = len(data)
    offsets = struct.unpack_from("<4I", body, 8)
    struct.pack_into("<4I", data, 52, *(o - 68 + moved for o in offsets))
    data += body[24:]
    model = load(bytes(data) + bytes(50))
    assert model.size == model_size(bytes(data) + bytes(50)) == len(data)
    assert model.layers[0].weights.tobytes() == load(v3_file([(10240,
     lambda p: v3_conv(p, d))])).layers[0].weights.tobytes()
