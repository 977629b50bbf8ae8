# SPDX-License-Identifier: Apache-2.0
"""Module ``KPU`` of MaixPy v1 (spec/driver-api.md section 1), imported by scripts as ``import KPU as kpu``."""

from __future__ import annotations

import gc
import operator

import numpy as np

from openkpu.api import features as arithmetic
from openkpu.api import loading
from openkpu.api.board.board import current_board
from openkpu.api.board.standin import refuse
from openkpu.api.errors import CODES, KPUArgumentError, KPULoadError
from openkpu.api.imaging import image
from openkpu.api.maixpy.classifier import classifier
from openkpu.api.maixpy.fmap import kpu_fmap
from openkpu.api.maixpy.forward import (
    checked_output,
    forward,
    image_planes,
    is_int,
    is_net,
    network_of,
    output_map,
    output_shape,
    refuse_undumpable,
    require_outputs,
    sequence,
)
from openkpu.api.maixpy.netinfo import kpu_netinfo_find
from openkpu.api.maixpy.objects import kpu_net, kpu_yolo2, kpu_yolo2_find
from openkpu.api.network import Network, Streaming
from openkpu.api.network import where as place
from openkpu.yolo2 import BOX_ENTRIES, region_layer

__all__ = ["classifier", "deinit", "face_compare", "face_encode", "fmap", "fmap_free", "forward", "get_output",
           "init_yolo2", "init_yolo3", "load", "load_flash", "memtest", "netinfo", "run_yolo2", "run_yolo3",
           "set_layers", "set_outputs"]

_EXTENSIONS = (".kmodel", ".smodel", ".emodel")
_MAX_ANCHORS_STRICT = 127
_MAX_SPI_HZ = 80_000_000


def load(offset_or_path=None, *ignored, offset=None, file_path=None, **ignored_keywords) -> kpu_net:
    """Load a model from a flash address (int) or a file (str); section 1.2.

    Raises
    ------
    TypeError
        Neither int nor str, or not exactly one source.
    KPULoadError
        A ``ValueError`` with ``code``, ``name``, ``source`` and ``hint``.
    """
    given = [value for value in (offset_or_path, offset, file_path) if value is not None]
    if len(given) != 1:
        raise TypeError("[MAIXPY]kpu: only accept int or string -- give exactly one of offset and file_path")
    source = given[0]
    try:
        if isinstance(source, str):
            if not any(extension in source for extension in _EXTENSIONS):
                raise KPULoadError("[MAIXPY]kpu: model format don't match, only supply .kmodel ", code=2001,
                                   source=source, hint=f"the name {source!r} must contain .kmodel")
            data = loading.read_path(source)
        elif is_int(source):
            source = _checked_address(source)
            data = loading.read_flash(source)
        else:
            raise TypeError("[MAIXPY]kpu: only accept int or string")
        return kpu_net(loading.admit(loading.parse(data, source), source))
    except loading.Refused as refused:
        raise _load_error("load", source, refused) from refused.__cause__


def load_flash(model_addr, is_dual_buf, batch_size, spi_speed, *ignored, **ignored_keywords) -> kpu_net:
    """Load a byte-swapped model from flash (section 1.3). The tuning values do not change results.

    Prints the SPI clock. A model loaded so holds only its main memory and its buffers in RAM.
    """
    values = (model_addr, is_dual_buf, batch_size, spi_speed)
    if not all(is_int(v) for v in values):
        raise ValueError("[MAIXPY]kpu: load_flash arg format error: task=kpu.load_flash(flash_addr, is_dual_buf, "
                         "batch_size, spi_speed)")
    address, dual, batch, speed = (operator.index(v) for v in values)
    address = _checked_address(address)
    if not current_board().strict:
        _check_streaming(dual, batch, speed)
    try:
        obtained = loading.spi_clock(speed)
        print(f"SPI freq {obtained} Hz")
        model = loading.parse(loading.read_flash(address), address, swapped=True)
        buffers = 2 * batch if dual else max((layer.descriptor.para_size for layer in model.kpu_layers), default=0)
        network = loading.admit(model, address, model.main_memory + buffers)
        network.streaming = Streaming(address, bool(dual), batch if dual else 0, obtained)
        return kpu_net(network)
    except loading.Refused as refused:
        raise _load_error("load_flash", address, refused) from refused.__cause__


