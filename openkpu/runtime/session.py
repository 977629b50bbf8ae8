# SPDX-License-Identifier: Apache-2.0
"""A loaded model on a device: load once, run many times."""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakKeyDictionary, ref

import numpy as np

from ..drivers.kpu import Figures, KpuDriver
from ..errors import CapacityError, DeviceError, InputError, ModelError, UsageError
from ..hw.check import descriptor_errors
from ..hw.descriptor import Descriptor
from ..hw.device import Device, one_at_a_time
from ..kmodel.model import KPU_POOL, KpuConv, KpuDownload, KpuUpload, Layer, Model, Tensor, TensorSpec
from ..kmodel.v3.ops import AddPadding
from .kernels import CHIP_KERNELS, FUSED_KERNELS, KERNELS


@dataclass(frozen=True)
class LayerResult:
    """What one executed step did. A KPU layer with a batch gives one result per batch element.

    Attributes
    ----------
    index : number of the layer in the model.
    name : the format's own name of the operator.
    where : "kpu" or "host".
    in_shape, out_shape : shapes of the first input and output.
    macs : multiply-accumulates (KPU layers; 0 on the host).
    crc32 : zlib.crc32 of the packed C,H,W output bytes; None on the host.
    seconds : wall-clock time.
    cycles : KPU clock cycles; None if the device does not count.
    figures : what those cycles were spent on; None if the device does not count.
    """

    index: int
    name: str
    where: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    macs: int
    crc32: int | None
    seconds: float
    cycles: int | None
    figures: Figures | None = None


class Hook(Protocol):
    """Observer of a run. ``output`` is the step's first output: uint8 (C, H, W) for a KPU layer."""

    def layer_started(self, layer: Layer) -> None: ...

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None: ...


def _first_kpu_layers(layers: Sequence[Layer]) -> list[KpuConv]:
    chain = []
    for layer in layers:
        if not isinstance(layer, KpuConv):
            break
        chain.append(layer)
    return chain


_placed: WeakKeyDictionary[Device, ref[Session]] = WeakKeyDictionary()


