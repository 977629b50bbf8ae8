# SPDX-License-Identifier: Apache-2.0
"""``KPU.forward`` and the rules for nets, inputs and outputs that the module's functions share (section 1.4, 1.7)."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from openkpu.api.errors import CODES, KPUArgumentError, KPUImageError, KPURunError
from openkpu.api.imaging import image
from openkpu.api.maixpy.fmap import kpu_fmap
from openkpu.api.maixpy.netinfo import NOT_DUMPED, TYPE_NUMBERS, TYPECODES
from openkpu.api.maixpy.objects import kpu_net
from openkpu.api.network import Network, ai_planes, image_problem
from openkpu.api.network import where as place
from openkpu.kmodel.model import KpuConv


def forward(kpu_net, img, *layer, out_index=None, end_layer=None, dma=-1, **ignored_keywords) -> kpu_fmap:
    """Run a net and return one map (section 1.7).

    ``forward(net, img)`` gives output 0; ``forward(net, img, k)`` computes layers 0...k and gives the map of layer k
    (with ``K210_FORWARD3=out_index``: output k); ``out_index=`` gives that output.

    Parameters
    ----------
    img : ``image.Image`` with AI plane, or a sequence of numbers for a model without image input.
    """
    network = network_of(kpu_net)
    if layer and layer[0] is not None:
        if end_layer is not None or out_index is not None:
            raise TypeError("forward takes one of end_layer and out_index, not both")
        if network.board.settings.forward3 == "end_layer":
            end_layer = layer[0]
        else:
            out_index = layer[0]
    if end_layer is not None and out_index is not None:
        raise TypeError("forward takes one of end_layer and out_index, not both")
    if end_layer is None and out_index is None and kpu_net._layers:
        end_layer = kpu_net._layers - 1
    if end_layer is not None:
        end_layer = _checked_layer(network, end_layer, "end_layer")
        refuse_undumpable(network, end_layer, KPURunError)
    else:
        out_index = checked_output(network, out_index or 0, "sipeed_kpu_get_output err")
        require_outputs(kpu_net)
    if isinstance(img, image.Image):
        planes = image_planes(network, img)
        network.run_image(planes, end_layer)
    elif _is_sequence(img):
        network.run_values(img, end_layer)
    else:
        raise ValueError(f"input not support -- forward takes an image.Image or numbers, not {type(img).__name__}")
    kpu_net._last = None if end_layer is None else _layer_map(network, end_layer)
    return output_map(kpu_net, out_index) if end_layer is None else _layer_map(network, end_layer)


def _checked_layer(network: Network, layer, argument: str) -> int:
    count = len(network.model.layers)
    if not is_int(layer) or not 0 <= layer < count:
        raise KPUArgumentError(f"[MAIXPY]kpu: {argument} is {layer!r}", argument=argument,
                               hint=f"the model has the layers 0 to {count - 1}")
    return operator.index(layer)


def refuse_undumpable(network: Network, index: int, error: type) -> None:
    layer = network.model.layers[index]
    kind = TYPE_NUMBERS.get(layer.name)
    if network.model.version == 3 and kind in NOT_DUMPED:
        line = f"{NOT_DUMPED[kind].removeprefix('KL_')}"
        text = f"KL_{line} not support output to mainbuf!"
        print(text)
        hint = f"layer {index} is a {layer.name}, whose result cannot be read; choose another layer"
        if error is KPURunError:
            raise KPURunError(text, code=2014, source=network.source, hint=hint)
        raise KPUArgumentError(text, argument="n", hint=hint)


def checked_output(network: Network, index, text: str) -> int:
    count = len(network.model.outputs)
    if not is_int(index) or not 0 <= index < count:
        raise KPURunError(text, code=2011, source=network.source,
                          hint=f"output {index} does not exist: the model has the outputs 0 to {count - 1}")
    return operator.index(index)


def _layer_map(network: Network, index: int) -> kpu_fmap:
    data = network.layer_output(index)
    layer = network.model.layers[index]
    if isinstance(layer, KpuConv):
        return kpu_fmap(data[0], index)
    return _flat_map(network, data, index, TYPECODES.get(TYPE_NUMBERS.get(layer.name, -1), ""))


def _flat_map(network: Network, data: np.ndarray, index: int, typecode: str) -> kpu_fmap:
    kind = np.uint8 if typecode == "B" or (not typecode and data.dtype == np.uint8) else np.float32
    flat = data.reshape(1, 1, -1).astype(kind)
    return kpu_fmap(flat, index, flat.nbytes if network.board.strict else None)


def output_map(net: kpu_net, index: int) -> kpu_fmap:
    network = net._network
    data = network.outputs_of_run()[index]
    last = len(network.model.layers) - 1
    shape = output_shape(net, index) if network.model.version != 3 else None
    if shape is None:
        return _flat_map(network, data, last, "f")
    width, height, channels = shape
    return kpu_fmap(data.astype(np.float32).reshape(channels, height, width), last)


def output_shape(net: kpu_net, index: int) -> tuple[int, int, int] | None:
    return net._shapes.get(index) or net._network.output_shape(index)


def require_outputs(net: kpu_net) -> None:
    network = net._network
    if network.model.version == 3:
        return
    for index, spec in enumerate(network.model.outputs):
        known = net._shapes.get(index) if network.board.strict else output_shape(net, index)
        if known is None:
            raise KPURunError(CODES[2013][1], code=2013, source=network.source,
                              hint=f"output {index} has {spec.tensor.count} numbers; call kpu.set_outputs(net, "
                                   f"{index}, width, height, channel) with that product, for a flat output (1, 1, "
                                   f"{spec.tensor.count})")


def network_of(net) -> Network:
    if not is_net(net):
        raise TypeError("[MAIXPY]kpu: kpu_net type error")
    net._network.require("kpu_net")
    return net._network


def is_net(value) -> bool:
    return isinstance(value, kpu_net)


def is_int(value) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, (bool, np.bool_))


def _is_sequence(value) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))


def sequence(value, name: str):
    if not _is_sequence(value):
        raise TypeError(f"{name} must be a list or tuple, not {type(value).__name__}")
    return value


def image_planes(network: Network, img) -> np.ndarray:
    """AI plane of an image that passes the input rule (section 1.4)."""
    if not isinstance(img, image.Image):
        raise TypeError(f"[MAIXPY]kpu: the input must be an image.Image, not {type(img).__name__}")
    if network.input_shape is None or (network.model.version == 3 and network.first_convolution() is None):
        raise KPUArgumentError("[MAIXPY]kpu: first layer not conv layer!\r\n", argument="img",
                               hint=f"the model from {place(network.source)} takes no image; pass a list of numbers")
    board = network.board
    if img.pix_ai is None:
        if board.strict:
            print("[MAIXPY]kpu: pix_ai is NULL!")
            raise KPUImageError("[MAIXPY]kpu: check img format err!\r\n", expected=network.input_shape,
                                got=(img.width(), img.height(), 0), hint="the image has no AI plane; call pix_to_ai()")
        board.warn_once("pix_ai", "the image has no AI plane; pix_to_ai() was called for it")
        img.pix_to_ai()
    problem = image_problem(network, img)
    if problem is not None:
        print(problem[0])
        raise problem[1]
    return ai_planes(network, img)