def _check_streaming(dual: int, batch: int, speed: int) -> None:
    if dual not in (0, 1):
        raise KPUArgumentError(f"[MAIXPY]kpu: is_dual_buf is {dual}", argument="is_dual_buf", hint="it must be 0 or 1")
    if dual and batch <= 0:
        raise KPUArgumentError(f"[MAIXPY]kpu: batch_size is {batch}", argument="batch_size",
                               hint="with is_dual_buf=1 it must be positive; 0x4000 to 0x10000 is recommended")
    if not 0 < speed <= _MAX_SPI_HZ:
        raise KPUArgumentError(f"[MAIXPY]kpu: spi_speed is {speed}", argument="spi_speed",
                               hint=f"it must be 1 to {_MAX_SPI_HZ} Hz")


def init_yolo2(kpu_net, threshold=None, nms_value=None, anchor_number=None, anchor=None, dma=-1, *,
               anchor_num=None) -> bool:
    """Set the YOLO v2 parameters of a net (section 1.5).

    Parameters
    ----------
    threshold, nms_value : 0...1.
    anchor_number : number of anchors (also accepted as ``anchor_num``).
    anchor : w0, h0, w1, h1, ... in grid cells, ``2 * anchor_number`` numbers.
    dma : ignored.
    """
    anchor_number = anchor_num if anchor_number is None else anchor_number
    for name, value in (("threshold", threshold), ("nms_value", nms_value), ("anchor_num", anchor_number),
                        ("anchor", anchor)):
        if value is None:
            raise TypeError(f"init_yolo2 needs kpu_net, threshold, nms_value, anchor_num and anchor; {name} is missing")
    network = network_of(kpu_net)
    for name, value, text in (("threshold", threshold, "threshold"), ("nms_value", nms_value, "nms_value")):
        if not 0 <= value <= 1:
            raise KPUArgumentError(f"[MAIXPY]kpu: {text} only support 0 to 1", argument=name, hint=f"{name} is {value}")
    if not is_int(anchor_number) or anchor_number <= 0:
        raise KPUArgumentError("[MAIXPY]kpu: anchor_number should > 0", argument="anchor_number",
                               hint=f"it is {anchor_number!r}; use len(anchors) // 2")
    anchors = [float(v) for v in sequence(anchor, "anchor")]
    if len(anchors) != 2 * anchor_number:
        raise KPUArgumentError(f"requested length {2 * anchor_number} but object has length {len(anchors)}",
                               argument="anchor", hint=f"{anchor_number} anchors need {2 * anchor_number} numbers")
    board = network.board
    if board.strict and anchor_number > _MAX_ANCHORS_STRICT:
        raise ValueError(f"anchor_number {anchor_number} does not fit the firmware's counter (127)")
    if not board.strict:
        _check_anchor_count(network, anchor_number)
    kpu_net._yolo = kpu_yolo2(threshold, nms_value, anchors)
    return True


def _check_anchor_count(network: Network, anchors: int) -> None:
    shape = network.output_shape(0)
    if shape is not None and shape[2] % anchors:
        raise KPUArgumentError(f"[MAIXPY]kpu: anchor_number is {anchors}", argument="anchor_number",
                               hint=f"the model's output has {shape[2]} channels, not divisible by {anchors}")


def init_yolo3(*args, **keywords):
    """Of one fork of the firmware only: raises ``NotSimulatedError``."""
    refuse("KPU.init_yolo3", "the vendor's firmware has no YOLO v3; read the outputs with forward() and get_output()")


run_yolo3 = init_yolo3


def run_yolo2(kpu_net, image_t=None, *ignored, image=None, **ignored_keywords) -> list[kpu_yolo2_find] | None:
    """Detect objects (section 1.6): a list in box order, or None if there is none."""
    image_t = image if image_t is None else image_t
    network = network_of(kpu_net)
    yolo = kpu_net._yolo
    if yolo is None:
        raise KPUArgumentError("[MAIXPY]kpu: region_layer_init err!\r\n", argument="kpu_net",
                               hint="init_yolo2 is missing: call kpu.init_yolo2(net, threshold, nms_value, anchor_num, "
                                    "anchor) after load")
    planes = image_planes(network, image_t)
    require_outputs(kpu_net)
    width, height, channels = output_shape(kpu_net, 0) or _region_error(kpu_net)
    anchors = yolo.anchor_number()
    classes = channels // (5 if network.board.strict else anchors) - BOX_ENTRIES
    if classes < 1 or anchors * (BOX_ENTRIES + classes) != channels:
        _region_error(kpu_net)
    raw = network.run_image(planes)[0].astype(np.float32, copy=False).reshape(channels, height, width)
    size = network.image_shape[:2]
    boxes = region_layer(raw, yolo.anchor(), yolo.threshold(), yolo.nms_value(), size, size, "M", classes)
    if network.board.strict:
        network.outputs_of_run()[0] = activated(raw, anchors)
    network.board.counters.detections += len(boxes)
    return [kpu_yolo2_find(box, i, len(boxes)) for i, box in enumerate(boxes)] or None


