# SPDX-License-Identifier: Apache-2.0
"""Class ``maix.KPU`` of CanMV, both generations (spec/driver-api.md section 2)."""

from __future__ import annotations

import functools
import hashlib
import types
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from openkpu.api import features, loading
from openkpu.api.board.board import current_board
from openkpu.api.canmv import plates
from openkpu.api.canmv.files import checked_offset, flash_part, read_model_file
from openkpu.api.canmv.plates import Plates
from openkpu.api.canmv.yolo2 import Yolo2
from openkpu.api.errors import KPUArgumentError, KPUImageError, KPUImageOSError, KPUModelError, KPURunError
from openkpu.api.imaging import image
from openkpu.api.network import Network, ai_planes, image_problem
from openkpu.yolo2 import BOX_ENTRIES, region_layer

_MAX_FEATURE = 256
_MAX_MODEL_BYTES = 5 << 20
_NO_PLANE = "Image formart error, use pix_to_ai() method to convert for kpu"
_PICTURE_SIGNATURES = (b"BM", b"\xff\xd8\xff", b"\x89PNG", b"P5", b"P6")
_MISSING = object()


class Act:
    """Activations (section 2.3.3)."""

    @staticmethod
    def sigmoid(x):
        """f32 sigmoid of a number; of a list, element by element."""
        if isinstance(x, (list, tuple)):
            return [features.sigmoid(v) for v in x]
        if isinstance(x, bool) or not isinstance(x, (int, float, np.number)):
            raise TypeError(f"Can't convert {type(x).__name__} to float")
        return features.sigmoid(x)

    @staticmethod
    def softmax(l) -> list[float]:  # noqa: E741 - the documented name
        """f32 softmax of a list of at least one number; strict mode raises for every list, as the firmware does."""
        if not isinstance(l, list):
            raise TypeError(f"Can't convert {type(l).__name__} to list")
        if not l or current_board().strict:
            raise ValueError("list minimum size is 2")
        return features.softmax(l)


class Feat:
    """Features (section 2.3.3)."""

    @staticmethod
    def calculate(kpu) -> list[float]:
        """L2-normalised output 0 of a KPU that has run, or of a list; at most 256 numbers."""
        if isinstance(kpu, KPU):
            values = kpu._output("Please load/run kmodel before")
        elif isinstance(kpu, (Sequence, np.ndarray)):
            values = np.asarray(kpu, np.float32)
        else:
            raise TypeError(f"Can't convert {type(kpu).__name__} to KPU")
        return normalised(values, "feature length bigger than 256")

    @staticmethod
    def compare(a, b) -> float:
        """(0.5 + 0.5 * dot) * 100 of two normalised features."""
        if len(a) != len(b):
            raise ValueError(f"feature len not equal -- the features have {len(a)} and {len(b)} numbers")
        return features.similarity(a, b)


def normalised(values: np.ndarray, too_long: str) -> list[float]:
    """L2-normalised features; an all-zero vector gives zeros with a warning, in strict mode NaN."""
    if values.size > _MAX_FEATURE:
        raise KPUArgumentError(too_long, argument="get_feature",
                               hint=f"output 0 has {values.size} numbers; at most {_MAX_FEATURE} make a feature")
    result = features.normalise(values)
    if np.isnan(result).any() and not values.any() and not current_board().strict:
        current_board().warn_once("zero-output", "output 0 is all zero; its feature is taken as zeros")
        result = np.zeros_like(result)
    return result.astype(float).tolist()