class Session:
    """A model placed on a device.

    ``cycles`` holds the KPU clock cycles of the last run, None if the device does not count.

    Several sessions may share a device: a session that finds another one's parameters in the SRAM places its own
    again before it runs. Threads may share a session, or sessions that share a device: runs happen one after another.

    Parameters
    ----------
    model : from ``openkpu.kmodel``.
    device : any back end; the caller closes it.
    chip_rounding : round halves in v4 and v5 quantize operators as the K210's own runtimes do. The default does it as
        the vendor's simulators do (spec 4.5, 5.7); the results differ by one step in rare ties.

    Raises
    ------
    CapacityError
        A layer or the parameters do not fit the device; nothing has run.
    """

    def __init__(self, model: Model, device: Device, chip_rounding: bool = False):
        self.model = model
        self.device = device
        self._kernels = (KERNELS | (FUSED_KERNELS if model.fused_multiply_add else {})
                         | (CHIP_KERNELS if chip_rounding else {}))
        self.cycles: int | None = None
        self.memory = {name: np.zeros(pool.size, np.uint8) if pool.data is None else pool.data
                       for name, pool in model.pools.items()}
        self._place()
        self._check()

    def _place(self) -> None:
        """Put the parameters into the device's SRAM and aim the descriptors at them."""
        self.driver = KpuDriver(self.device)
        self._descriptors: dict[int, list[Descriptor]] = {}
        for layer in self.model.kpu_layers:
            act, bn, weights = map(self.driver.place, (layer.activation, layer.batch_norm, layer.weights))
            self._descriptors[layer.index] = [
                replace(layer.descriptor, active_addr=act, bwsx_base_addr=bn, para_start_addr=weights,
                        image_src_addr=source.base, image_dst_addr=target.base)
                for source, target in zip(layer.input.layouts, layer.kpu_out.layouts, strict=True)]
        self._claim_device()

    def _claim_device(self) -> None:
        """Note that the parameters in the device's SRAM are this session's."""
        _placed[self.device] = ref(self)

    def _check(self) -> None:
        for layer in self.model.kpu_layers:
            for d in self._descriptors[layer.index]:
                for error in descriptor_errors(d, self.device.config, layer.eight_bit):
                    raise CapacityError(f"layer {layer.index} ({layer.name}) of {self.model.source} does not run on "
                                        f"the KPU configuration '{self.device.config.name}': {error.reason}")

    def _repr_html_(self) -> str:
        """For notebooks."""
        from ..kmodel.display import model_html, paragraph

        config = self.device.config
        ran = "" if self.cycles is None else f", {self.cycles:,} KPU cycles in the last run"
        return paragraph(f"Session on '{self.device.name}' ('{config.name}', {config.pes} processing elements), "
                         f"{self.parameter_bytes:,} bytes of parameters{ran}") + model_html(self.model)

    @property
    def lock(self) -> AbstractContextManager:
        """The device's lock, held during a run. Hold it to keep ``cycles`` and ``layer_output`` those of your run."""
        return self.device.lock

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the device's SRAM that hold weights and tables."""
        return self.driver.sram_used

    @one_at_a_time
    def run(self, inputs: Sequence[np.ndarray], hooks: Iterable[Hook] = (),
            end_layer: int | None = None) -> list[np.ndarray]:
        """Execute the model.

        Parameters
        ----------
        inputs : one array per model input, with the model's dtype and (up to dimensions of 1) its shape.
        hooks : told about every layer.
        end_layer : last layer to execute (None: all). ``layer_output`` then gives its result.

        Returns
        -------
        One array per model output (copies). With ``end_layer`` those that are not computed yet hold zeros.

        Raises
        ------
        InputError, UsageError, DeviceError
        """
        layers = self.layers_up_to(end_layer)
        arrays = [checked_input(spec, array) for spec, array in self._paired(inputs)]
        hooks = tuple(hooks)
        self.cycles = None
        found = _placed.get(self.device)
        if found is None or found() is not self:
            self._place()
        for name, pool in self.model.pools.items():
            if pool.data is None:
                self.memory[name][:] = 0
        self.driver.start(self.model.eight_bit)
        for spec, array in zip(self.model.inputs, arrays, strict=True):
            self.store(spec.tensor, array)
        self._ahead = deque((layer, d) for layer in layers if isinstance(layer, KpuConv)
                            for d in self._descriptors[layer.index])
        self.driver.begin_chain()
        position = 0
        try:
            while position < len(layers):
                chain = _first_kpu_layers(layers[position:])
                if chain:
                    self._run_chain(chain, hooks)
                else:
                    for hook in hooks:
                        hook.layer_started(layers[position])
                    self._run_host(layers[position], hooks)
                position += len(chain) or 1
        except BaseException:
            self.driver.abandon()
            _placed.pop(self.device, None)
            raise
        return [self.fetch(spec.tensor) for spec in self.model.outputs]

    def layers_up_to(self, end_layer: int | None) -> tuple[Layer, ...]:
        """The layers a run executes; UsageError if there is no layer ``end_layer``."""
        count = len(self.model.layers)
        if end_layer is None:
            return self.model.layers
        if not 0 <= end_layer < count:
            raise UsageError(f"layer {end_layer} does not exist: {self.model.source} has the layers 0 to {count - 1}")
        return self.model.layers[: end_layer + 1]

    def _paired(self, inputs: Sequence[np.ndarray]) -> zip:
        if len(inputs) != len(self.model.inputs):
            raise InputError(f"{self.model.source} takes {len(self.model.inputs)} inputs, not {len(inputs)}")
        return zip(self.model.inputs, inputs, strict=True)

    @one_at_a_time
    def layer_output(self, index: int) -> np.ndarray:
        """The first output of layer ``index``, valid right after a run that ended there; a copy.

        KPU layers give uint8 (N, C, H, W).
        """
        layer = self.layers_up_to(index)[-1]
        if isinstance(layer, KpuConv) and layer.main_out is not None:
            return self.fetch(layer.main_out).reshape(layer.kpu_out.shape)
        return self.fetch(layer.outputs[0])

    def store(self, tensor: Tensor, array: np.ndarray) -> None:
        """Write a dense array to where a tensor lives, in host memory or in the AI RAM."""
        if tensor.pool == KPU_POOL:
            self.driver.upload(tensor.layouts, array.reshape(tensor.shape))
        else:
            tensor.view(self.memory[tensor.pool])[...] = array.reshape(tensor.shape)

    def fetch(self, tensor: Tensor) -> np.ndarray:
        """A dense copy of a tensor in host memory or in the AI RAM."""
        if tensor.pool == KPU_POOL:
            return self.driver.download(tensor.layouts)
        return tensor.view(self.memory[tensor.pool]).copy()

    def _run_chain(self, chain: Sequence[KpuConv], hooks: tuple[Hook, ...]) -> None:
        """Run neighbouring KPU layers."""
        for layer in chain:
            for hook in hooks:
                hook.layer_started(layer)
            self._run_kpu(layer, hooks)

    def _run_kpu(self, layer: KpuConv, hooks: tuple[Hook, ...]) -> None:
        """Run one layer. The next one, also behind host operators, is queued already: its parameters come in time."""
        outputs = []
        for d, target in zip(self._descriptors[layer.index], layer.kpu_out.layouts, strict=True):
            begin = time.perf_counter()
            while self._ahead and self.driver.room:
                following, descriptor = self._ahead.popleft()
                self.driver.push(descriptor, following.stream)
            streamed = layer.main_out.nbytes if layer.stream and layer.main_out is not None else 0
            try:
                data, figures = self.driver.finish(d, streamed)
            except DeviceError as error:
                raise type(error)(f"layer {layer.index} ({layer.name}): {error}") from error
            cycles = None if figures is None else figures.cycles
            if cycles is not None:
                self.cycles = (self.cycles or 0) + cycles
            if layer.stream:
                output = np.frombuffer(data, np.uint8).reshape(d.out_shape)
            elif hooks or layer.main_out is not None:
                output = self.driver.download((target,), observe=layer.main_out is None)[0]
            else:
                continue
            outputs.append(output)
            seconds = time.perf_counter() - begin
            if hooks:
                result = LayerResult(layer.index, layer.name, "kpu", d.in_shape, d.out_shape, d.macs,
                                     zlib.crc32(np.ascontiguousarray(output).data), seconds, cycles, figures)
                for hook in hooks:
                    hook.layer_done(result, output)
        if layer.main_out is not None:
            self.store(layer.main_out, np.stack(outputs))

    def _run_host(self, layer: Layer, hooks: tuple[Hook, ...]) -> None:
        begin = time.perf_counter()
        if isinstance(layer, KpuUpload | KpuDownload):
            self.store(layer.out, self.fetch(layer.input))
        elif isinstance(layer, AddPadding):
            self.driver.poke(layer.out.layouts[0], self.fetch(layer.input))
        else:
            self._run_kernel(layer)
        seconds = time.perf_counter() - begin
        if hooks:
            first = layer.inputs[0].shape if layer.inputs else ()
            result = LayerResult(layer.index, layer.name, "host", first, layer.outputs[0].shape, 0, None, seconds, None)
            output = self.fetch(layer.outputs[0])
            for hook in hooks:
                hook.layer_done(result, output)

    def _run_kernel(self, layer: Layer) -> None:
        arrays = [tensor.view(self.memory[tensor.pool]) for tensor in layer.inputs]
        with np.errstate(all="ignore"):  # infinities and NaNs are legal results, as in C
            results = self._kernels[type(layer)](layer, *arrays)
        if not isinstance(results, tuple):
            results = (results,)
        for tensor, result in zip(layer.outputs, results, strict=True):
            if result.size != tensor.count:
                raise ModelError(f"layer {layer.index} ({layer.name}) of {self.model.source} gives the shape "
                                 f"{result.shape} where the file expects {tensor.shape}; the model is damaged")
            # reshape may return a view of an input; assignment copes with overlapping memory.
            tensor.view(self.memory[tensor.pool])[...] = result.reshape(tensor.shape)


def checked_input(spec: TensorSpec, array: np.ndarray) -> np.ndarray:
    """The array, dense and in the input's shape; InputError naming what differs."""
    squeezed = [n for n in spec.shape if n != 1]
    if [n for n in array.shape if n != 1] != squeezed:
        raise InputError(f"input {spec.index} has the shape {list(array.shape)}, "
                         f"but the model takes {list(spec.shape)}")
    if array.dtype != spec.dtype:
        raise InputError(f"input {spec.index} is {array.dtype}, but the model takes {spec.dtype}; convert it with "
                         f".astype(numpy.{spec.dtype})")
    return np.ascontiguousarray(array).reshape(spec.shape)