def _region_error(net: kpu_net):
    network, anchors = net._network, 0 if net._yolo is None else net._yolo.anchor_number()
    raise KPUArgumentError(
        "[MAIXPY]kpu: region_layer_init err!\r\n", argument="kpu_net",
        hint=f"output 0 of the model from {place(network.source)} has the shape (w, h, ch) {output_shape(net, 0)}, "
             f"which is no YOLO v2 map of {anchors} anchors times 5 + classes")


def fmap(fmap, channel) -> image.Image:
    """One channel of a map as a GRAYSCALE image, unscaled, without AI plane (section 1.8)."""
    if not isinstance(fmap, kpu_fmap):
        raise TypeError(f"fmap needs a kpu_fmap, not {type(fmap).__name__}")
    if fmap.typecode() != "B":
        raise KPUArgumentError("[MAIXPY]kpu: can't convet float fmap yet\r\n", argument="fmap",
                               hint="this layer gives floats; choose a convolution layer in forward()")
    if not is_int(channel) or not 0 <= channel < fmap.ch():
        raise KPUArgumentError(f"[MAIXPY]kpu: ch err,input 0~{fmap.ch()}\r\n", argument="channel",
                               hint=f"channel is {channel!r}; the map has the channels 0 to {fmap.ch() - 1}")
    values = np.asarray(fmap)[operator.index(channel)]
    picture = image.Image.from_pixels(values)
    if current_board().strict:
        picture.pixels = values
    return picture


def fmap_free(fmap) -> None:
    """Drop a map's data; later use raises ``ValueError``, twice is harmless. Strict mode: no effect (section 1.9).

    Anything else is ignored, as the firmware does: scripts free what they made of a map.
    """
    if isinstance(fmap, kpu_fmap) and not current_board().strict:
        fmap.free()


def netinfo(kpu_net) -> list[kpu_netinfo_find]:
    """One object per layer (section 1.10); prints a line per layer."""
    network = network_of(kpu_net)
    model = network.model
    if model.version != 3:
        raise KPUArgumentError("get layer num error!", argument="kpu_net",
                               hint=f"the model from {place(network.source)} is a kmodel V{model.version}, which has "
                                    "no layer table; `openkpu info` lists its operators")
    layers = model.layers
    if network.board.strict and kpu_net._layers:
        layers = layers[:kpu_net._layers]
    for layer in layers:
        print(f"layer[{layer.index}]: {layer.name}, {layer.size} bytes", end="\r\n")
    return [kpu_netinfo_find(layer, strict=network.board.strict) for layer in layers]


def set_outputs(kpu_net, out_idx=None, width=None, height=None, channel=None, *ignored, **ignored_keywords) -> bool:
    """Tell the shape of an output of a V4 model (section 1.11); False, with a printed reason, if it does not fit."""
    values = (out_idx, width, height, channel)
    if not is_net(kpu_net) or not all(is_int(v) for v in values):
        raise ValueError("[MAIXPY]kpu: set_outputs arg format error: set_outputs(task, int idx, int w, int h, int ch)")
    network = network_of(kpu_net)
    index, *shape = (operator.index(v) for v in values)
    outputs = network.model.outputs
    if not 0 <= index < len(outputs):
        print(f"[MAIXPY]kpu: set_outputs arg value error:kmodel output idx {index} out of range")
        return False
    count = outputs[index].tensor.count
    if shape[0] * shape[1] * shape[2] != count or min(shape) < 1:
        print(f"w*h*ch!={count}")
        print("[MAIXPY]kpu: set_outputs arg value error: w,c,ch size not match output size")
        return False
    kpu_net._shapes[index] = tuple(shape)
    return True


