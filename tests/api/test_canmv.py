# SPDX-License-Identifier: Apache-2.0
"""Class ``maix.KPU``, both generations (spec/driver-api.md section 2)."""

import gc
import hashlib
import inspect
import math
import struct

import numpy as np
import pytest
from PIL import Image as PillowImage

from openkpu.api.canmv.kpu import KPU
from openkpu.api.canmv.plates import HEADS
from openkpu.api.errors import KPUArgumentError, KPUImageError, KPULoadError, KPURunError
from openkpu.api.imaging import image
from openkpu.yolo2 import region_layer

from .conftest import ANCHORS, DEMO, demo_image, shared_file

YOLO = {"anchor_num": 5, "layer_w": 20, "layer_h": 15, "classes": 6, "threshold": 0.5, "nms_value": 0.3}


@pytest.fixture
def kpu(board, demo_v3):
    """Old generation: the demo detector loaded."""
    kpu = KPU()
    kpu.load_kmodel(str(demo_v3))
    return kpu


@pytest.fixture
def new_kpu(board, demo_v5):
    """New generation: the demo detector (V5) loaded."""
    kpu = KPU()
    kpu.load(str(demo_v5))
    return kpu


def no_plane():
    return image.Image()


def sized(width, height):
    img = image.Image(size=(width, height))
    img.pix_to_ai()
    return img


# --- construction ----------------------------------------


def test_kpu_takes_no_arguments():
    assert KPU()
    with pytest.raises(TypeError):
        KPU(1)


def test_kpu_is_a_class_whose_helpers_work_without_an_instance():
    assert isinstance(KPU, type)
    assert KPU.sigmoid(0.0) == 0.5 and KPU.softmax([0.0]) == [1.0] and KPU.feature_compare([1.0], [1.0]) == 100.0
    assert KPU.Act.sigmoid(0.0) == 0.5 and KPU.Feat.compare([1.0], [1.0]) == 100.0


def test_both_generations_in_one_class():
    old = {"load_kmodel", "init_yolo2", "run_with_output", "regionlayer_yolo2", "deinit", "feature_compare", "sigmoid",
           "softmax", "lp_recog_load_weight_data", "lp_recog"}
    new = {"load", "run", "get_outputs", "deinit", "attr", "Yolo2", "Lpr", "Act", "Feat"}
    assert {n for n in dir(KPU) if not n.startswith("_")} == old | new


def test_printed_form(kpu, demo_v3):
    size = demo_v3.stat().st_size
    assert repr(kpu) == f"type        : kmodel (KPU) \nmodel_size  : {size}\ninputs      : 0\noutputs     : 1"


# --- load_kmodel ----------------------------------------


def test_load_kmodel_of_a_path(board, demo_v3, tmp_path, capsys):
    (tmp_path / "m.kmodel").write_bytes(demo_v3.read_bytes())
    assert KPU().load_kmodel("/sd/m.kmodel") is None
    assert capsys.readouterr().out == ""


def test_load_kmodel_strict_prints(strict_board, demo_v3, capsys):
    KPU().load_kmodel(str(demo_v3))
    assert capsys.readouterr().out == f"model size {demo_v3.stat().st_size} \r\nmodel load succeed\r\n"


def test_load_kmodel_of_an_offset_and_size(make_board, demo_v3):
    make_board(f"{demo_v3}@0x300000")
    size = demo_v3.stat().st_size
    for arguments, keywords in (((0x300000, size), {}), ((0x300000,), {"size": size + 100}), ((0x300000,), {}),
                                ((), {"flash_offset": 0x300000, "size": size})):
        kpu = KPU()
        assert kpu.load_kmodel(*arguments, **keywords) is None
        assert kpu.run_with_output(demo_image()) is None


def test_load_kmodel_file_path_keyword(board, demo_v3):
    assert KPU().load_kmodel(file_path=str(demo_v3)) is None


def test_load_kmodel_strict_needs_the_size(make_board, demo_v3):
    make_board(f"{demo_v3}@0x300000", compat="strict")
    with pytest.raises(ValueError, match="^size error!"):
        KPU().load_kmodel(0x300000)


def test_load_kmodel_size_too_small_gives_both_numbers(make_board, demo_v3):
    make_board(f"{demo_v3}@0x300000")
    with pytest.raises(OSError, match="^Failed to init model") as caught:
        KPU().load_kmodel(0x300000, 1000)
    assert "1000" in str(caught.value) and str(demo_v3.stat().st_size) in str(caught.value)


