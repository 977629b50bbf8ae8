# SPDX-License-Identifier: Apache-2.0
"""``KPU``: detection, maps, layers, outputs (spec/driver-api.md sections 1.4-1.11, 1.16-1.17)."""

import math

import numpy as np
import pytest

from openkpu.api.errors import KPUArgumentError, KPUImageError, KPURunError
from openkpu.api.imaging import image, sensor
from openkpu.api.maixpy import kpu
from openkpu.api.maixpy.fmap import kpu_fmap
from openkpu.api.maixpy.netinfo import TYPECODES
from openkpu.kmodel import load
from openkpu.runtime import Session as RuntimeSession
from openkpu.yolo2 import region_layer

from .conftest import ANCHORS, demo_image, shared_file

FACE = "kmodels/v3_facedetect.kmodel"


@pytest.fixture
def net(make_board, demo_v3):
    """The demo detector from flash."""
    make_board(f"{demo_v3}@0x300000")
    return kpu.load(0x300000)


@pytest.fixture
def strict_net(make_board, demo_v3):
    make_board(f"{demo_v3}@0x300000", compat="strict")
    return kpu.load(0x300000)


@pytest.fixture
def yolo_net(net):
    kpu.init_yolo2(net, 0.5, 0.3, 5, ANCHORS)
    return net


def layer_count(net):
    return len(net._network.model.layers)


def reference_output(net, img, end_layer=None):
    """Output 0, or the result of a layer, by the runtime alone."""
    runtime = RuntimeSession(net._network.model, net._network.board.device)
    outputs = runtime.run([img.pix_ai[None]], end_layer=end_layer)
    return outputs[0] if end_layer is None else runtime.layer_output(end_layer)


# --- init_yolo2 ----------------------------------------


def test_init_yolo2_returns_true_and_stores_f32(net):
    assert kpu.init_yolo2(net, 0.7, 0.3, 5, ANCHORS) is True
    args = net.net_arg()
    assert args.threshold() == 0.699999988079071 and args.nms_value() == float(np.float32(0.3))
    assert args.anchor_number() == 5 and args.anchor() == tuple(float(np.float32(a)) for a in ANCHORS)


def test_init_yolo2_printed_form(net):
    kpu.init_yolo2(net, 0.5, 0.3, 1, (1.5, 2))
    assert repr(net.net_arg()) == ('{"threshold":0.500000, "nms_value":0.300000, "anchor_number":1, '
                                   '"anchor":"(1.500000, 2.000000)"}')


def test_init_yolo2_takes_the_documented_names_and_dma(net):
    assert kpu.init_yolo2(kpu_net=net, threshold=0.5, nms_value=0.3, anchor_num=5, anchor=list(ANCHORS), dma=3)
    assert kpu.init_yolo2(net, 0.5, 0.3, anchor_number=5, anchor=np.array(ANCHORS))
    assert kpu.init_yolo2(net, 0.5, 0.3, 5, ANCHORS, 2)


def test_init_yolo2_again_replaces_the_parameters(yolo_net):
    kpu.init_yolo2(yolo_net, 0.25, 0.5, 5, ANCHORS)
    assert yolo_net.net_arg().threshold() == 0.25


@pytest.mark.parametrize("arguments", [(), (0.5,), (0.5, 0.3), (0.5, 0.3, 5)])
def test_init_yolo2_needs_five_arguments(net, arguments):
    with pytest.raises(TypeError, match="missing"):
        kpu.init_yolo2(net, *arguments)


def test_init_yolo2_refuses_unknown_keywords(net):
    with pytest.raises(TypeError):
        kpu.init_yolo2(net, 0.5, 0.3, 5, ANCHORS, colour=1)


def test_init_yolo2_of_another_type(board):
    with pytest.raises(TypeError, match=r"^\[MAIXPY\]kpu: kpu_net type error"):
        kpu.init_yolo2("net", 0.5, 0.3, 5, ANCHORS)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_init_yolo2_threshold_and_nms_are_0_to_1(net, value):
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: threshold only support 0 to 1"):
        kpu.init_yolo2(net, value, 0.3, 5, ANCHORS)
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: nms_value only support 0 to 1"):
        kpu.init_yolo2(net, 0.5, value, 5, ANCHORS)


@pytest.mark.parametrize("value", [0, -1])
def test_init_yolo2_anchor_number_is_positive(net, value):
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: anchor_number should > 0"):
        kpu.init_yolo2(net, 0.5, 0.3, value, ())


def test_init_yolo2_anchor_length(net):
    with pytest.raises(ValueError, match="^requested length 10 but object has length 8"):
        kpu.init_yolo2(net, 0.5, 0.3, 5, ANCHORS[:8])


def test_init_yolo2_anchor_must_be_a_sequence(net):
    with pytest.raises(TypeError, match="anchor"):
        kpu.init_yolo2(net, 0.5, 0.3, 5, "1.0,2.0")