class KPU:
    """A model on the KPU, with the methods of the released firmware and of its rewritten class.

    Methods called on the class itself act on one shared object.
    """

    Act = Act
    Feat = Feat

    def __init__(self):
        self._network: Network | None = None
        self._old = False
        self._digest = b""
        self._file_bytes = 0
        self._yolo: dict | None = None
        self._plates: Plates | None = None
        self._children: weakref.WeakSet = weakref.WeakSet()

    def __repr__(self) -> str:
        size, inputs, outputs = 0, 0, 0
        if self._network is not None:
            model = self._network.model
            size, outputs = self._file_bytes, len(model.outputs)
            inputs = 0 if model.version == 3 else len(model.inputs)
        return f"type        : kmodel (KPU) \nmodel_size  : {size}\ninputs      : {inputs}\noutputs     : {outputs}"

    # --- the released class (section 2.2) -------------------------------------------------------------------------

    def load_kmodel(self, path=_MISSING, size=0, *, file_path=_MISSING, flash_offset=_MISSING) -> None:
        """``load_kmodel(path)`` or ``load_kmodel(flash_offset, size)``; a former model is released.

        Raises
        ------
        ValueError
            No path, a bad offset or size, an unreadable file.
        KPUModelError
            An ``OSError`` and ``ValueError``: not a model of version 3 or 4.
        MemoryError
            The model does not fit into memory.
        """
        given = [v for v in (path, file_path, flash_offset) if v is not _MISSING]
        if len(given) != 1:
            raise TypeError("load_kmodel takes one of a path and a flash offset")
        source = given[0]
        strict = current_board().strict
        if source is None:
            raise ValueError("invalid path input")
        if isinstance(source, str):
            data = read_model_file(source)
            if strict:
                print(f"model size {len(data)} ", end="\r\n")
        else:
            source = checked_offset(source, "path error!")
            if size < 0 or (strict and size == 0):
                raise ValueError("size error!")
            data = flash_part(source, size)
        model = _parsed(data, source, "Failed to init model", (3, 4))
        self._adopt(model, source, "Failed to init model", size or len(data) if isinstance(source, str) else size)
        self._digest, self._old = hashlib.sha256(model.image).digest(), True
        if strict:
            print("model load succeed", end="\r\n")

    def init_yolo2(self, anchor=None, anchor_num=None, img_w=320, img_h=240, net_w=320, net_h=240, layer_w=10,
                   layer_h=8, threshold=0.7, nms_value=0.4, classes=1) -> None:
        """Set the parameters of ``regionlayer_yolo2`` (section 2.2.2). ``anchor_num`` is 5 unless given; in friendly
        mode ``len(anchor) // 2``."""
        if anchor is None:
            raise ValueError("need input anchor")
        anchors = [float(v) for v in anchor]
        strict = current_board().strict
        if anchor_num is None:
            anchor_num = 5 if strict else len(anchors) // 2
        threshold = 0.7 if threshold is None else threshold
        nms_value = 0.4 if nms_value is None else nms_value
        if not strict:
            _check_yolo(anchors, anchor_num, threshold, nms_value, img_w, img_h, net_w, net_h, layer_w, layer_h,
                        classes)
        elif len(anchors) < 2 * anchor_num:
            raise KPUArgumentError("need input anchor", argument="anchor",
                                   hint=f"anchor_num={anchor_num} needs {2 * anchor_num} numbers, not {len(anchors)}")
        parameters = {"anchor": anchors[:2 * anchor_num], "image": (img_w, img_h), "net": (net_w, net_h),
                      "layer": (layer_w, layer_h), "threshold": threshold, "nms": nms_value, "classes": classes}
        if not strict and self._network is not None:
            _check_count(self._network, parameters)
        self._yolo = parameters

    def run_with_output(self, input=_MISSING, getlist=False, get_feature=False, *, img=_MISSING):
        """Run on an image or on a file of raw planes; ``None``, output 0 as a list, or its feature (section 2.2.3)."""
        given = [v for v in (input, img) if v is not _MISSING]
        if len(given) != 1:
            raise TypeError("run_with_output takes one input")
        network = self._loaded("Model Buffer maybe dirty!", "load_kmodel")
        network.run_image(self._planes(network, given[0], KPUImageOSError))
        if getlist:
            return self._output("").astype(float).tolist()
        if get_feature:
            return normalised(self._output(""), "feature len out of 256\r\n")
        return None

    def regionlayer_yolo2(self) -> list[list]:
        """Boxes ``[x, y, w, h, class, prob]`` in output 0 of the last run; possibly empty (section 2.2.4)."""
        if self._yolo is None:
            raise KPURunError("region layer init err", code=2015,
                              hint="init_yolo2 is missing: call kpu.init_yolo2(anchor, ...) first")
        values = self._output("region layer init err").reshape(-1)
        p = self._yolo
        channels = len(p["anchor"]) // 2 * (BOX_ENTRIES + p["classes"])
        need = channels * p["layer"][0] * p["layer"][1]
        if need > values.size or (need != values.size and not current_board().strict):
            raise _count_error(values.size, p)
        raw = values[:need].reshape(channels, p["layer"][1], p["layer"][0])
        return self._boxes(region_layer(raw, p["anchor"], p["threshold"], p["nms"], p["net"], p["image"], "C",
                                        p["classes"]))

    def _boxes(self, boxes) -> list[list]:
        current_board().counters.detections += len(boxes)
        return [[b.x, b.y, b.w, b.h, b.class_id, b.probability] for b in boxes]

    @staticmethod
    def sigmoid(*x) -> float:
        """f32 sigmoid of one number."""
        if len(x) != 1:
            raise ValueError(f"sigmoid takes one number, not {len(x)}")
        return features.sigmoid(x[0])

    @staticmethod
    def softmax(l) -> list[float]:  # noqa: E741 - the documented name
        """f32 softmax of a list, as a new list."""
        if not isinstance(l, list):
            raise TypeError(f"softmax needs a list, not {type(l).__name__}")
        return features.softmax(l) if l else []

    @staticmethod
    def feature_compare(*two) -> float:
        """(0.5 + 0.5 * dot) * 100 of two features of ``get_feature``."""
        if len(two) != 2:
            raise ValueError("need input 2 feature")
        if len(two[0]) != len(two[1]):
            raise ValueError(f"feature len error -- the features have {len(two[0])} and {len(two[1])} numbers")
        return features.similarity(*two)

    def lp_recog_load_weight_data(self, path=None, size=0) -> None:
        """Weights of the licence-plate heads from a file, or from a flash offset and size (section 2.2.7)."""
        if path is None:
            raise ValueError("invalid path input")
        if isinstance(path, str):
            data = read_model_file(path)
        else:
            offset = checked_offset(path, "path error!")
            if size <= 0:
                raise ValueError("size error!")
            data = flash_part(offset, size)
        print(f"weight_data_size: {len(data)}", end="\r\n")
        self._plates = Plates(data)

    def lp_recog(self) -> list[tuple[float, ...]]:
        """Logits of the seven characters, from output 0 of the last run."""
        if self._plates is None:
            raise KPURunError("not find lp weight data, please load", code=2005,
                              hint="call lp_recog_load_weight_data(path) first")
        return self._plates.recognise(self._output("Model Buffer maybe dirty!"))

    def deinit(self) -> bool | None:
        """Free model, weights and helpers: True after ``load_kmodel``, None after ``load``, False if not loaded."""
        was_loaded, was_old = self._network is not None, self._old
        if self._network is not None:
            self._network.release()
            if was_old and current_board().strict:
                print("free kpu model buf succeed", end="\r\n")
        self._network = self._plates = self._yolo = None
        for child in list(self._children):
            child.deinit()
        self._children.clear()
        return was_loaded if was_old or not was_loaded else None

    # --- the rewritten class (section 2.3) ------------------------------------------------------------------------

    def load(self, path=_MISSING, size=0, *, offset=_MISSING) -> None:
        """``load(path)`` or ``load(offset)``; the size of a model in flash is found from its headers (V3, V4, V5).

        Raises
        ------
        ValueError
            A bad argument, an unreadable file, a size of 5 MiB or more.
        KPUModelError
            An ``OSError`` and ``ValueError``: not a model.
        MemoryError
            The model does not fit into memory.
        """
        given = [v for v in (path, offset) if v is not _MISSING]
        source = given[0] if len(given) == 1 else None
        if isinstance(source, bool) or not (isinstance(source, str) or hasattr(source, "__index__")):
            raise ValueError("Load_kmodel need one parameter, path(string) or offset(int)")
        if isinstance(source, str):
            data = read_model_file(source)
            data = data[:size] if size else data
        else:
            source = checked_offset(source, "Model offset error!")
            data = flash_part(source, size)
        if size < 0 or (size or (len(data) if isinstance(source, str) else 1)) >= _MAX_MODEL_BYTES:
            raise KPUArgumentError("Model size error!", argument="size",
                                   hint=f"it must be 1 to {_MAX_MODEL_BYTES - 1} bytes")
        model = _parsed(data, source, "Failed to load model", (3, 4, 5))
        self._adopt(model, source, "Failed to load model", len(data) if isinstance(source, str) else size)
        self._digest, self._old = hashlib.sha256(model.image).digest(), False

    def run(self, img) -> None:
        """Run on one image (section 2.3.2)."""
        if not isinstance(img, image.Image):
            raise TypeError(f"run needs an image.Image, not {type(img).__name__}")
        network = self._loaded("Please load kmodel before", "load")
        network.run_image(self._planes(network, img, KPUImageError))

    def get_outputs(self, index=0) -> list[float]:
        """Output ``index`` of the last run as a flat list."""
        return self._output("Please load/run kmodel before", index).astype(float).tolist()

    def attr(self) -> dict:
        """Model size, name and digest, input and output shape [c, h, w], numbers of helpers (section 2.3.2)."""
        network = self._network
        shapes: dict = {"input": None, "output": None}
        if network is not None:
            shapes = {"input": _chw(network.input_shape), "output": _chw(network.output_shape(0))}
        name = "" if network is None else _source_name(network.source)
        kinds = [type(child).__name__ for child in self._children]
        return {"model": {"size": 0 if network is None else network.model.size, "name": name,
                          "sha256": bytearray(self._digest)},
                "shape": shapes, "child": {"Lpr": kinds.count("Lpr"), "Yolo2": kinds.count("Yolo2")},
                "self": id(self), "parent": None}

    def Yolo2(self) -> Yolo2:
        """A YOLO v2 helper bound to this KPU."""
        return self._helper(Yolo2(self))

    def Lpr(self) -> plates.Lpr:
        """A licence-plate helper bound to this KPU."""
        return self._helper(plates.Lpr(self))

    def _helper(self, child):
        self._children.add(child)
        return child

    # --- common ---------------------------------------------------------------------------------------------------

    def _adopt(self, model, source, failure: str, given_bytes: int) -> None:
        self.deinit()
        try:
            self._network = loading.admit(model, source)
        except loading.Refused as refused:
            if refused.code == 2006:
                raise MemoryError(f"model buffer memory allocation failed -- {refused.hint}") from None
            raise KPUModelError(failure, code=refused.code, source=source, hint=refused.hint) from None
        self._file_bytes = given_bytes or model.size

    def _loaded(self, message: str, method: str) -> Network:
        if self._network is None:
            raise KPURunError(message, code=2008, hint=f"no model is loaded; call {method}() first")
        return self._network

    def _output(self, message: str, index: int = 0) -> np.ndarray:
        """Output of the last run as float32."""
        network = self._loaded(message, "load_kmodel() or load")
        if network.outputs is None:
            raise KPURunError(message, code=2008, source=network.source,
                              hint="the model has not been run yet; call run_with_output() or run() first")
        if isinstance(index, bool) or not hasattr(index, "__index__") or not 0 <= index < len(network.outputs):
            raise KPURunError("Failed to get kpu outputs", code=2011, source=network.source,
                              hint=f"output {index!r} does not exist: the model has the outputs 0 to "
                                   f"{len(network.outputs) - 1}")
        return network.outputs[index].astype(np.float32).reshape(-1)

    def _planes(self, network: Network, given, missing_plane: type) -> np.ndarray:
        if network.input_shape is None:
            raise KPUArgumentError("invalid input", argument="input", hint="the model takes no image")
        if isinstance(given, str):
            return _file_planes(network, given)
        if not isinstance(given, image.Image):
            raise ValueError(f"invalid input -- it must be an image.Image or a path, not {type(given).__name__}")
        if given.pix_ai is None:
            raise missing_plane(_NO_PLANE, expected=network.input_shape, got=(given.width(), given.height(), 0),
                                hint="call img.pix_to_ai() before the run")
        problem = image_problem(network, given)
        strict_old = current_board().strict and self._old
        if problem is not None and not strict_old:
            _raise_image_problem(problem[1], new=not self._old)
        return ai_planes(network, given, missing_plane)


