# SPDX-License-Identifier: Apache-2.0
"""A point on the RTL: built, run, counted."""

from __future__ import annotations

import numpy as np

from ..devices.native import NativeDevice
from ..errors import DeviceError
from ..kmodel import Model
from ..runtime import Session
from .points import Point


def count(model: Model, point: Point) -> int:
    """Cycles of a frame on the core that is built with the point's parameters (minutes, once)."""
    device = NativeDevice(point.config, core=point.core)
    try:
        session = Session(model, device)
        session.run([np.zeros(spec.shape, spec.dtype) for spec in model.inputs])
        if session.cycles is None:
            raise DeviceError(f"{model.source} has no layer on the KPU; there is nothing to count")
        return session.cycles
    finally:
        device.close()