def test_init_yolo2_checks_that_anchors_divide_the_channels(net):
    with pytest.raises(KPUArgumentError, match="55 channels"):
        kpu.init_yolo2(net, 0.5, 0.3, 3, (1, 1) * 3)


def test_init_yolo2_strict_does_not_look_at_the_model_and_takes_127_anchors(strict_net):
    assert kpu.init_yolo2(strict_net, 0.5, 0.3, 3, (1, 1) * 3) is True
    with pytest.raises(ValueError, match="127"):
        kpu.init_yolo2(strict_net, 0.5, 0.3, 128, (1, 1) * 128)


# --- input image rule ----------------------------------------


def test_image_without_ai_plane_gets_one_with_a_warning_once(yolo_net, capsys):
    img = demo_image()
    expected = [d.rect() for d in kpu.run_yolo2(yolo_net, img)]
    img.pix_ai = None
    assert [d.rect() for d in kpu.run_yolo2(yolo_net, img)] == expected
    img.pix_ai = None
    kpu.run_yolo2(yolo_net, img)
    assert capsys.readouterr().err.count("pix_to_ai") == 1


def test_image_without_ai_plane_is_an_error_in_strict_mode(strict_net, capsys):
    kpu.init_yolo2(strict_net, 0.5, 0.3, 5, ANCHORS)
    with pytest.raises(KPUImageError, match=r"^\[MAIXPY\]kpu: check img format err!\r\n"):
        kpu.run_yolo2(strict_net, image.Image())
    assert "[MAIXPY]kpu: pix_ai is NULL!" in capsys.readouterr().out


def test_the_documents_wrong_snippet_with_a_blank_image_runs(yolo_net):
    assert kpu.run_yolo2(yolo_net, image.Image()) is None


def test_image_of_a_wrong_size_names_both_sizes_and_the_fix(yolo_net, capsys):
    img = image.Image(size=(224, 224))
    img.pix_to_ai()
    with pytest.raises(KPUImageError) as caught:
        kpu.run_yolo2(yolo_net, img)
    error = caught.value
    assert isinstance(error, ValueError) and str(error).startswith("[MAIXPY]kpu: check img format err!\r\n")
    assert error.expected == (320, 240, 3) and error.got == (224, 224, 3)
    for part in ("224x224", "320x240", "resize", "set_windowing", "pix_to_ai"):
        assert part in error.hint
    assert "[MAIXPY]kpu: img w=224,h=224, but model w=320,h=240" in capsys.readouterr().out


def test_grayscale_image_for_a_colour_model(yolo_net, capsys):
    img = demo_image().to_grayscale(1)
    img.pix_to_ai()
    with pytest.raises(KPUImageError, match="GRAYSCALE"):
        kpu.forward(yolo_net, img)
    assert "[MAIXPY]kpu: grayscale img, but model channel=3" in capsys.readouterr().out


def test_colour_image_for_a_gray_model(board, capsys):
    net = kpu.load(str(shared_file("kmodels/v3_mnist.kmodel")))
    img = image.Image(size=(28, 28))
    img.pix_to_ai()
    with pytest.raises(KPUImageError, match="to_grayscale"):
        kpu.forward(net, img)
    assert "[MAIXPY]kpu: RGB img, but model channel=1" in capsys.readouterr().out


def test_the_ai_plane_is_read_not_the_pixels(yolo_net):
    img = demo_image()
    expected = [d.rect() for d in kpu.run_yolo2(yolo_net, img)]
    img.clear()
    assert [d.rect() for d in kpu.run_yolo2(yolo_net, img)] == expected


# --- run_yolo2 ----------------------------------------


def test_run_yolo2_equals_the_region_layer_on_the_raw_output(yolo_net):
    img = demo_image()
    raw = reference_output(yolo_net, img).reshape(55, 15, 20)
    boxes = region_layer(raw, ANCHORS, 0.5, 0.3, (320, 240), (320, 240), "M")
    found = kpu.run_yolo2(yolo_net, img)
    assert len(found) == len(boxes) > 0
    for item, box in zip(found, boxes, strict=True):
        assert item.rect() == (box.x, box.y, box.w, box.h) == (item.x(), item.y(), item.w(), item.h())
        assert (item.classid(), item.value()) == (box.class_id, box.probability)


def test_run_yolo2_find_members(yolo_net):
    found = kpu.run_yolo2(yolo_net, image_t=demo_image())
    assert [d.index() for d in found] == list(range(len(found))) and {d.objnum() for d in found} == {len(found)}
    d = found[0]
    assert repr(d) == (f'{{"x":{d.x()}, "y":{d.y()}, "w":{d.w()}, "h":{d.h()}, "value":{d.value():f}, '
                       f'"classid":{d.classid()}, "index":0, "objnum":{len(found)}}}')
    assert tuple(d) == (*d.rect(), d.classid(), d.value()) and d[2] == d.w() and len(d) == 6