class _OnClassToo:
    """A method that also works on the class, as the document writes it: ``kpu = maix.KPU``, ``kpu.load_kmodel(...)``.

    The class then stands for one object of the current board.
    """

    def __init__(self, function):
        self._function = self.__wrapped__ = function
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __get__(self, instance, owner):
        if instance is not None:
            return types.MethodType(self._function, instance)

        def on_class(*args, **keywords):
            if args and isinstance(args[0], owner):
                return self._function(*args, **keywords)
            shared = current_board().parts.setdefault(f"shared {owner.__name__}", owner())
            return self._function(shared, *args, **keywords)

        return functools.update_wrapper(on_class, self._function)


for _name, _function in list(vars(KPU).items()):
    if isinstance(_function, types.FunctionType) and not _name.startswith("_"):
        setattr(KPU, _name, _OnClassToo(_function))


class ImageRangeError(KPUImageOSError):
    """``maix.KPU.run``: the image size differs; errno is ERANGE (34)."""

    errno = 34


def _raise_image_problem(error: KPUImageError, *, new: bool):
    kind = KPUImageError
    if new and error.expected[:2] != error.got[:2]:
        print(f"model input {error.expected[1]}x{error.expected[0]} but image is {error.got[1]}x{error.got[0]}")
        kind = ImageRangeError
    raise kind("check img format err!", expected=error.expected, got=error.got, hint=error.hint)


