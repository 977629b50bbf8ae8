# SPDX-License-Identifier: Apache-2.0
"""A waveform of one layer: what comes before is computed by the golden model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..devices.build import trace_format
from ..devices.functional import FunctionalDevice
from ..devices.native import NativeDevice
from ..errors import UsageError
from ..hw.device import KpuConfig
from ..kmodel import KpuConv, Layer, Model
from ..runtime import LayerResult, Session
from ..runtime.parts import live, part


class _Maps:
    """Hook that fetches what a layer and those behind it read, before it runs."""

    def __init__(self, session: Session, first: int, last: int):
        self.maps: list[np.ndarray] = []
        self._session, self._first = session, first
        self._tensors = live(session.model, first, last)

    def layer_started(self, layer: Layer) -> None:
        if layer.index == self._first:
            self.maps = [self._session.fetch(tensor) for tensor in self._tensors]

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        pass


class _Tracer:
    """Hook that writes the waveform while the layer runs, and keeps its result."""

    def __init__(self, device: NativeDevice, layer: int, file: Path):
        self.results: list[LayerResult] = []
        self._device, self._layer, self._file = device, layer, file

    def layer_started(self, layer: Layer) -> None:
        if layer.index == self._layer:
            self._device.trace(self._file)

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        if result.index == self._layer:
            self.results.append(result)


def trace(model: Model, inputs: Sequence[np.ndarray], layer: int, config: KpuConfig, folder: Path,
          started: Callable[[NativeDevice], None] = lambda device: None) -> tuple[Path, LayerResult]:
    """Run one layer on the RTL with a waveform of all its signals.

    The KPU layer before it, if there is one, runs in the RTL, too, without a waveform: while it does, the layer's
    parameters come, as in a whole run.

    Parameters
    ----------
    folder : gets ``layer_<N>.fst`` (``.vcd`` where Verilator cannot write FST).

    Returns
    -------
    The file, and what the layer took (of a batch, its first map).

    Raises
    ------
    UsageError
        There is no such layer, or it does not run on the KPU.
    DeviceError
        The simulator cannot be built, or the waveform not be written.
    """
    chosen = Session(model, FunctionalDevice(config)).layers_up_to(layer)[-1]
    if not isinstance(chosen, KpuConv):
        raise UsageError(f"layer {layer} ({chosen.name}) of {model.source} runs on the host; layers on the KPU are "
                         f"{', '.join(str(k.index) for k in model.kpu_layers) or 'none'}")
    first = layer - 1 if layer and isinstance(model.layers[layer - 1], KpuConv) else layer
    golden = Session(model, FunctionalDevice(config))
    keeper = _Maps(golden, first, layer)
    golden.run(inputs, hooks=(keeper,), end_layer=layer)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"layer_{layer}.{trace_format()}"
    unfinished = folder / f".{name}.{os.getpid()}"
    device = NativeDevice(config, traces=True)
    try:
        started(device)
        tracer = _Tracer(device, layer, unfinished)
        Session(part(model, first, layer), device).run(keeper.maps, hooks=(tracer,))
        device.trace(None)
        unfinished.replace(folder / name)
    finally:
        device.close()
        with suppress(OSError):
            unfinished.unlink()
    return folder / name, tracer.results[0]
