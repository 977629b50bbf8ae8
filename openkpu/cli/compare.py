# SPDX-License-Identifier: Apache-2.0
"""openkpu compare: the RTL and the golden model side by side."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from ..devices.build import trace_format
from ..devices.functional import FunctionalDevice
from ..devices.native import NativeDevice
from ..errors import DeviceError
from ..hw.configs import config_named
from ..hw.device import Device
from ..hw.fields import AIRAM_BASE, ROW_BYTES
from ..inputs import prepare_inputs
from ..kmodel import Layer, Model
from ..runtime import LayerResult, Session
from .options import FILE, FITS, config_option, model_argument, say
from .progress import ProgressHook


@dataclass(frozen=True)
class Step:
    """What one step leaves behind: its output map and a checksum of the whole AI RAM."""

    result: LayerResult
    output: np.ndarray
    airam: int


class Witness:
    """Hook that keeps every step of the golden model."""

    def __init__(self, device: Device):
        self.steps: list[Step] = []
        self._device = device

    def layer_started(self, layer: Layer) -> None:
        pass

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        self.steps.append(Step(result, output.copy(), zlib.crc32(airam(self._device))))


class Comparer:
    """Hook that stops the RTL's run at the first step that differs from the witness."""

    def __init__(self, steps: list[Step], device: NativeDevice, trace: tuple[int, Path] | None):
        self.count = 0
        self._steps, self._device, self._trace = steps, device, trace

    def layer_started(self, layer: Layer) -> None:
        if self._trace and layer.index == self._trace[0]:
            self._trace[1].parent.mkdir(parents=True, exist_ok=True)
            self._device.trace(self._trace[1])

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        if self._trace and result.index == self._trace[0]:
            self._device.trace(None)
        golden = self._steps[self.count]
        difference(f"layer {result.index} ({result.name})", output, golden.output)
        if zlib.crc32(airam(self._device)) != golden.airam:
            raise RamDiffers(result.index)
        self.count += 1


class RamDiffers(DeviceError):
    """The output of layer ``index`` is right, but other bytes of the AI RAM are not."""

    def __init__(self, index: int):
        super().__init__(f"layer {index}: bytes of the AI RAM outside the output map differ")
        self.index = index


def airam(device: Device) -> bytes:
    """The whole AI RAM, without disturbing the device."""
    return device.peek_memory(AIRAM_BASE, device.config.airam_bytes)


def difference(where: str, rtl: np.ndarray, golden: np.ndarray) -> None:
    """DeviceError naming the first element that differs, with both values; NaNs are equal to NaNs."""
    same = rtl == golden
    if rtl.dtype.kind == "f":
        same |= np.isnan(rtl) & np.isnan(golden)
    if same.all():
        return
    first = tuple(int(i) for i in np.argwhere(~same)[0])
    names = ("channel", "row", "column")[-rtl.ndim:] if rtl.ndim <= 3 else [f"axis {n}" for n in range(rtl.ndim)]
    place = ", ".join(f"{name} {i}" for name, i in zip(names, first, strict=True))
    raise DeviceError(f"{where}: {np.count_nonzero(~same)} of {same.size} values differ; the first is {place}: "
                      f"{rtl[first]} on the RTL, {golden[first]} in the golden model")


def ram_difference(error: RamDiffers, rtl: bytes, golden: bytes) -> str:
    """A sentence with the first byte of the AI RAM that differs."""
    got, wanted = np.frombuffer(rtl, np.uint8), np.frombuffer(golden, np.uint8)
    wrong = np.flatnonzero(got != wanted)
    first = int(wrong[0])
    return (f"{error}: {len(wrong)} bytes, the first is byte {first % ROW_BYTES} of row {first // ROW_BYTES}: "
            f"{got[first]} on the RTL, {wanted[first]} in the golden model")


@click.command()
@model_argument
@click.argument("inputs", type=FILE, nargs=-1, required=True, metavar="INPUT...")
@click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
              help="How a picture is brought to the model's size.")
@config_option
@click.option("--trace", "traced", type=int, metavar="LAYER", help="Write a waveform of just this layer.")
@click.option("--out", type=FILE, default="out", show_default=True, help="Folder of the waveform.")
def compare(loaded: Model, inputs: tuple[Path, ...], fit: str, config: str,
            traced: int | None, out: Path) -> None:
    """Run MODEL on INPUT on the RTL and on the golden model.

    Compares every layer's output, the whole AI RAM after every layer, and the outputs. Ends with exit code 5 at the
    first value that differs: layer, channel, row, column and both values.
    """
    core = config_named(config)
    arrays = [p.array for p in prepare_inputs(loaded, inputs, fit)]
    golden_device = FunctionalDevice(core)
    golden = Session(loaded, golden_device)
    trace = None
    if traced is not None:
        golden.layers_up_to(traced)
        trace = traced, out / f"layer_{traced}.{trace_format()}"
    witness = Witness(golden_device)
    expected = golden.run(arrays, hooks=(witness,))
    device = NativeDevice(core, traces=traced is not None)
    comparer = Comparer(witness.steps, device, trace)
    try:
        with ProgressHook(loaded, device=device) as progress:
            outputs = Session(loaded, device).run(arrays, hooks=(progress, comparer))
    except RamDiffers as error:
        # The golden device's AI RAM is that after the last layer by now.
        golden_device = FunctionalDevice(core)
        device.reset()
        for again in (device, golden_device):
            Session(loaded, again).run(arrays, end_layer=error.index)
        raise DeviceError(ram_difference(error, airam(device), airam(golden_device))) from error
    finally:
        if trace and trace[1].exists():
            say(f"waveform of layer {traced}: {trace[1]}")
        device.close()
    for k, (rtl, wanted) in enumerate(zip(outputs, expected, strict=True)):
        difference(f"output {k}", rtl, wanted)
    say(f"{loaded.source}: RTL ('{core.name}') and golden model agree in {comparer.count} layers, the AI RAM after "
        f"each of them, and {len(outputs)} outputs")