def _file_planes(network: Network, path: str) -> np.ndarray:
    width, height, channels = network.image_shape
    data = read_model_file(path)
    if not current_board().strict and data.startswith(_PICTURE_SIGNATURES):
        picture = image.open_picture(data, path)
        if picture.size != (width, height):
            raise KPUImageError("check img format err!", expected=(width, height, channels),
                                got=(*picture.size, channels),
                                hint=f"the picture {path} is {picture.size[0]}x{picture.size[1]} but the model takes "
                                     f"{width}x{height}; resize the file")
        planes = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        return planes[None] if channels == 1 else np.ascontiguousarray(np.moveaxis(planes, -1, 0))
    need = width * height * channels
    if len(data) < need or (len(data) != need and not current_board().strict):
        raise KPUImageError("check img format err!", expected=(width, height, channels), got=(len(data), 1, 1),
                            hint=f"{path} is read as raw planes and has {len(data)} bytes, but the model takes {need} "
                                 f"({channels} planes of {width}x{height})")
    return np.frombuffer(data, np.uint8, need).reshape(channels, height, width)


def _parsed(data: bytes, source, failure: str, versions: tuple[int, ...]):
    try:
        return loading.parse(data, source, versions=versions)
    except loading.Refused as refused:
        raise KPUModelError(failure, code=refused.code, source=source, hint=refused.hint) from refused.__cause__


