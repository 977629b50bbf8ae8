# SPDX-License-Identifier: Apache-2.0
"""The real model files and the small networks load, with the facts of the format's corpus tables."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from openkpu.kmodel import KpuConv, load, load_kfpkg, model_size
from openkpu.kmodel.summary import describe

SMALL = Path(__file__).parent / "data" / "nncase_small"

DETECTOR = "KL_K210_CONV 30 KL_DEQUANTIZE 1"
# Input, KPU convolutions (depthwise), weight bytes, main memory, outputs in bytes, operators (corpus tables).
REAL = {
    "v3_facedetect": ((1, 3, 240, 320), 23, 11, 349664, 45000, [36000], "KL_K210_CONV 23 KL_DEQUANTIZE 1"),
    "v3_iris": ((1, 4), 0, 0, 0, 56, [12], "KL_FULLY_CONNECTED 2"),
    "v3_ld5": ((1, 3, 128, 128), 7, 0, 115120, 5120, [40],
               "KL_K210_CONV 7 KL_DEQUANTIZE 1 KL_FULLY_CONNECTED 2 KL_GLOBAL_AVERAGE_POOL2D 1"),
    "v3_mask": ((1, 3, 240, 320), 7, 0, 1589680, 97280, [11200],
                "KL_K210_CONV 7 KL_DEQUANTIZE 1 KL_K210_UPLOAD 1 KL_QUANTIZED_MAX_POOL2D 1"),
    "v3_mnist": ((1, 1, 28, 28), 3, 0, 5072, 14112, [40],
                 "KL_K210_CONV 3 KL_DEQUANTIZE 2 KL_FULLY_CONNECTED 1 KL_K210_ADD_PADDING 1 KL_K210_REMOVE_PADDING 1 "
                 "KL_QUANTIZE 1 KL_SOFTMAX 1 KL_TENSORFLOW_FLATTEN 1"),
    "v3_yolo20": ((1, 3, 240, 320), 16, 7, 1305888, 43752, [35000], "KL_K210_CONV 16 KL_CHANNELWISE_DEQUANTIZE 1"),
    "v3_yolo_face_detect": ((1, 3, 256, 320), 30, 14, 242440, 21600, [17280], DETECTOR),
    "v4_RFB-320": ((1, 3, 240, 320), 52, 18, 270144, 548736, [70720, 35360],
                   "concat 3 dequantize 13 kpu_conv2d 52 kpu_upload 8 pad 8 quantize 5 quantized_binary 3 reduce 2 "
                   "transpose 14 unary 1"),
    "v4_face_detect_320x240": ((1, 3, 240, 320), 30, 14, 242440, 476160, [17280],
                               "dequantize 1 kpu_conv2d 30 kpu_upload 1 pad 1"),
    "v4_iris": ((1, 1, 1, 4), 0, 0, 0, 216, [12], "matmul 2 transpose 2"),
    "v4_mask_detect": ((1, 1, 32, 32), 4, 0, 30352, 75600, [12],
                       "binary 2 dequantize 4 kpu_conv2d 4 kpu_upload 3 matmul 1 pad 5 quantize 3 reduce 2 "
                       "reduce_window2d 2 table_lookup1d 1 transpose 1"),
    "v4_mb-0.25": ((1, 3, 224, 224), 25, 11, 206736, 903168, [1024],
                   "conv2d 2 dequantize 3 kpu_conv2d 25 kpu_upload 2 quantize 2 reduce 1"),
    "v4_ultra_face": ((1, 3, 240, 320), 49, 18, 263232, 499200, [70720, 35360],
                      "concat 3 dequantize 13 kpu_conv2d 49 kpu_upload 5 memory_copy 8 pad 1 quantize 5 "
                      "quantized_binary 3 quantized_conv2d 3 reduce 2 transpose 8 unary 1"),
    "v5_rand_fullconv_128": ((1, 3, 128, 128), 5, 0, 14348, None, [5120],
                             "kpu_conv2d 5 kpu_upload 1 kpu_download 1 DEQUANTIZE 1"),
    "v5_rand_tinyyolo_224x320": ((1, 3, 224, 320), 7, 0, 547248, None, [8400],
                                 "kpu_conv2d 7 kpu_upload 1 kpu_download 1 DEQUANTIZE 1"),
    "v5_rand_yolo_mb_320x240": ((1, 3, 240, 320), 24, 11, 282240, None, [9600],
                                "kpu_conv2d 24 kpu_upload 2 kpu_download 2 DEQUANTIZE 2 PAD 1 QUANTIZE 1"),
    "v5_ulffd_landmark": ((1, 3, 240, 320), 43, 12, 370720, None, [50560, 126400, 25280],
                          "kpu_conv2d 43 kpu_download 16 kpu_upload 5 DEQUANTIZE 17 TRANSPOSE 9 QUANTIZE 5 LUT1D 3 "
                          "BINARY 1 PAD 1"),
    "v5_yolox_nano_224": ((1, 3, 224, 224), 120, 30, 927744, None, [349860],
                          "kpu_conv2d 120 kpu_download 52 kpu_upload 27 BINARY 2 CONVERT 2 COPY 3 DEQUANTIZE 47 "
                          "QUANTIZE 21 REDUCE_WINDOW2D 3 RESIZE_IMAGE 2 SLICE 10 TRANSPOSE 1"),
}


def operators(text: str) -> Counter:
    words = text.split()
    return Counter(dict(zip(words[::2], map(int, words[1::2]), strict=True)))


@pytest.mark.parametrize("name", REAL)
def test_real_model_has_the_facts_of_the_corpus(shared, name):
    path = shared / "kmodels" / f"{name}.kmodel"
    shape, convs, depthwise, weights, main, outputs, names = REAL[name]
    model = load(path)
    assert model.version == int(name[1]) and model.warnings == () and not model.byte_swapped
    assert [s.shape for s in model.inputs] == [shape]
    assert len(model.kpu_layers) == convs and sum(c.descriptor.depthwise for c in model.kpu_layers) == depthwise
    assert sum(c.weights.size for c in model.kpu_layers) == weights
    assert main is None or model.main_memory == main
    assert [s.tensor.nbytes for s in model.outputs] == outputs
    assert all(s.dtype == np.float32 for s in model.outputs)
    assert Counter(layer.name for layer in model.layers) == operators(names)
    assert [layer.index for layer in model.layers] == list(range(len(model.layers)))
    assert model.image == path.read_bytes() and 0 <= model_size(model.image) - model.size < 8


@pytest.mark.parametrize("name", REAL)
def test_summary_agrees_with_the_vectors(shared, name):
    meta = json.loads((shared / "vectors" / "models" / name / "meta.json").read_text())
    facts = json.loads(json.dumps(describe(load(shared / meta["kmodel"]))))
    assert facts["totals"]["kpu_macs"] == meta["kpu_macs"]
    assert sum(x["batches"] for x in facts["layers"] if x["where"] == "kpu") == meta["kpu_layers"]
    assert [(i["dtype"], i["shape"]) for i in facts["inputs"]] == [(i["dtype"], i["shape"]) for i in meta["inputs"]]
    assert [(o["dtype"], o["shape"]) for o in facts["outputs"]] == [(o["dtype"], o["shape"]) for o in meta["outputs"]]
    assert facts["memory"]["fits"] and facts["memory"]["airam_fits"]


@pytest.mark.parametrize(("name", "releases"), [
    ("v5_yolox_nano_224", "1.0.0-beta1/rc1"), ("v5_ulffd_landmark", "1.6-1.7.0, 1.7.1, 1.8-1.9"),
])
def test_operator_table_of_a_real_model_is_found(shared, name, releases):
    assert load(shared / "kmodels" / f"{name}.kmodel").operator_table == releases


# Appendix C.1 of the driver specification: body size, input and output (width, height, channels), depthwise,
# kernel_type, pool_type, para_size.
FACE_LAYERS = [
    (940, (320, 240, 3), (160, 120, 16), 0, 1, 1, 432), (768, (160, 120, 16), (160, 120, 16), 1, 1, 0, 144),
    (1280, (160, 120, 16), (80, 60, 32), 0, 0, 1, 512), (1024, (80, 60, 32), (80, 60, 32), 1, 1, 0, 288),
    (3072, (80, 60, 32), (80, 60, 64), 0, 0, 0, 2048), (1536, (80, 60, 64), (80, 60, 64), 1, 1, 0, 576),
    (5120, (80, 60, 64), (40, 30, 64), 0, 0, 1, 4096), (1536, (40, 30, 64), (40, 30, 64), 1, 1, 0, 576),
    (9728, (40, 30, 64), (40, 30, 128), 0, 0, 0, 8192), (2560, (40, 30, 128), (40, 30, 128), 1, 1, 0, 1152),
    (17920, (40, 30, 128), (20, 15, 128), 0, 0, 1, 16384), (2560, (20, 15, 128), (20, 15, 128), 1, 1, 0, 1152),
    (35328, (20, 15, 128), (20, 15, 256), 0, 0, 0, 30720),
    *[(4864, (20, 15, 256), (20, 15, 256), 1, 1, 0, 2304), (68096, (20, 15, 256), (20, 15, 256), 0, 0, 0, 30720)] * 4,
    (4864, (20, 15, 256), (20, 15, 256), 1, 1, 0, 2304), (8448, (20, 15, 256), (20, 15, 30), 0, 0, 0, 7680),
]


def test_layers_of_the_face_model_are_those_of_netinfo(shared):
    model = load(shared / "kmodels" / "face_model_at_0x300000.kfpkg")
    found = [(c.size, c.descriptor.in_shape[::-1], c.descriptor.out_shape[::-1], c.descriptor.depth_wise_layer,
              c.descriptor.kernel_type, c.descriptor.pool_type, c.descriptor.para_size) for c in model.kpu_layers]
    swapped = [(s, (i[0], i[1], i[2]), (o[0], o[1], o[2]), *rest) for s, i, o, *rest in found]
    assert swapped == FACE_LAYERS
    assert [c.index for c in model.kpu_layers if c.stream] == [22] and model.layers[23].size == 24
    assert model.outputs[0].tensor.offset == 9000 and model.outputs[0].map_shape == (30, 15, 20)


def test_body_sizes_of_mnist_and_mask_are_those_of_netinfo(shared):
    sizes = [layer.size for layer in load(shared / "kmodels" / "v3_mnist.kmodel").layers]
    assert sizes == [788, 5376, 24, 24, 200856, 24, 16, 784, 16, 24, 16]
    mask = load(shared / "kmodels" / "v3_mask.kmodel").layers
    assert [layer.size for layer in mask] == [1052, 5376, 19456, 75264, 297472, 64, 24, 1184168, 18688, 24]
    assert [c.descriptor.para_size for c in mask if isinstance(c, KpuConv)] == [432, 4608, 18432, 30528, 29952, 29952,
                                                                               17920]


@pytest.mark.parametrize(("package", "member", "address"), [
    ("face_model_at_0x300000.kfpkg", "facedetect.kmodel", 0x300000),
    ("face_model_be_at_0x600000.kfpkg", "facedetect_be.kmodel", 0x600000),
])
def test_vendor_package_holds_the_face_model(shared, package, member, address):
    path = shared / "kmodels" / package
    contents = load_kfpkg(path.read_bytes(), str(path))
    assert [(e.name, e.address, e.sha256_prefix) for e in contents.models] == [(member, address, False)]
    model = load(path)
    assert model.byte_swapped == ("be" in package)
    assert model.image == (shared / "kmodels" / "v3_facedetect.kmodel").read_bytes()


def test_every_file_of_the_corpus_is_listed(shared):
    stems = {p.stem for p in (shared / "kmodels").glob("*.kmodel")}
    assert stems == set(REAL) and len(list((shared / "kmodels").iterdir())) == 20


INDEX = {entry["id"]: entry for entry in json.loads((SMALL / "index.json").read_text())}


def test_there_are_105_small_networks():
    assert len(INDEX) == 105 == len(list(SMALL.glob("*.kmodel")))


@pytest.mark.parametrize("name", INDEX)
def test_small_network_loads(name):
    entry = INDEX[name]
    model = load(SMALL / f"{name}.kmodel")
    assert [[s.dtype.name, list(s.shape)] for s in model.inputs] == entry["inputs"]
    assert [[s.dtype.name, list(s.shape)] for s in model.outputs] == entry["outputs"]
    assert model.kpu_layers and "1.8-1.9" in model.operator_table
    if entry["t"] == "conv":
        first = model.kpu_layers[0].descriptor
        assert first.kernel == entry["k"] and first.i_ch_num == entry["ic"]


@pytest.mark.parametrize("name", ["v3_facedetect", "v4_ultra_face", "v5_yolox_nano_224"])
def test_model_is_found_in_a_flash_dump(shared, name):
    data = (shared / "kmodels" / f"{name}.kmodel").read_bytes()
    dump = data + b"\xff" * (1 << 20)
    assert model_size(dump) == model_size(data) and load(dump).layers[-1].name == load(data).layers[-1].name
    assert "bytes behind the model" in load(dump).warnings[0]