def test_run_yolo2_without_boxes_is_none(net):
    kpu.init_yolo2(net, 1.0, 0.3, 5, ANCHORS)
    assert kpu.run_yolo2(net, demo_image()) is None


def test_run_yolo2_returns_more_than_ten_boxes(net):
    kpu.init_yolo2(net, 0.0, 1.0, 5, ANCHORS)
    assert len(kpu.run_yolo2(net, demo_image())) > 10


def test_run_yolo2_before_init_yolo2_names_it(net):
    with pytest.raises(KPUArgumentError, match="init_yolo2 is missing"):
        kpu.run_yolo2(net, demo_image())


def test_run_yolo2_of_another_type(board):
    with pytest.raises(TypeError, match=r"^\[MAIXPY\]kpu: kpu_net type error"):
        kpu.run_yolo2(None, demo_image())
    with pytest.raises(TypeError):
        kpu.run_yolo2()


def test_run_yolo2_of_something_that_is_no_image(yolo_net):
    with pytest.raises(TypeError, match="image.Image"):
        kpu.run_yolo2(yolo_net, [0] * 230400)


def test_run_yolo2_keeps_the_raw_output(yolo_net):
    img = demo_image()
    kpu.run_yolo2(yolo_net, img)
    assert np.array_equal(np.ravel(np.asarray(kpu.get_output(yolo_net, 0))), reference_output(yolo_net, img))


def test_run_yolo2_strict_leaves_activated_values(strict_net):
    kpu.init_yolo2(strict_net, 0.5, 0.3, 5, ANCHORS)
    img = demo_image()
    raw = reference_output(strict_net, img).reshape(5, 11, 15, 20)
    kpu.run_yolo2(strict_net, img)
    stored = np.asarray(kpu.get_output(strict_net, 0)).reshape(5, 11, 15, 20)
    assert np.allclose(stored[:, 4], 1 / (1 + np.exp(-raw[:, 4])), atol=1e-6)
    assert np.allclose(stored[:, 5:].sum(axis=1), 1, atol=1e-5) and np.array_equal(stored[:, 2:4], raw[:, 2:4])


def test_run_yolo2_strict_divides_the_channels_by_five(strict_net):
    kpu.init_yolo2(strict_net, 0.5, 0.3, 11, (1, 1) * 11)
    with pytest.raises(ValueError, match="region_layer_init err"):
        kpu.run_yolo2(strict_net, demo_image())


def test_run_yolo2_friendly_divides_by_the_real_anchor_count(net):
    kpu.init_yolo2(net, 0.0, 1.0, 5, ANCHORS)
    assert {d.classid() for d in kpu.run_yolo2(net, demo_image())} <= set(range(6))
    kpu.init_yolo2(net, 0.5, 0.3, 11, (1, 1) * 11)
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: region_layer_init err!\r\n"):
        kpu.run_yolo2(net, demo_image())


# --- forward ----------------------------------------


def test_forward_returns_output_0_as_one_flat_float_map(net):
    img = demo_image()
    fmap = kpu.forward(net, img)
    assert isinstance(fmap, kpu_fmap) and type(fmap).__name__ == "kpu_fmap"
    assert (fmap.w(), fmap.h(), fmap.ch(), fmap.typecode()) == (16500, 1, 1, "f")
    assert (fmap.size(), fmap.index(), len(fmap)) == (66000, len(net._network.model.layers) - 1, 16500)
    assert np.array_equal(np.ravel(np.asarray(fmap)), reference_output(net, img))


def test_forward_strict_reports_the_byte_count_as_width(strict_net):
    assert kpu.forward(strict_net, demo_image()).w() == 66000


@pytest.mark.parametrize("layer", [0, 3, 7, 14])
def test_forward_to_a_convolution_gives_its_bytes(net, layer):
    img = demo_image()
    fmap = kpu.forward(net, img, layer)
    expected = reference_output(net, img, layer)[0]
    assert (fmap.ch(), fmap.h(), fmap.w()) == expected.shape == np.asarray(fmap).shape
    assert (fmap.typecode(), fmap.index(), fmap.size()) == ("B", layer, expected.size)
    assert np.array_equal(np.asarray(fmap), expected) and fmap[:] == tuple(expected.reshape(-1).tolist())


def test_forward_end_layer_keyword_and_last_layer(net):
    img = demo_image()
    assert kpu.forward(net, img, end_layer=2)[:] == kpu.forward(net, img, 2)[:]
    last, whole = kpu.forward(net, img, layer_count(net) - 1), kpu.forward(net, img)
    assert last[:] == whole[:] and (last.w(), last.h(), last.ch(), last.typecode()) == (16500, 1, 1, "f")