def set_layers(kpu_net, n) -> bool:
    """Number of layers that ``forward`` computes from now on; n <= 0: all (section 1.16)."""
    network = network_of(kpu_net)
    if not is_int(n):
        raise TypeError(f"set_layers needs an int, not {type(n).__name__}")
    count = len(network.model.layers)
    if n > count:
        print(f"err: set layers_length to {n}, but max {count}")
        return False
    if n > 0 and not network.board.strict:
        refuse_undumpable(network, n - 1, KPUArgumentError)
    kpu_net._layers = max(0, operator.index(n))
    return True


def get_output(kpu_net, out_index) -> kpu_fmap:
    """Output ``out_index`` of the last run (section 1.17)."""
    if not is_net(kpu_net) or not is_int(out_index):
        raise ValueError("[MAIXPY]kpu: get_output arg format error: get_output(task, int idx)")
    network = network_of(kpu_net)
    index = checked_output(network, out_index, "2011" if network.model.version == 3 else "get_output err")
    if network.outputs is None and kpu_net._last is not None and index == 0:
        return kpu_fmap(np.asarray(kpu_net._last), kpu_net._last.index())
    return output_map(kpu_net, index)


def memtest() -> None:
    """Collect garbage and print the free Python heap and system heap in KB (section 1.12)."""
    gc.collect()
    board = current_board()
    print(f"###free gc heap memory : {board.gc_heap_bytes // 1024} KB", end="\r\n")
    print(f"###free sys heap memory: {(board.system_heap_bytes - board.held_bytes()) // 1024} KB", end="\r\n")


def face_encode(features, saturate=False) -> bytearray:
    """Feature numbers (at most 512) as signed bytes (section 1.13); ``saturate`` keeps +0.25 at +127."""
    values = list(sequence(features, "features"))
    if len(values) > 512:
        raise KPUArgumentError("feature dim <=200\r\n", argument="features",
                               hint=f"there are {len(values)} numbers; the limit is 512")
    return arithmetic.encode_face(values, saturate)


def face_compare(feature0, feature1) -> float:
    """Similarity 0...100 of two encoded features (section 1.14)."""
    a, b = _signed_bytes(feature0), _signed_bytes(feature1)
    if len(a) != len(b):
        raise KPUArgumentError("compare feature must in same dim!\r\n", argument="feature1",
                               hint=f"the features have {len(a)} and {len(b)} bytes")
    score = arithmetic.compare_faces(a, b)
    if np.isnan(score) and not current_board().strict:
        current_board().warn_once("zero-feature", "face_compare: a feature is all zero, the score is taken as 50")
        return 50.0
    return score


def _signed_bytes(feature) -> np.ndarray:
    if isinstance(feature, (list, tuple)):
        numbers = np.asarray(feature, np.int64)
        if numbers.size and (numbers.min() < -128 or numbers.max() > 255):
            raise ValueError("feature values must be -128 to 255")
        return (numbers & 0xFF).astype(np.uint8).view(np.int8)
    try:
        return np.frombuffer(memoryview(feature).cast("B"), np.int8)
    except TypeError:
        raise TypeError("object with buffer protocol required") from None


def deinit(kpu_net) -> bool:
    """Free a model at once; twice is harmless (section 1.15)."""
    if not is_net(kpu_net):
        raise TypeError("[MAIXPY]kpu: kpu_net type error")
    kpu_net._deinit()
    return True


def activated(raw: np.ndarray, anchors: int) -> np.ndarray:
    """Output 0 as the firmware's region layer leaves it: sigmoid and softmax applied."""
    values = raw.reshape(anchors, -1, *raw.shape[1:]).copy()
    for entry in (0, 1, 4):
        values[:, entry] = (1 / (1 + np.exp(-values[:, entry]).astype(np.float64))).astype(np.float32)
    e = np.exp(values[:, BOX_ENTRIES:] - values[:, BOX_ENTRIES:].max(axis=1, keepdims=True))
    values[:, BOX_ENTRIES:] = e / e.sum(axis=1, keepdims=True)
    return values.reshape(-1)


def _checked_address(address) -> int:
    if address <= 0:
        raise KPULoadError("[MAIXPY]kpu: model_addr must > 0 ", code=2001, source=operator.index(address),
                           hint=f"the flash address is {address}; models usually lie at 0x300000")
    return operator.index(address)


def _load_error(function: str, source, refused: loading.Refused) -> KPULoadError:
    return KPULoadError(f"[MAIXPY]kpu: {function} error:{refused.code}, {CODES[refused.code][1]}", code=refused.code,
                        source=source, hint=refused.hint)
