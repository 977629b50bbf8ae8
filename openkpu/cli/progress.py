# SPDX-License-Identifier: Apache-2.0
"""The progress bar of commands that run a model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..hw.device import Clocked

if TYPE_CHECKING:
    import numpy as np

    from ..hw.device import Device
    from ..kmodel.model import Layer, Model
    from ..runtime import LayerResult


class Clock:
    """How far a device with a clock has come, and how long the rest of the model will take it.

    The rest is estimated by MACs: a layer counts as many cycles as its MACs would have taken so far.
    """

    def __init__(self, model: Model, device: Clocked):
        self._device = device
        self._macs = sum(layer.descriptor.macs * layer.batches for layer in model.kpu_layers)
        self._done = 0
        self._begin = time.monotonic()
        self._first = device.cycles

    def layer_done(self, macs: int) -> None:
        """Note a finished layer."""
        self._done += macs

    def text(self) -> str:
        """Cycles, cycles per second, time left."""
        cycles, seconds = self._device.cycles - self._first, time.monotonic() - self._begin
        if not cycles or not seconds:
            return ""
        left = f", {seconds * (self._macs - self._done) / self._done:.0f} s left" if self._done else ""
        return f"{cycles / 1e6:.2f} M cycles, {cycles / seconds / 1e3:.0f} k/s{left}"


class _ClockColumn(ProgressColumn):
    def __init__(self, clock: Clock):
        super().__init__()
        self._clock = clock

    def render(self, task: Task) -> Text:
        return Text(self._clock.text())


class ProgressHook:
    """A progress bar on standard error, one step per layer; nothing when that is no terminal.

    Parameters
    ----------
    last : the last layer that will run; None is all.
    device : if it counts clock cycles, they are shown too.
    """

    def __init__(self, model: Model, last: int | None = None, device: Device | None = None):
        steps = sum(getattr(layer, "batches", 1) for layer in model.layers[: None if last is None else last + 1])
        terminal = Console(stderr=True)
        self._clock = Clock(model, device) if isinstance(device, Clocked) else None
        columns = [BarColumn(bar_width=10), MofNCompleteColumn(), _ClockColumn(self._clock)] if self._clock else [
            BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        self._progress = Progress(TextColumn("{task.description}"), *columns, console=terminal, transient=True,
                                  disable=not terminal.is_terminal)
        self._task = self._progress.add_task("running", total=steps)

    def __enter__(self) -> ProgressHook:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def layer_started(self, layer: Layer) -> None:
        self._progress.update(self._task, description=f"layer {layer.index} {layer.name}")

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        if self._clock:
            self._clock.layer_done(result.macs)
        self._progress.advance(self._task)