def test_forward_end_layer_is_not_sticky(net):
    img = demo_image()
    kpu.forward(net, img, 1)
    assert kpu.forward(net, img).typecode() == "f"


def test_forward_out_index(net):
    img = demo_image()
    assert kpu.forward(net, img, out_index=0)[:] == kpu.forward(net, img)[:]
    with pytest.raises(OSError, match="^sipeed_kpu_get_output err") as caught:
        kpu.forward(net, img, out_index=1)
    assert caught.value.code == 2011 and "0 to 0" in caught.value.hint


def test_forward_third_argument_as_output_index_on_request(make_board, demo_v3):
    make_board(f"{demo_v3}@0x300000", forward3="out_index")
    net = kpu.load(0x300000)
    img = demo_image()
    assert kpu.forward(net, img, 0).typecode() == "f"
    with pytest.raises(OSError, match="sipeed_kpu_get_output err"):
        kpu.forward(net, img, 3)


@pytest.mark.parametrize("arguments, keywords", [((), {"out_index": 0, "end_layer": 1}), ((2,), {"end_layer": 1}),
                                                 ((2,), {"out_index": 0})])
def test_forward_takes_one_of_end_layer_and_out_index(net, arguments, keywords):
    with pytest.raises(TypeError, match="not both"):
        kpu.forward(net, demo_image(), *arguments, **keywords)


@pytest.mark.parametrize("layer", [-1, 1000, 1.5])
def test_forward_to_a_layer_that_does_not_exist(net, layer):
    with pytest.raises(KPUArgumentError, match=f"0 to {layer_count(net) - 1}"):
        kpu.forward(net, demo_image(), layer)


def test_forward_of_another_net_type(board):
    with pytest.raises(TypeError, match=r"^\[MAIXPY\]kpu: kpu_net type error"):
        kpu.forward(3, demo_image())


@pytest.mark.parametrize("value", [None, 5, "picture.jpg", b"bytes"])
def test_forward_of_another_input_type(net, value):
    with pytest.raises(ValueError, match="^input not support"):
        kpu.forward(net, value)


@pytest.mark.parametrize("kind", [list, tuple, np.asarray])
def test_forward_of_a_list(net, kind):
    img = demo_image()
    values = kind(img.pix_ai.reshape(-1).tolist())
    assert kpu.forward(net, values)[:] == kpu.forward(net, img)[:]


def test_forward_of_a_model_whose_first_layer_is_fully_connected(board):
    net = kpu.load(str(shared_file("kmodels/v3_iris.kmodel")))
    values = (5.1, 3.5, 1.4, 0.2)
    runtime = RuntimeSession(net._network.model, net._network.board.device)
    expected = runtime.run([np.array([values], np.float32)])[0]
    assert kpu.forward(net, values)[:] == tuple(expected.tolist()) and len(expected) == 3
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: first layer not conv layer!\r\n"):
        kpu.forward(net, demo_image())


def test_forward_of_a_list_of_a_wrong_length_or_none(net):
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: check input list format err!\r\n"):
        kpu.forward(net, [])
    with pytest.raises(KPUArgumentError, match="230400"):
        kpu.forward(net, [1, 2, 3])


@pytest.mark.parametrize("value", [-1, 256, 0.5])
def test_forward_of_a_list_that_holds_no_bytes(net, value):
    with pytest.raises(KPUArgumentError, match="0 to 255"):
        kpu.forward(net, [value] * 230400)


def test_forward_of_an_image_whose_plane_is_older_than_its_format(net):
    img = demo_image().to_grayscale(1)
    img.pix_to_ai()
    with pytest.raises(KPUImageError, match="pix_to_ai"):
        kpu.forward(net, img.to_rgb565())


def test_forward_to_a_node_of_a_v4_model(v4_net):
    fmap = kpu.forward(v4_net, face(), 1)
    assert fmap.typecode() == "B" and fmap.size() == fmap.w() * fmap.h() * fmap.ch()


def test_forward_dma_is_ignored(net):
    assert kpu.forward(net, demo_image(), dma=3).typecode() == "f"


def test_old_maps_stay_valid_after_the_next_run(net):
    first = kpu.forward(net, demo_image(6), 2)
    values = first[:]
    second = kpu.forward(net, demo_image(11), 2)
    assert first[:] == values != second[:]


def test_element_types_by_layer_type():
    assert TYPECODES == {
        1: "f", 2: "B", 5: "f", 8: "B", 9: "f", 10: "B", 11: "B", 12: "f", 13: "B", 14: "f", 15: "f", 16: "f",
        17: "B", 18: "f", 19: "B", 20: "f", 21: "B", 22: "f", 23: "B", 24: "f", 25: "f", 10240: "B", 10242: "B"}


