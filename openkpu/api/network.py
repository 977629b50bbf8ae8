# SPDX-License-Identifier: Apache-2.0
"""A loaded model as both KPU APIs need it: memory accounting, input checks, runs, lifetime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openkpu.api.board.board import current_board
from openkpu.api.errors import CODES, KPUArgumentError, KPUImageError, KPURunError
from openkpu.api.imaging.image import GRAYSCALE, Image
from openkpu.errors import CapacityError, DeviceError, OpenKPUError
from openkpu.kmodel.model import KpuConv, Model
from openkpu.runtime.session import Session as RuntimeSession


@dataclass(frozen=True)
class Streaming:
    """How ``load_flash`` was told to fetch the weights (spec/driver-api.md 1.3)."""

    address: int
    dual: bool
    batch_size: int
    spi_hz: int


class Network:
    """A model on the board's device.

    ``streaming`` is set by ``load_flash``: on a back end with a flash controller the weights then stay in flash.

    Parameters
    ----------
    model : the checked model.
    source : flash address or path, for messages.
    resident_bytes : system heap it takes; default the model's own bytes plus its main memory.
    """

    def __init__(self, model: Model, source: int | str, resident_bytes: int | None = None):
        self.board = current_board()
        self._model: Model | None = model
        self.source = source
        self.heap_bytes = model.size + model.main_memory if resident_bytes is None else resident_bytes
        self.outputs: list[np.ndarray] | None = None
        self.streaming: Streaming | None = None
        self._runtime: RuntimeSession | None = None
        self.board.nets.add(self)

    @property
    def released(self) -> bool:
        """Whether ``release`` was called."""
        return self._model is None

    def release(self) -> None:
        """Free model and buffers; twice is harmless."""
        self._model = self._runtime = self.outputs = None
        self.heap_bytes = 0
        self.board.nets.discard(self)

    def require(self, argument: str) -> Model:
        """The model; ``KPUArgumentError`` after ``release``."""
        if self._model is None:
            raise KPUArgumentError("[MAIXPY]kpu: model was released", argument=argument,
                                   hint=f"the model from {where(self.source)} was freed by deinit(); load it again")
        return self._model

    @property
    def model(self) -> Model:
        """The model; ``KPUArgumentError`` after ``release``."""
        return self.require("kpu_net")

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """(width, height, channels) of the image input, or None if the model takes no image."""
        shape = self.model.inputs[0].shape
        if len(self.model.inputs) != 1 or len(shape) != 4 or shape[0] != 1:
            return None
        return shape[3], shape[2], shape[1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(width, height, channels) of the image input; ``KPUArgumentError`` if the model takes no image."""
        shape = self.input_shape
        if shape is None:
            raise KPUArgumentError("[MAIXPY]kpu: first layer not conv layer!\r\n", argument="img",
                                   hint=f"the model from {where(self.source)} takes no image")
        return shape

    def output_shape(self, index: int) -> tuple[int, int, int] | None:
        """(width, height, channels) of an output as the file states it, or None."""
        shape = self.model.outputs[index].map_shape
        if shape is None and self.model.version == 5:
            dims = self.model.outputs[index].shape
            shape = (dims[1], dims[2], dims[3]) if len(dims) == 4 and dims[0] == 1 else None
        return shape and (shape[2], shape[1], shape[0])

    def run_image(self, planes: np.ndarray, end_layer: int | None = None) -> list[np.ndarray]:
        """Run on AI-plane bytes (C, H, W uint8) that have passed ``check_image``."""
        spec = self.model.inputs[0]
        if spec.dtype != np.uint8:
            self.board.warn_once(f"float:{self.source}", f"{where(self.source)} takes {spec.dtype} numbers; it gets "
                                 "the codes 0 to 255, give KPU.forward a list if it was trained on others")
        return self._run(planes.reshape(spec.shape).astype(spec.dtype), end_layer)

    def run_values(self, values, end_layer: int | None = None) -> list[np.ndarray]:
        """Run on numbers, flat or shaped, in (c, y, x) order."""
        spec = self.model.inputs[0]
        array = np.asarray(values, np.float32)
        if array.size == 0:
            raise ValueError("[MAIXPY]kpu: check input list format err!\r\n")
        if array.size != spec.tensor.count:
            raise KPUArgumentError("[MAIXPY]kpu: check input list format err!\r\n", argument="img",
                                   hint=f"the list has {array.size} numbers, the model takes {spec.tensor.count} "
                                        f"(shape {list(spec.shape)})")
        if spec.dtype == np.uint8 and not np.array_equal(array, np.clip(np.trunc(array), 0, 255)):
            raise KPUArgumentError("[MAIXPY]kpu: check input list format err!\r\n", argument="img",
                                   hint="the model takes whole numbers from 0 to 255")
        return self._run(array.reshape(spec.shape).astype(spec.dtype), end_layer)

    def _run(self, array: np.ndarray, end_layer: int | None) -> list[np.ndarray]:
        with self.board.uninterrupted():
            return self._run_alone(array, end_layer)

    def _run_alone(self, array: np.ndarray, end_layer: int | None) -> list[np.ndarray]:
        try:
            if self._runtime is None:
                self._runtime = self._place()
            self.outputs = None
            outputs = self._runtime.run([array], end_layer=end_layer)
        except CapacityError as error:
            raise KPURunError(CODES[2006][1], code=2006, source=self.source, hint=str(error)) from error
        except DeviceError as error:
            raise KPURunError(CODES[2008][1], code=2008, source=self.source, hint=str(error)) from error
        except OpenKPUError as error:
            raise KPURunError(CODES[2015][1], code=2015, source=self.source, hint=str(error)) from error
        self.board.count_run(self._runtime.cycles)
        if end_layer is None:
            self.outputs = outputs
        return outputs

    def _place(self) -> RuntimeSession:
        chip = self.board.flash_controller
        if self.streaming is None or chip is None:
            return RuntimeSession(self.model, self.board.device)
        from openkpu.runtime.streaming import FlashSession

        chip.configure(chip.lanes, self.streaming.spi_hz)
        return FlashSession(self.model, self.board.device, chip, self.streaming.address, dual=self.streaming.dual,
                            batch_size=self.streaming.batch_size)

    def outputs_of_run(self) -> list[np.ndarray]:
        """The outputs of the last whole run."""
        if self.outputs is None:
            raise KPURunError("get_output err", code=2008, source=self.source,
                              hint="the net has not been run to its end yet; call forward() or run_yolo2() first")
        return self.outputs

    def layer_output(self, index: int) -> np.ndarray:
        """First output of layer ``index``, right after a run that ended there."""
        if self._runtime is None:
            raise KPURunError(CODES[2008][1], code=2008, source=self.source, hint="the net has not been run yet")
        return self._runtime.layer_output(index)

    def first_convolution(self) -> KpuConv | None:
        """The first layer if it is a KPU convolution."""
        first = self.model.layers[0]
        return first if isinstance(first, KpuConv) else None