def _check_yolo(anchors, anchor_num, threshold, nms_value, *sizes) -> None:
    if len(anchors) != 2 * anchor_num or anchor_num < 1:
        raise KPUArgumentError("need input anchor", argument="anchor",
                               hint=f"anchor_num={anchor_num} needs {2 * anchor_num} numbers, but anchor has "
                                    f"{len(anchors)}; use anchor_num=len(anchor)//2")
    for name, value in (("threshold", threshold), ("nms_value", nms_value)):
        if not 0 <= value <= 1:
            raise KPUArgumentError(f"{name} only support 0 to 1", argument=name, hint=f"it is {value}")
    for name, value in zip(("img_w", "img_h", "net_w", "net_h", "layer_w", "layer_h"), sizes, strict=False):
        if value < 1:
            raise KPUArgumentError(f"{name} error", argument=name, hint=f"it is {value} but must be at least 1")
    if sizes[-1] < 0:
        raise KPUArgumentError("classes error", argument="classes", hint=f"it is {sizes[-1]} but must be at least 0")


def _check_count(network: Network, parameters: dict) -> None:
    count = network.model.outputs[0].tensor.count
    channels = len(parameters["anchor"]) // 2 * (BOX_ENTRIES + parameters["classes"])
    if channels * parameters["layer"][0] * parameters["layer"][1] != count:
        raise _count_error(count, parameters)


def _count_error(count: int, parameters: dict) -> KPUArgumentError:
    anchors, (width, height) = len(parameters["anchor"]) // 2, parameters["layer"]
    expected = width * height * anchors * (BOX_ENTRIES + parameters["classes"])
    return KPUArgumentError("region layer init err", argument="layer_w",
                            hint=f"layer_w * layer_h * anchor_num * (5 + classes) = {width} * {height} * {anchors} * "
                                 f"{BOX_ENTRIES + parameters['classes']} = {expected}, but output 0 has {count}")


def _chw(shape: tuple[int, int, int] | None) -> list[int] | None:
    return None if shape is None else [shape[2], shape[1], shape[0]]


def _source_name(source: int | str) -> str:
    return f"flash:0x{source:08X}" if isinstance(source, int) else str(Path(source))