def test_forward_through_every_layer_of_mnist(board, capsys):
    net = kpu.load(str(shared_file("kmodels/v3_mnist.kmodel")))
    img = image.Image(size=(28, 28)).to_grayscale()
    img.draw_line(8, 4, 20, 24, thickness=3)
    img.pix_to_ai()
    codes = [TYPECODES.get(layer.type()) for layer in kpu.netinfo(net)]
    for index, code in enumerate(codes):
        if code is None:
            with pytest.raises(KPURunError, match="^KL_K210_ADD_PADDING not support output to mainbuf!"):
                kpu.forward(net, img, index)
            assert "KL_K210_ADD_PADDING not support" in capsys.readouterr().out
            continue
        fmap = kpu.forward(net, img, index)
        assert fmap.typecode() == code and fmap.index() == index
    assert sum(kpu.forward(net, img)[:]) == pytest.approx(1, abs=1e-5)


def test_forward_to_an_upload_layer_names_it(board):
    net = kpu.load(str(shared_file("kmodels/v3_mask.kmodel")))
    img = image.Image()
    img.pix_to_ai()
    with pytest.raises(KPURunError, match="^KL_K210_UPLOAD not support output to mainbuf!"):
        kpu.forward(net, img, 6)


# --- kpu_fmap ----------------------------------------


@pytest.fixture
def bytes_map(board):
    return kpu_fmap(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 5)


@pytest.fixture
def float_map(board):
    return kpu_fmap(np.array([[[0.5, -1, 2]]], np.float32), 9)


def test_fmap_printed_form(bytes_map):
    address = np.asarray(bytes_map).ctypes.data
    assert repr(bytes_map) == str(bytes_map) == (
        f'{{"fmap": "data"=0x{address:x}, "size"=24, "index": 5, "w": 4, "h": 3, "ch": 2, "typecode": B}}')


def test_fmap_index_access(bytes_map, float_map):
    assert (bytes_map[0], bytes_map[23], bytes_map[-1], bytes_map[-24]) == (0, 23, 23, 0)
    assert type(bytes_map[3]) is int and type(float_map[1]) is float and float_map[1] == -1.0
    for index in (24, -25):
        with pytest.raises(IndexError):
            bytes_map[index]
    with pytest.raises(TypeError):
        bytes_map["a"]


def test_fmap_slices_are_tuples(bytes_map, float_map):
    assert bytes_map[2:5] == (2, 3, 4) and float_map[:] == (0.5, -1.0, 2.0) and bytes_map[::8] == (0, 8, 16)
    assert max(float_map[:]) == 2.0 and float_map[:].index(2.0) == 2


def test_fmap_item_and_slice_assignment(bytes_map):
    bytes_map[3] = 0x1FE
    assert bytes_map[3] == 0xFE
    bytes_map[0:4] = 7
    bytes_map[4:6] = [1, 2]
    assert bytes_map[:6] == (7, 7, 7, 7, 1, 2)
    with pytest.raises(OSError, match="^cannot grow or shrink image"):
        bytes_map[0:4] = [1, 2]


def test_fmap_float_assignment(float_map):
    float_map[0] = 3
    assert float_map[0] == 3.0


def test_fmap_buffer_protocol(bytes_map, float_map):
    assert bytes(bytes_map) == bytes(range(24)) and memoryview(bytes_map).format == "B"
    assert memoryview(float_map).format == "f" and memoryview(float_map).nbytes == float_map.size() == 12


def test_fmap_len_iteration_and_array(bytes_map):
    assert len(bytes_map) == 24 and list(bytes_map) == list(range(24))
    assert np.asarray(bytes_map).shape == (2, 3, 4) and np.array(bytes_map).sum() == 276


# --- fmap, fmap_free ----------------------------------------


def test_fmap_channel_is_an_unscaled_grayscale_image(bytes_map):
    img = kpu.fmap(bytes_map, 1)
    assert img.format() == sensor.GRAYSCALE and (img.width(), img.height()) == (4, 3) and img.pix_ai is None
    assert img.pixels.tolist() == np.arange(12, 24).reshape(3, 4).tolist()


def test_fmap_image_is_a_copy(bytes_map):
    kpu.fmap(bytes_map, 0).stretch(64, 255)
    assert bytes_map[:12] == tuple(range(12))


def test_fmap_image_shares_the_maps_memory_in_strict_mode(strict_board):
    source = kpu_fmap(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 5)
    kpu.fmap(source, 0).draw_rectangle(0, 0, 4, 3, color=9, fill=True)
    assert set(source[:12]) == {9}


@pytest.mark.parametrize("channel", [-1, 2, 1.0])
def test_fmap_channel_out_of_range(bytes_map, channel):
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: ch err,input 0~2\r\n"):
        kpu.fmap(bytes_map, channel)