def where(source: int | str) -> str:
    """A flash address in hex, or the path."""
    return f"flash address {source:#x}" if isinstance(source, int) else str(source)


def image_problem(network: Network, image: Image) -> tuple[str, KPUImageError] | None:
    """The console line of the firmware and the exception for an image that has an AI plane but does not suit the model.

    Returns None if it suits.
    """
    expected = network.image_shape
    gray = image.format() == GRAYSCALE
    got = (image.width(), image.height(), 1 if gray else 3)
    if got[:2] != expected[:2]:
        line = f"[MAIXPY]kpu: img w={got[0]},h={got[1]}, but model w={expected[0]},h={expected[1]}"
        hint = (f"the image is {got[0]}x{got[1]} but the model takes {expected[0]}x{expected[1]}; use "
                f"img.resize({expected[0]}, {expected[1]}) and then pix_to_ai(), or "
                f"sensor.set_windowing(({expected[0]}, {expected[1]}))")
    elif got[2] != expected[2] and gray:
        line = f"[MAIXPY]kpu: grayscale img, but model channel={expected[2]}"
        hint = "the image is GRAYSCALE but the model takes colour; use sensor.RGB565 or to_rgb565() and pix_to_ai()"
    elif got[2] != expected[2]:
        line = f"[MAIXPY]kpu: RGB img, but model channel={expected[2]}"
        hint = (f"the image is RGB565 but the model takes {expected[2]} channel"
                f"{'s' if expected[2] > 1 else '; use to_grayscale() and then pix_to_ai()'}")
    else:
        return None
    return line, KPUImageError("[MAIXPY]kpu: check img format err!\r\n", expected=expected, got=got, hint=hint)


def ai_planes(network: Network, image: Image, error: type[KPUImageError] = KPUImageError) -> np.ndarray:
    """The first planes of the image's AI plane, as many as the model has channels.

    Raises
    ------
    KPUImageError
        (``error``) The plane is smaller than that, because the image changed after ``pix_to_ai``.
    """
    width, height, channels = expected = network.image_shape
    plane = image.pix_ai
    if plane is None:
        raise error("[MAIXPY]kpu: check img format err!\r\n", expected=expected, got=(image.width(), image.height(), 0),
                    hint="the image has no AI plane; call pix_to_ai() before the run")
    flat = plane.reshape(-1)[:width * height * channels]
    if flat.size < width * height * channels:
        planes, rows, columns = plane.shape
        raise error("[MAIXPY]kpu: check img format err!\r\n", expected=expected, got=(columns, rows, planes),
                    hint=f"the AI plane is {columns}x{rows} with {planes} channels, the model takes {width}x{height} "
                         f"with {channels}; call pix_to_ai() after changing the image")
    return flat.reshape(channels, height, width)