@pytest.mark.parametrize("arguments, message", [
    ((None,), "invalid path input"), (("/sd/none.kmodel",), "open file error, please check file path!"),
    ((0, 100), "path error!"), ((-5, 100), "path error!"), ((1.5, 100), "path error!"), (([1], 5), "path error!"),
    ((0x300000, -1), "size error!"),
])
def test_load_kmodel_value_errors(board, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        KPU().load_kmodel(*arguments)


def test_load_kmodel_without_arguments(board):
    with pytest.raises(TypeError):
        KPU().load_kmodel()


@pytest.mark.parametrize("content, hint", [(b"PK\3\4" + bytes(60), "kfpkg"), (b"<html>" + b" " * 60, "download"),
                                           (bytes(range(7, 107)), "no kmodel")])
def test_load_kmodel_of_other_files(board, tmp_path, content, hint):
    (tmp_path / "x.kmodel").write_bytes(content)
    with pytest.raises(OSError, match="^Failed to init model") as caught:
        KPU().load_kmodel("/sd/x.kmodel")
    assert hint in str(caught.value) and isinstance(caught.value, KPULoadError) and caught.value.code == 2002


def test_load_kmodel_of_a_v5_model_names_the_versions(board, demo_v5):
    with pytest.raises(OSError, match="v5.*V3/V4.*nncase"):
        KPU().load_kmodel(str(demo_v5))


def test_load_kmodel_of_erased_flash(board):
    with pytest.raises(OSError, match="nothing is burnt"):
        KPU().load_kmodel(0x300000, 1000)


def test_load_kmodel_without_memory(board, demo_v3):
    board.system_heap_bytes = 1000
    with pytest.raises(MemoryError, match="^model buffer memory allocation failed.*1000"):
        KPU().load_kmodel(str(demo_v3))


def test_loading_again_releases_the_former_model(kpu, demo_v3, board):
    held = board.held_bytes()
    kpu.load_kmodel(str(demo_v3))
    assert board.held_bytes() == held and len(board.nets) == 1


def test_nine_models(board, demo_v3):
    kpus = [KPU() for _ in range(9)]
    for k in kpus:
        k.load_kmodel(str(demo_v3))
    assert len(board.nets) == 9


# --- init_yolo2 ----------------------------------------


def test_init_yolo2_names_and_defaults():
    found = {n: p.default for n, p in inspect.signature(KPU.init_yolo2).parameters.items() if n != "self"}
    assert list(found) == ["anchor", "anchor_num", "img_w", "img_h", "net_w", "net_h", "layer_w", "layer_h",
                           "threshold", "nms_value", "classes"]
    assert {k: v for k, v in found.items() if k not in ("anchor", "anchor_num")} == {
        "img_w": 320, "img_h": 240, "net_w": 320, "net_h": 240, "layer_w": 10, "layer_h": 8, "threshold": 0.7,
        "nms_value": 0.4, "classes": 1}


def test_init_yolo2_returns_none_and_takes_positionals(kpu):
    assert kpu.init_yolo2(ANCHORS, 5, 320, 240, 320, 240, 20, 15, 0.5, 0.3, 6) is None


def test_init_yolo2_without_a_model_takes_all_defaults(board):
    assert KPU().init_yolo2([1.0] * 10) is None


@pytest.mark.parametrize("arguments", [(), (None,)])
def test_init_yolo2_needs_anchors(kpu, arguments):
    with pytest.raises(ValueError, match="^need input anchor"):
        kpu.init_yolo2(*arguments)


def test_init_yolo2_anchor_num_defaults_to_the_anchors(kpu):
    with pytest.raises(KPUArgumentError, match="4 . 11"):
        kpu.init_yolo2(ANCHORS[:8], layer_w=20, layer_h=15, classes=6)
    kpu.init_yolo2(ANCHORS, **{k: v for k, v in YOLO.items() if k != "anchor_num"})


def test_init_yolo2_anchor_length(kpu):
    with pytest.raises(KPUArgumentError, match="10 numbers"):
        kpu.init_yolo2(ANCHORS + (1.0, 1.0), **YOLO)


def test_init_yolo2_strict_needs_at_least_the_anchors(strict_board):
    KPU().init_yolo2(ANCHORS + (1.0, 1.0), **YOLO)
    with pytest.raises(ValueError, match="need input anchor"):
        KPU().init_yolo2(ANCHORS[:4])


@pytest.mark.parametrize("name", ["threshold", "nms_value"])
@pytest.mark.parametrize("value", [-0.1, 1.5, math.nan])
def test_init_yolo2_ranges(kpu, name, value):
    with pytest.raises(ValueError, match=f"^{name} only support 0 to 1"):
        kpu.init_yolo2(ANCHORS, **{**YOLO, name: value})


@pytest.mark.parametrize("name", ["threshold", "nms_value"])
def test_init_yolo2_none_means_the_default(kpu, name):
    kpu.init_yolo2(ANCHORS, **{**YOLO, name: None})


@pytest.mark.parametrize("name, value", [("img_w", 0), ("net_h", -1), ("classes", -1)])
def test_init_yolo2_sizes(kpu, name, value):
    with pytest.raises(KPUArgumentError, match=name):
        kpu.init_yolo2(ANCHORS, **{**YOLO, name: value})


def test_init_yolo2_compares_with_the_models_output(kpu):
    with pytest.raises(KPUArgumentError) as caught:
        kpu.init_yolo2(ANCHORS, anchor_num=5)
    assert "16500" in caught.value.hint and str(10 * 8 * 5 * 6) in caught.value.hint


def test_init_yolo2_strict_does_not_compare(strict_board, demo_v3):
    kpu = KPU()
    kpu.load_kmodel(str(demo_v3))
    assert kpu.init_yolo2(ANCHORS, anchor_num=5) is None


# --- run_with_output ----------------------------------------


def test_run_with_output_names_and_defaults():
    found = {n: p.default for n, p in inspect.signature(KPU.run_with_output).parameters.items()}
    assert found["getlist"] is False and found["get_feature"] is False and list(found)[1:4] == [
        "input", "getlist", "get_feature"]


def test_run_with_output_returns_none(kpu):
    assert kpu.run_with_output(demo_image()) is None and kpu.run_with_output(img=demo_image()) is None
    assert kpu.run_with_output(input=demo_image(), getlist=0, get_feature=0) is None


def test_run_with_output_getlist_is_output_0_as_floats(kpu, new_kpu):
    values = kpu.run_with_output(demo_image(), True)
    new_kpu.run(demo_image())
    assert type(values) is list and len(values) == 16500 and type(values[0]) is float
    # v3 stores a scale and a bias for each channel, v5 a scale and a zero point: the last bits differ.
    np.testing.assert_allclose(values, new_kpu.get_outputs(0), rtol=1e-5, atol=1e-5)
    assert kpu.run_with_output(demo_image(), getlist=True, get_feature=True) == values


def test_run_with_output_get_feature_is_limited_to_256(kpu):
    with pytest.raises(ValueError, match="^feature len out of 256\r\n"):
        kpu.run_with_output(demo_image(), get_feature=True)


def test_run_with_output_get_feature_is_l2_normalised(board):
    kpu = KPU()
    kpu.load_kmodel(str(shared_file("kmodels/v3_ld5.kmodel")))
    img = image.Image(str(shared_file("images/face_27.jpg"))).resize(128, 128)
    img.pix_to_ai()
    raw = np.array(kpu.run_with_output(img, getlist=True), np.float32)
    feature = kpu.run_with_output(img, get_feature=True)
    assert len(raw) == 10 and np.linalg.norm(feature) == pytest.approx(1, abs=1e-6)
    assert np.allclose(feature, raw / np.linalg.norm(raw), rtol=1e-5)


def test_run_with_output_without_plane(kpu):
    text = r"^Image formart error, use pix_to_ai\(\) method to convert for kpu"
    with pytest.raises(OSError, match=text):
        kpu.run_with_output(no_plane())


def test_run_with_output_of_a_wrong_size(kpu):
    with pytest.raises(KPUImageError) as caught:
        kpu.run_with_output(sized(224, 224))
    assert caught.value.expected == (320, 240, 3) and "resize" in caught.value.hint


def test_run_with_output_strict_only_needs_enough_bytes(strict_board, demo_v3):
    kpu = KPU()
    kpu.load_kmodel(str(demo_v3))
    assert kpu.run_with_output(sized(640, 480)) is None
    with pytest.raises(OSError):
        kpu.run_with_output(sized(32, 32))


@pytest.mark.parametrize("value", [None, 5, [1, 2]])
def test_run_with_output_of_another_type(kpu, value):
    with pytest.raises(ValueError, match="^invalid input"):
        kpu.run_with_output(value)


def test_run_with_output_needs_one_input(kpu):
    with pytest.raises(TypeError):
        kpu.run_with_output()


def test_run_with_output_of_a_raw_file(kpu, tmp_path):
    img = demo_image()
    (tmp_path / "planes.bin").write_bytes(img.pix_ai.tobytes())
    assert kpu.run_with_output("/sd/planes.bin", True) == kpu.run_with_output(img, True)
    (tmp_path / "short.bin").write_bytes(bytes(100))
    with pytest.raises(KPUImageError, match="230400"):
        kpu.run_with_output("/sd/short.bin")


def test_run_with_output_of_a_picture_file(kpu, tmp_path):
    path = DEMO / "pictures" / "heldout_006.png"
    rgb = np.asarray(PillowImage.open(path))
    (tmp_path / "planes.bin").write_bytes(np.moveaxis(rgb, -1, 0).tobytes())
    assert kpu.run_with_output(str(path), True) == kpu.run_with_output("/sd/planes.bin", True)
    PillowImage.new("RGB", (10, 10)).save(tmp_path / "small.png")
    with pytest.raises(KPUImageError, match="10x10"):
        kpu.run_with_output("/sd/small.png")


def test_run_with_output_of_a_missing_file(kpu):
    with pytest.raises(ValueError, match="^open file error"):
        kpu.run_with_output("/sd/none.jpg")


def test_run_with_output_without_a_model(board):
    with pytest.raises(KPURunError, match="load_kmodel"):
        KPU().run_with_output(demo_image())


# --- regionlayer_yolo2 ----------------------------------------


def test_regionlayer_yolo2_equals_dialect_c(kpu):
    kpu.init_yolo2(ANCHORS, **YOLO)
    raw = np.array(kpu.run_with_output(demo_image(), True), np.float32).reshape(55, 15, 20)
    boxes = region_layer(raw, ANCHORS, 0.5, 0.3, (320, 240), (320, 240), "C", 6)
    found = kpu.regionlayer_yolo2()
    assert found == [[b.x, b.y, b.w, b.h, b.class_id, b.probability] for b in boxes] and len(found) > 0
    assert [type(v) for v in found[0]] == [int] * 5 + [float]
    assert kpu.regionlayer_yolo2() == found


def test_regionlayer_yolo2_reports_boxes_in_the_given_image_size(kpu):
    kpu.init_yolo2(ANCHORS, **YOLO)
    kpu.run_with_output(demo_image())
    full = kpu.regionlayer_yolo2()[0]
    kpu.init_yolo2(ANCHORS, img_w=640, img_h=480, **YOLO)
    assert np.abs(np.subtract(kpu.regionlayer_yolo2()[0][:4], np.multiply(full[:4], 2))).max() <= 2


def test_old_boxes_of_a_256_row_canvas_are_8_pixels_higher_than_new_ones(board):
    """Section 2.4: the letter-box rule takes the 240 rows as centred in the 256."""
    anchors = (0.5, 0.5)
    raw = np.full((6, 8, 10), -8, np.float32)
    raw[:, 4, 5] = [0, 0, 0, 0, 4, 0]
    old = region_layer(raw, anchors, 0.5, 0.3, (320, 256), (320, 240), "C", 1)[0]
    new = region_layer(raw, anchors, 0.5, 0.3, (320, 256), (320, 256), "N", 1)[0]
    assert (old.x, old.y) == (new.x, new.y - 8)


def test_regionlayer_yolo2_without_boxes_is_an_empty_list(kpu):
    kpu.init_yolo2(ANCHORS, **{**YOLO, "threshold": 1.0})
    kpu.run_with_output(demo_image())
    assert kpu.regionlayer_yolo2() == []


def test_regionlayer_yolo2_too_early(kpu):
    with pytest.raises(OSError, match="init_yolo2 is missing"):
        kpu.regionlayer_yolo2()
    kpu.init_yolo2(ANCHORS, **YOLO)
    with pytest.raises(OSError, match="has not been run"):
        kpu.regionlayer_yolo2()
    with pytest.raises(OSError, match="init_yolo2"):
        KPU().regionlayer_yolo2()


# --- deinit ----------------------------------------


def test_deinit_returns_true_then_false(kpu, board):
    kpu.init_yolo2(ANCHORS, **YOLO)
    assert kpu.deinit() is True and kpu.deinit() is False and not board.nets
    assert KPU().deinit() is False


def test_deinit_without_init_yolo2_is_safe(kpu):
    assert kpu.deinit() is True


def test_deinit_strict_prints(strict_board, demo_v3, capsys):
    kpu = KPU()
    kpu.load_kmodel(str(demo_v3))
    capsys.readouterr()
    kpu.deinit()
    assert capsys.readouterr().out == "free kpu model buf succeed\r\n"


def test_del_and_collect_free(board, demo_v3):
    kpu = KPU()
    kpu.load_kmodel(str(demo_v3))
    yolo = kpu.Yolo2()
    del kpu, yolo
    gc.collect()
    assert not board.nets and board.held_bytes() == 0


def test_use_after_deinit(kpu):
    kpu.deinit()
    with pytest.raises(KPURunError, match="no model is loaded"):
        kpu.run_with_output(demo_image())


# --- helpers ----------------------------------------


@pytest.mark.parametrize("x", [0.0, 1.0, -3.5, 100.0, -100.0])
def test_sigmoid(x):
    assert KPU.sigmoid(x) == pytest.approx(1 / (1 + math.exp(-x)), rel=1e-6, abs=1e-30)


@pytest.mark.parametrize("arguments", [(), (1.0, 2.0)])
def test_sigmoid_takes_one_number(arguments):
    with pytest.raises(ValueError):
        KPU.sigmoid(*arguments)


def test_softmax_is_a_new_list():
    values = [1.0, 2.0, 3.0]
    result = KPU.softmax(values)
    e = [math.exp(v - 3) for v in values]
    assert values == [1.0, 2.0, 3.0] and result == pytest.approx([v / sum(e) for v in e], rel=1e-6)
    assert KPU.softmax([500.0, 500.0]) == [0.5, 0.5]
    with pytest.raises(TypeError):
        KPU.softmax((1.0, 2.0))


def test_feature_compare_does_not_normalise():
    assert KPU.feature_compare([0.6, 0.8], (0.6, 0.8)) == pytest.approx(100, rel=1e-6)
    assert KPU.feature_compare([1.0, 0.0], [0.0, 1.0]) == 50.0 and KPU.feature_compare([1.0], [-1.0]) == 0.0
    assert KPU.feature_compare([2.0], [2.0]) == pytest.approx(250)
    with pytest.raises(ValueError, match="^feature len error"):
        KPU.feature_compare([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="^need input 2 feature"):
        KPU.feature_compare([1.0])


# --- licence plates ----------------------------------------


def plate_weights(length, rng):
    parts = [(rng.standard_normal((n, length)).astype("<f4"), rng.standard_normal(n).astype("<f4")) for n in HEADS]
    return parts, b"".join(w.tobytes() + b.tobytes() for w, b in parts)


def test_weight_file_of_the_documented_size():
    assert 4 * sum(n * 1664 + n for n in HEADS) == 1498500


def test_lp_recog(kpu, tmp_path, capsys):
    rng = np.random.default_rng(0)
    length = 16500 // 7
    parts, data = plate_weights(length, rng)
    (tmp_path / "lp_weight.bin").write_bytes(data)
    with pytest.raises(OSError, match="^not find lp weight data, please load"):
        kpu.lp_recog()
    assert kpu.lp_recog_load_weight_data("/sd/lp_weight.bin") is None
    assert capsys.readouterr().out == f"weight_data_size: {len(data)}\r\n"
    out = np.array(kpu.run_with_output(demo_image(), True), np.float32)
    result = kpu.lp_recog()
    assert [len(t) for t in result] == list(HEADS) and all(type(t) is tuple for t in result)
    for head, (weights, bias) in enumerate(parts):
        expected = weights.astype(float) @ out[head * length:(head + 1) * length].astype(float) + bias
        assert np.allclose(result[head], expected, rtol=1e-3, atol=1e-2)


def test_lp_recog_weights_from_flash(make_board, tmp_path, demo_v3):
    _, data = plate_weights(16500 // 7, np.random.default_rng(1))
    (tmp_path / "w.bin").write_bytes(data)
    make_board(f"{tmp_path}/w.bin@0x600000")
    kpu = KPU()
    kpu.load_kmodel(str(demo_v3))
    kpu.lp_recog_load_weight_data(0x600000, len(data))
    kpu.run_with_output(demo_image())
    assert len(kpu.lp_recog()) == 7


@pytest.mark.parametrize("arguments, error, message", [
    ((0, 5), ValueError, "path error!"), ((0x600000, 0), ValueError, "size error!"),
    ((None,), ValueError, "invalid path"),
    (("/sd/none.bin",), ValueError, "open file error"), ((0x600000, 1000), KPUArgumentError, "size error!.*1498500"),
])
def test_lp_recog_load_weight_data_errors(board, arguments, error, message):
    with pytest.raises(error, match=message):
        KPU().lp_recog_load_weight_data(*arguments)


def test_lp_recog_with_weights_for_another_model(kpu, tmp_path):
    (tmp_path / "w.bin").write_bytes(plate_weights(1664, np.random.default_rng(2))[1])
    kpu.lp_recog_load_weight_data("/sd/w.bin")
    kpu.run_with_output(demo_image())
    with pytest.raises(OSError, match="1664"):
        kpu.lp_recog()


# --- new generation: load, run, get_outputs, deinit, attr -----


def test_load_of_a_path_in_v3_v4_and_v5(board, demo_v3, demo_v5):
    assert KPU().load(str(demo_v3)) is None and KPU().load(str(demo_v5)) is None


def test_load_of_an_offset(make_board, demo_v3, demo_v5):
    make_board(f"{demo_v3}@0x300000", f"{demo_v5}@0x500000")
    for arguments, keywords in (((0x300000,), {}), ((0x500000,), {}), ((0x500000, demo_v5.stat().st_size), {}),
                                ((0x500000,), {"size": demo_v5.stat().st_size})):
        kpu = KPU()
        kpu.load(*arguments, **keywords)
        kpu.run(demo_image())


@pytest.mark.parametrize("arguments, message", [
    ((), "Load_kmodel need one parameter, path"), ((1.5,), "Load_kmodel need one parameter"),
    ((0,), "Model offset error!"), ((-1,), "Model offset error!"), (("/sd/none.kmodel",), "open file error"),
    ((0x300000, 5 << 20), "Model size error!"), ((0x300000, -1), "Model size error!"),
])
def test_load_value_errors(board, arguments, message):
    with pytest.raises(ValueError, match=message):
        KPU().load(*arguments)


def test_load_of_no_model(board, tmp_path):
    (tmp_path / "x.kmodel").write_bytes(bytes(range(7, 107)))
    with pytest.raises(OSError, match="^Failed to load model"):
        KPU().load("/sd/x.kmodel")


def test_load_tolerates_trailing_bytes_with_a_warning(board, demo_v3, tmp_path, capsys):
    (tmp_path / "m.kmodel").write_bytes(demo_v3.read_bytes() + bytes(8))
    KPU().load("/sd/m.kmodel")
    assert "8 bytes behind the model" in capsys.readouterr().err


def test_load_without_memory(board, demo_v3):
    board.system_heap_bytes = 1000
    with pytest.raises(MemoryError):
        KPU().load(str(demo_v3))


def test_run_returns_none(new_kpu):
    assert new_kpu.run(demo_image()) is None


@pytest.mark.parametrize("value", [None, "picture.jpg", [1]])
def test_run_of_another_type(new_kpu, value):
    with pytest.raises(TypeError):
        new_kpu.run(value)


def test_run_without_a_model(board):
    with pytest.raises(OSError, match="^Please load kmodel before"):
        KPU().run(demo_image())


def test_run_without_plane(new_kpu):
    with pytest.raises(ValueError, match="^Image formart error, use pix_to_ai"):
        new_kpu.run(no_plane())


def test_run_of_a_wrong_size_is_oserror_34(new_kpu, capsys):
    with pytest.raises(OSError) as caught:
        new_kpu.run(sized(224, 128))
    assert caught.value.errno == 34 and "224x128" in str(caught.value)
    assert "model input 240x320 but image is 128x224" in capsys.readouterr().out


def test_run_checks_channels(new_kpu):
    img = demo_image().to_grayscale(1)
    img.pix_to_ai()
    with pytest.raises(KPUImageError, match="GRAYSCALE"):
        new_kpu.run(img)


def test_get_outputs(new_kpu):
    new_kpu.run(demo_image())
    assert new_kpu.get_outputs() == new_kpu.get_outputs(0) == new_kpu.get_outputs(index=0)
    assert len(new_kpu.get_outputs()) == 16500
    for index in (1, -1, "0"):
        with pytest.raises(OSError, match="^Failed to get kpu outputs"):
            new_kpu.get_outputs(index)


def test_get_outputs_too_early(new_kpu):
    for kpu in (new_kpu, KPU()):
        with pytest.raises(OSError, match="^Please load/run kmodel before"):
            kpu.get_outputs()


def test_get_outputs_of_a_model_with_two(board):
    kpu = KPU()
    kpu.load(str(shared_file("kmodels/v4_RFB-320.kmodel")))
    kpu.run(sized(*kpu._network.input_shape[:2]))
    assert [len(kpu.get_outputs(i)) for i in (0, 1)] == [17680, 8840]


def test_deinit_of_the_new_generation_is_none(new_kpu, board):
    yolo = new_kpu.Yolo2()
    yolo.init(ANCHORS)
    assert new_kpu.deinit() is None and not board.nets
    with pytest.raises(OSError, match="Please call init before run"):
        yolo.run()


def test_attr(new_kpu, demo_v5):
    yolo = new_kpu.Yolo2()
    found = new_kpu.attr()
    assert found["model"] == {"size": demo_v5.stat().st_size, "name": str(demo_v5),
                              "sha256": bytearray(hashlib.sha256(demo_v5.read_bytes()).digest())}
    assert found["shape"] == {"input": [3, 240, 320], "output": [55, 15, 20]}
    assert found["child"] == {"Lpr": 0, "Yolo2": 1} and found["self"] == id(new_kpu) and found["parent"] is None
    assert yolo.attr()["parent"] == id(new_kpu)


def test_attr_name_of_a_model_in_flash(make_board, demo_v3):
    make_board(f"{demo_v3}@0x300000")
    kpu = KPU()
    kpu.load(0x300000)
    assert kpu.attr()["model"]["name"] == "flash:0x00300000"
    assert KPU().attr()["model"]["size"] == 0


# --- new generation: Act, Feat ----------------------------------------


def test_act_sigmoid():
    assert KPU.Act.sigmoid(1.5) == KPU.sigmoid(1.5) and KPU.Act.sigmoid(0) == 0.5
    assert KPU.Act.sigmoid([0.0, 1.5]) == [0.5, KPU.sigmoid(1.5)]
    with pytest.raises(TypeError, match="^Can't convert"):
        KPU.Act.sigmoid("1")


def test_act_softmax(board):
    assert KPU.Act.softmax([1.0, 2.0]) == KPU.softmax([1.0, 2.0]) and KPU.Act.softmax([3.0]) == [1.0]
    with pytest.raises(ValueError, match="^list minimum size is 2"):
        KPU.Act.softmax([])
    with pytest.raises(TypeError):
        KPU.Act.softmax((1.0,))


def test_act_softmax_strict_raises_for_every_list(strict_board):
    with pytest.raises(ValueError, match="^list minimum size is 2"):
        KPU.Act.softmax([1.0, 2.0])


def test_feat_calculate_of_a_list(board):
    assert KPU.Feat.calculate([3.0, 4.0]) == pytest.approx([0.6, 0.8])
    with pytest.raises(ValueError, match="^feature length bigger than 256"):
        KPU.Feat.calculate([1.0] * 257)
    with pytest.raises(TypeError):
        KPU.Feat.calculate(5)


def test_feat_calculate_of_a_kpu(new_kpu):
    with pytest.raises(OSError, match="^Please load/run kmodel before"):
        new_kpu.Feat.calculate(new_kpu)
    new_kpu.run(demo_image())
    with pytest.raises(ValueError, match="^feature length bigger than 256"):
        new_kpu.Feat.calculate(new_kpu)


def test_feature_of_zeros_is_zeros_with_a_warning(board, capsys):
    assert KPU.Feat.calculate([0.0, 0.0]) == [0.0, 0.0] and "all zero" in capsys.readouterr().err


def test_feature_of_zeros_is_nan_in_strict_mode(strict_board):
    assert all(math.isnan(v) for v in KPU.Feat.calculate([0.0, 0.0]))


def test_feat_compare():
    assert KPU.Feat.compare([0.6, 0.8], [0.6, 0.8]) == pytest.approx(100, rel=1e-6)
    with pytest.raises(ValueError, match="^feature len not equal"):
        KPU.Feat.compare([1.0], [1.0, 0.0])


# --- new generation: Yolo2, Lpr ----------------------------------------


def test_yolo2_run_takes_its_geometry_from_the_model(new_kpu):
    yolo = new_kpu.Yolo2()
    assert yolo.init(ANCHORS, 0.5, 0.3) is None
    new_kpu.run(demo_image())
    raw = np.array(new_kpu.get_outputs(), np.float32).reshape(55, 15, 20)
    boxes = region_layer(raw, ANCHORS, 0.5, 0.3, (320, 240), (320, 240), "N")
    found = yolo.run()
    assert found == [[b.x, b.y, b.w, b.h, b.class_id, b.probability] for b in boxes] and len(found) > 0


def test_yolo2_init_defaults_and_names(new_kpu):
    yolo = new_kpu.Yolo2()
    yolo.init(ANCHORS)
    assert yolo.attr()["args"] == {"threshold": 0.5, "nms_value": 0.3, "anchor_num": 5, "anchor": list(ANCHORS)}
    yolo.init(anchor=ANCHORS, threshold=0.4, nms=0.2)
    assert yolo.attr()["args"]["nms_value"] == 0.2
    yolo.init(ANCHORS, 0.4, nms_value=0.1)
    assert yolo.attr()["args"]["nms_value"] == 0.1


@pytest.mark.parametrize("arguments, message", [((), "need input anchor"), ((None,), "need input anchor"),
                                                (((1.0, 2.0, 3.0),), "The number of anchors should be a multiple of 2"),
                                                ((ANCHORS, 1.5), "threshold only support 0 to 1")])
def test_yolo2_init_errors(new_kpu, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        new_kpu.Yolo2().init(*arguments)


def test_yolo2_run_too_early(new_kpu):
    yolo = new_kpu.Yolo2()
    with pytest.raises(OSError, match="^Please call init before run"):
        yolo.run()
    yolo.init(ANCHORS)
    with pytest.raises(OSError, match="^Please load/run kmodel before"):
        yolo.run()


def test_yolo2_run_with_anchors_that_do_not_fit(new_kpu):
    yolo = new_kpu.Yolo2()
    yolo.init((1.0, 1.0) * 20)
    new_kpu.run(demo_image())
    with pytest.raises(OSError, match="^Yolo2 region layer init failed"):
        yolo.run()


def test_yolo2_run_on_a_model_without_a_map(board):
    kpu = KPU()
    kpu.load(str(shared_file("kmodels/v3_ld5.kmodel")))
    yolo = kpu.Yolo2()
    yolo.init(ANCHORS)
    kpu.run(sized(128, 128))
    if kpu._network.output_shape(0) is None:
        with pytest.raises(OSError, match="^Parse model for yolo run failed"):
            yolo.run()
    else:
        with pytest.raises(OSError, match="^Yolo2 region layer init failed"):
            yolo.run()


def test_yolo2_deinit(new_kpu):
    yolo = new_kpu.Yolo2()
    yolo.init(ANCHORS)
    assert yolo.deinit() is None
    with pytest.raises(OSError, match="init"):
        yolo.run()


def test_lpr(new_kpu, tmp_path):
    _, data = plate_weights(16500 // 7, np.random.default_rng(0))
    (tmp_path / "w.bin").write_bytes(data)
    lpr = new_kpu.Lpr()
    with pytest.raises(OSError, match="^Please call init before run"):
        lpr.run()
    assert lpr.load("/sd/w.bin") is None
    new_kpu.run(demo_image())
    assert [len(t) for t in lpr.run()] == list(HEADS)
    assert lpr.attr()["weight"] == {"size": len(data), "name": "/sd/w.bin",
                                    "sha256": bytearray(hashlib.sha256(data).digest())}
    assert new_kpu.attr()["child"]["Lpr"] == 1
    assert lpr.deinit() is None
    with pytest.raises(OSError):
        lpr.run()


def test_lpr_from_flash(make_board, tmp_path):
    _, data = plate_weights(1664, np.random.default_rng(0))
    (tmp_path / "w.bin").write_bytes(data)
    make_board(f"{tmp_path}/w.bin@0x600000")
    lpr = KPU().Lpr()
    lpr.load(0x600000, 1498500)
    assert lpr.attr()["weight"]["name"] == "flash:0x00600000"


@pytest.mark.parametrize("arguments, message", [((0, 5), "offset error!"), ((0x600000, 0), "weight file size error"),
                                                ((), "load"), ((1.5,), "load"), (("/sd/none",), "open file error")])
def test_lpr_load_errors(board, arguments, message):
    with pytest.raises(ValueError, match=message):
        KPU().Lpr().load(*arguments)


def test_weights_are_little_endian_floats_head_by_head(board):
    from openkpu.api.canmv.plates import Plates

    length, values = 2, []
    for head, n in enumerate(HEADS):
        values += [head + 1.0] * (n * length) + [0.5] * n
    plates = Plates(struct.pack(f"<{len(values)}f", *values))
    result = plates.recognise(np.ones(14, np.float32))
    assert [set(t) for t in result] == [{2 * (head + 1) + 0.5} for head in range(7)]


@pytest.mark.parametrize("method", ["load_kmodel", "load"])
def test_the_class_without_parentheses_stands_for_one_object(board, method, demo_v3):
    kpu = KPU
    getattr(kpu, method)(str(demo_v3))
    kpu.run_with_output(demo_image())
    assert len(kpu.get_outputs()) == 20 * 15 * 55 and KPU.get_outputs() == kpu.get_outputs()
    own = KPU()
    with pytest.raises(OSError):
        own.get_outputs()
    kpu.deinit()
    with pytest.raises(OSError):
        kpu.get_outputs()