def test_fmap_of_a_float_map(float_map):
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: can't convet float fmap yet\r\n"):
        kpu.fmap(float_map, 0)


def test_fmap_takes_exactly_two_arguments(bytes_map):
    with pytest.raises(TypeError):
        kpu.fmap(bytes_map)
    with pytest.raises(TypeError):
        kpu.fmap("map", 0)


def test_fmap_free_then_use(bytes_map):
    assert kpu.fmap_free(bytes_map) is None and kpu.fmap_free(bytes_map) is None
    for use in (lambda: bytes_map[0], lambda: bytes_map[:], lambda: bytes_map.size(), lambda: len(bytes_map),
                lambda: list(bytes_map), lambda: kpu.fmap(bytes_map, 0), lambda: bytes_map.w(),
                lambda: repr(bytes_map)):
        with pytest.raises(ValueError, match="^fmap was freed"):
            use()


def test_fmap_free_has_no_effect_in_strict_mode(strict_board):
    source = kpu_fmap(np.zeros((1, 2, 2), np.uint8), 0)
    kpu.fmap_free(source)
    assert source[:] == (0, 0, 0, 0)


def test_fmap_free_of_another_type_does_nothing(board):
    assert kpu.fmap_free([1]) is None


# --- netinfo ----------------------------------------

NAMES = ("index", "type", "wi", "hi", "wo", "ho", "chi", "cho", "dw", "kernel_type", "pool_type", "para_size")


def test_netinfo_members_are_methods_and_ints(net):
    layer = kpu.netinfo(net)[1]
    for name in NAMES:
        member = getattr(layer, name)
        assert type(member()) is int and member() == member
    assert (layer.index(), layer.type(), layer.wi(), layer.hi()) == (1, 10240, 160, 120)


def test_netinfo_prints_a_line_per_layer(net, capsys):
    capsys.readouterr()
    info = kpu.netinfo(net)
    lines = capsys.readouterr().out.split("\r\n")
    last = layer_count(net) - 1
    assert len(info) == last + 1 and len(lines) == last + 2 and lines[-1] == ""
    assert lines[last] == f"layer[{last}]: KL_CHANNELWISE_DEQUANTIZE, 464 bytes"
    assert lines[0].startswith("layer[0]: KL_K210_CONV, ")


def test_netinfo_printed_form(net):
    layer = kpu.netinfo(net)[0]
    assert repr(layer) == (
        f'{{"index":0, "type":KL_K210_CONV, "wi":320, "hi":240, "wo":160, "ho":120, "chi":3, "cho":{layer.cho()}, '
        f'"dw":0, "kernel_type":1, "pool_type":{layer.pool_type()}, "para_size":{layer.para_size()}}}')


def test_netinfo_needs_a_net(board):
    with pytest.raises(TypeError):
        kpu.netinfo()
    with pytest.raises(TypeError):
        kpu.netinfo(5)


def test_netinfo_of_a_v4_model(board):
    net = kpu.load(str(shared_file("kmodels/v4_face_detect_320x240.kmodel")))
    with pytest.raises(KPUArgumentError, match="get layer num error!.*V4"):
        kpu.netinfo(net)


C1 = """0 940 320 240 3 160 120 16 0 1 1 432|1 768 160 120 16 160 120 16 1 1 0 144|2 1280 160 120 16 80 60 32 0 0 1 512
3 1024 80 60 32 80 60 32 1 1 0 288|4 3072 80 60 32 80 60 64 0 0 0 2048|5 1536 80 60 64 80 60 64 1 1 0 576
6 5120 80 60 64 40 30 64 0 0 1 4096|7 1536 40 30 64 40 30 64 1 1 0 576|8 9728 40 30 64 40 30 128 0 0 0 8192
9 2560 40 30 128 40 30 128 1 1 0 1152|10 17920 40 30 128 20 15 128 0 0 1 16384|11 2560 20 15 128 20 15 128 1 1 0 1152
12 35328 20 15 128 20 15 256 0 0 0 30720|13 4864 20 15 256 20 15 256 1 1 0 2304|14 68096 20 15 256 20 15 256 0 0 0 30720
15 4864 20 15 256 20 15 256 1 1 0 2304|16 68096 20 15 256 20 15 256 0 0 0 30720|17 4864 20 15 256 20 15 256 1 1 0 2304
18 68096 20 15 256 20 15 256 0 0 0 30720|19 4864 20 15 256 20 15 256 1 1 0 2304|20 68096 20 15 256 20 15 256 0 0 0 30720
21 4864 20 15 256 20 15 256 1 1 0 2304|22 8448 20 15 256 20 15 30 0 0 0 7680|23 24 0 0 0 0 0 0 0 0 0 24"""
C2 = """0 788 28 28 1 14 14 16 0 1 1 144|1 5376 14 14 16 7 7 32 0 1 1 4608|7 784 4 4 32 4 4 10 0 0 0 320"""
C3 = """0 1052 320 240 3 160 120 16 0 1 1 432|1 5376 160 120 16 80 60 32 0 1 1 4608
2 19456 80 60 32 40 30 64 0 1 1 18432|3 75264 40 30 64 20 15 128 0 1 1 30528|4 297472 20 15 128 20 15 256 0 1 0 29952
7 1184168 10 8 256 10 8 512 0 1 0 29952|8 18688 10 8 512 10 8 35 0 0 0 17920|9 24 0 0 0 0 0 0 0 0 0 24"""


