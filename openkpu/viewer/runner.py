# SPDX-License-Identifier: Apache-2.0
"""Runs a model as far as somebody wants to look, on the newest picture, and keeps the maps on the way."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError, OpenKPUError
from ..hw.device import Device
from ..inputs import Prepared, prepare_bytes
from ..kmodel import Layer, Model
from ..runtime import LayerResult, Session

STOP_SECONDS = 10.0


class _Overtaken(Exception):
    """Somebody wants another picture."""


@dataclass
class _Shown:
    """The picture that is looked at, and what is known of it."""

    number: int
    name: str
    prepared: Prepared
    maps: dict[int, np.ndarray] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    cycles: dict[int, int] = field(default_factory=dict)


class Runner:
    """A session, and a thread that works for whoever asks last.

    Parameters
    ----------
    device : any back end; the caller closes it after :meth:`close`.
    fit : how pictures come to the model's size.

    Raises
    ------
    InputError
        The model takes several inputs.
    """

    def __init__(self, model: Model, device: Device, fit: str, chip_rounding: bool = False):
        if len(model.inputs) != 1:
            raise InputError(f"{model.source} takes {len(model.inputs)} inputs; models of one input can be looked at")
        self.model = model
        self._fit = fit
        self._session = Session(model, device, chip_rounding)
        self._changed = threading.Condition()
        self._shown: _Shown | None = None
        self._wanted: tuple[_Shown, int] | None = None
        self._running: _Shown | None = None
        self._at = (0, 0, 0.0)  # layer, last layer, begin
        self._error = ""
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="viewer")
        self._thread.start()

    def show(self, name: str, data: bytes) -> None:
        """Look at another picture; InputError if it is none that the model takes."""
        prepared = prepare_bytes(self.model.inputs[0], name, data, self._fit)
        with self._changed:
            number = self._shown.number + 1 if self._shown else 0
            self._shown, self._wanted, self._error = _Shown(number, name, prepared), None, ""
            self._changed.notify_all()

    def state(self, layer: int) -> dict[str, Any]:
        """How far a layer's map of the present picture is; asks for it if it is not there."""
        with self._changed:
            shown = self._shown
            if shown is None:
                return {"state": "empty"}
            if layer in shown.maps:
                array = shown.maps[layer]
                return {"state": "ready", "picture": shown.name, "shown": shown.number, "channels": _channels(array),
                        "dtype": str(array.dtype), "shape": list(array.shape),
                        "low": _number(array, "min"), "high": _number(array, "max"),
                        "seconds": round(shown.seconds[layer], 4), "cycles": shown.cycles.get(layer)}
            if self._error:
                return {"state": "error", "error": self._error}
            if self._wanted != (shown, layer):
                self._wanted = (shown, layer)
                self._changed.notify_all()
            at, last, begin = self._at
            running = self._running is shown
            return {"state": "running", "picture": shown.name, "layer": at if running else 0,
                    "last": last if running else layer, "seconds": round(time.monotonic() - begin, 1) if running else 0}

    def map(self, layer: int, number: int) -> np.ndarray | None:
        """A map of the present picture; None if it is not there, or if another than this number is looked at."""
        with self._changed:
            return self._shown.maps.get(layer) if self._shown and self._shown.number == number else None

    @property
    def prepared(self) -> Prepared | None:
        """The present picture's input."""
        with self._changed:
            return self._shown.prepared if self._shown else None

    def close(self) -> None:
        """Stop at the next layer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._wanted)
                if self._closed:
                    return
                assert self._wanted
                shown, layer = self._wanted
                self._running, self._at = shown, (0, layer, time.monotonic())
            error = ""
            try:
                self._session.run([shown.prepared.array], hooks=(self,), end_layer=layer)
            except _Overtaken:
                pass
            except OpenKPUError as reason:
                error = str(reason)
            except Exception as reason:
                error = f"a fault in OpenKPU itself ({type(reason).__name__}: {reason})"
            with self._changed:
                self._running = None
                if self._shown is shown:
                    self._error = error
                if self._wanted == (shown, layer):
                    self._wanted = None

    def layer_started(self, layer: Layer) -> None:
        """Hook: progress, or the end of a run that nobody waits for."""
        with self._changed:
            if self._closed or self._shown is not self._running:
                raise _Overtaken
            self._at = (layer.index, *self._at[1:])

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        """Hook: keep the map; those of a batch behind each other."""
        with self._changed:
            shown = self._running
            assert shown
            whole = output[None] if result.where == "kpu" else output
            former = shown.maps.get(result.index) if result.where == "kpu" else None
            again = former is not None and result.index in shown.seconds and len(former) >= self._batches(result.index)
            shown.maps[result.index] = whole.copy() if former is None or again else np.concatenate([former, whole])
            shown.seconds[result.index] = result.seconds
            if result.cycles is not None:
                shown.cycles[result.index] = result.cycles

    def _batches(self, index: int) -> int:
        return getattr(self.model.layers[index], "batches", 1)


def _channels(array: np.ndarray) -> int:
    return int(np.prod(array.shape[:-2])) if array.ndim > 2 else 1


def _number(array: np.ndarray, what: str) -> float | None:
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return float(getattr(finite, what)()) if finite.size else None