@pytest.mark.parametrize("file, table, types", [
    ("v3_facedetect.kmodel", C1, {23: 12}),
    ("v3_mnist.kmodel", C2, {2: 12, 3: 20, 4: 18, 5: 11, 6: 10241, 8: 10242, 9: 12, 10: 15}),
    ("v3_mask.kmodel", C3, {5: 8, 6: 10243, 9: 12}),
])
def test_netinfo_of_vendor_models(make_board, capsys, file, table, types):
    make_board(compat="strict")
    info = kpu.netinfo(kpu.load(str(shared_file(f"kmodels/{file}"))))
    printed = capsys.readouterr().out
    for line in table.replace("\n", "|").split("|"):
        index, body, wi, hi, chi, wo, ho, cho, dw, kernel, pool, para = map(int, line.split())
        layer = info[index]
        assert [getattr(layer, n)() for n in ("wi", "hi", "chi", "wo", "ho", "cho", "dw", "kernel_type", "pool_type",
                                              "para_size")] == [wi, hi, chi, wo, ho, cho, dw, kernel, pool, para]
        assert f"layer[{index}]: " in printed and f", {body} bytes\r\n" in printed
    for index, layer in enumerate(info):
        assert layer.type() == types.get(index, 10240)


def test_netinfo_friendly_fills_shapes_of_other_layers(board):
    info = kpu.netinfo(kpu.load(str(shared_file("kmodels/v3_mask.kmodel"))))
    assert [getattr(info[5], n)() for n in ("wi", "hi", "chi", "wo", "ho", "cho")] == [20, 15, 256, 10, 8, 256]


# --- set_layers, get_output ----------------------------------------


def test_set_layers_is_sticky(net):
    img = demo_image()
    assert kpu.set_layers(net, 3) is True
    assert kpu.forward(net, img).index() == 2 == kpu.forward(net, img).index()
    assert kpu.get_output(net, 0)[:] == kpu.forward(net, img, 2)[:]
    assert kpu.set_layers(net, 0) is True and kpu.forward(net, img).typecode() == "f"


def test_set_layers_beyond_the_model(net, capsys):
    count = layer_count(net)
    assert kpu.set_layers(net, count + 1) is False
    assert capsys.readouterr().out == f"err: set layers_length to {count + 1}, but max {count}\n"


def test_set_layers_types(net):
    with pytest.raises(TypeError):
        kpu.set_layers(net, "3")
    with pytest.raises(TypeError):
        kpu.set_layers(5, 3)


def test_set_layers_to_a_layer_that_cannot_be_dumped(board):
    net = kpu.load(str(shared_file("kmodels/v3_mnist.kmodel")))
    with pytest.raises(KPUArgumentError, match="KL_K210_ADD_PADDING"):
        kpu.set_layers(net, 7)


def test_set_layers_strict_accepts_it_and_shortens_netinfo(strict_board):
    net = kpu.load(str(shared_file("kmodels/v3_mnist.kmodel")))
    assert kpu.set_layers(net, 7) is True and len(kpu.netinfo(net)) == 7


def test_netinfo_lists_all_layers_after_set_layers(net):
    kpu.set_layers(net, 3)
    assert len(kpu.netinfo(net)) == layer_count(net)


def test_get_output_of_the_last_run(yolo_net):
    img = demo_image()
    kpu.run_yolo2(yolo_net, img)
    assert kpu.get_output(yolo_net, 0)[:] == kpu.forward(yolo_net, img)[:]


def test_get_output_before_any_run(net):
    with pytest.raises(KPURunError, match="not been run"):
        kpu.get_output(net, 0)


def test_get_output_index_out_of_range(net):
    kpu.forward(net, demo_image())
    with pytest.raises(OSError, match="^2011"):
        kpu.get_output(net, 1)


@pytest.mark.parametrize("arguments", [("net", 0), (None, "0")])
def test_get_output_types(board, arguments):
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: get_output arg format error: get_output\(task, int idx\)"):
        kpu.get_output(*arguments)


# --- set_outputs ----------------------------------------


@pytest.fixture
def v4_net(board):
    """A V4 detector: 320x240 in, 10x8x54 out."""
    return kpu.load(str(shared_file("kmodels/v4_face_detect_320x240.kmodel")))


FACE_ANCHORS = (0.1075, 0.126875, 0.126875, 0.175, 0.1465625, 0.2246875, 0.1953125, 0.25375, 0.2440625, 0.351875,
                0.341875, 0.4721875, 0.5078125, 0.6696875, 0.8984375, 1.099687, 2.129062, 2.425937)


def face(name="images/face_27.jpg"):
    picture = image.Image(str(shared_file(name))).resize(320, 240)
    picture.pix_to_ai()
    return picture


def test_set_outputs_of_a_v4_model(v4_net):
    assert kpu.set_outputs(v4_net, 0, 10, 8, 54) is True
    kpu.init_yolo2(v4_net, 0.5, 0.2, 9, FACE_ANCHORS)
    assert kpu.run_yolo2(v4_net, face())
    fmap = kpu.forward(v4_net, face())
    assert (fmap.w(), fmap.h(), fmap.ch(), fmap.typecode(), fmap.size()) == (10, 8, 54, "f", 10 * 8 * 54 * 4)
    assert np.asarray(fmap).shape == (54, 8, 10)


def test_set_outputs_changes_the_shape_of_forward_and_get_output(v4_net):
    assert kpu.set_outputs(v4_net, 0, 1, 1, 4320)
    assert kpu.forward(v4_net, face()).ch() == 4320 == kpu.get_output(v4_net, 0).ch()


def test_set_outputs_is_optional_when_the_file_tells_the_shape(v4_net):
    kpu.init_yolo2(v4_net, 0.5, 0.2, 9, FACE_ANCHORS)
    assert kpu.run_yolo2(v4_net, face()) and kpu.forward(v4_net, face()).ch() == 54


def test_set_outputs_forgotten_is_2013_in_strict_mode(strict_board):
    net = kpu.load(str(shared_file("kmodels/v4_face_detect_320x240.kmodel")))
    with pytest.raises(OSError, match="^ERR_OUTPUTS_SET: need kpu.set_outputs") as caught:
        kpu.forward(net, face())
    assert caught.value.code == 2013 and "4320" in caught.value.hint
    kpu.set_outputs(net, 0, 10, 8, 54)
    assert kpu.forward(net, face()).ch() == 54


def test_set_outputs_forgotten_where_no_shape_is_known(board):
    net = kpu.load(str(shared_file("kmodels/v4_iris.kmodel")))
    with pytest.raises(KPURunError, match="^ERR_OUTPUTS_SET.*set_outputs") as caught:
        kpu.forward(net, [5.1, 3.5, 1.4, 0.2])
    assert caught.value.code == 2013 and "(1, 1, 3)" in caught.value.hint
    assert kpu.set_outputs(net, 0, 1, 1, 3) is True
    assert kpu.forward(net, [5.1, 3.5, 1.4, 0.2]).ch() == 3


@pytest.mark.parametrize("arguments", [(0, 10, 8), (0, 10.0, 8, 54), ("0", 10, 8, 54), ()])
def test_set_outputs_types(net, arguments):
    with pytest.raises(ValueError, match=r"^\[MAIXPY\]kpu: set_outputs arg format error: "
                                         r"set_outputs\(task, int idx, int w, int h, int ch\)"):
        kpu.set_outputs(net, *arguments)
    with pytest.raises(ValueError, match="arg format error"):
        kpu.set_outputs("net", 0, 1, 1, 1)


def test_set_outputs_index_out_of_range(net, capsys):
    assert kpu.set_outputs(net, 1, 1, 1, 16500) is False
    assert "[MAIXPY]kpu: set_outputs arg value error:kmodel output idx 1 out of range" in capsys.readouterr().out


def test_set_outputs_product_differs(net, capsys):
    assert kpu.set_outputs(net, 0, 20, 15, 54) is False
    assert capsys.readouterr().out == ("w*h*ch!=16500\n[MAIXPY]kpu: set_outputs arg value error: w,c,ch size not match "
                                       "output size\n")


def test_set_outputs_of_a_v3_model_is_accepted_if_the_product_matches(net):
    assert kpu.set_outputs(net, 0, 20, 15, 55) is True


def test_outputs_of_a_model_with_two(board):
    net = kpu.load(str(shared_file("kmodels/v4_RFB-320.kmodel")))
    model = load(shared_file("kmodels/v4_RFB-320.kmodel"))
    width, height, channels = net._network.input_shape
    counts = [o.tensor.count for o in model.outputs]
    for index, count in enumerate(counts):
        assert kpu.set_outputs(net, index, 1, 1, count) is True
    values = np.random.default_rng(0).integers(0, 256, width * height * channels)
    assert kpu.forward(net, values.tolist(), out_index=1).ch() == counts[1]
    assert len(kpu.get_output(net, 0)) == counts[0]
