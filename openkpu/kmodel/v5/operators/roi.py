# SPDX-License-Identifier: Apache-2.0
"""Regions of interest (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....arithmetic import roi
from ...kernels import kernel
from ...model import Layer, Tensor
from ...reader import MAX_DIMENSION
from ..frame import FLOAT, Frame, Function, checked_indices

ROI_MODES = ("avg", "max")


@dataclass(frozen=True, eq=False, kw_only=True)
class RoiAlign(Layer):
    """float32 ``input`` (N, C, H, W), ``rois`` (n, 4), ``out`` (n, C, height, width). ``batch`` int64 (n,) is data:
    check it when running. ``sampling`` 0: as many samples per bin as it has pixels."""

    input: Tensor
    rois: Tensor
    batch: Tensor
    out: Tensor
    mode: str
    scale: np.float32
    sampling: int


def _roi_align(f: Frame) -> Layer:
    a = f.args
    dtype = f.only("datatype", a["dt"], FLOAT)
    shape, (count, channels, height, width) = f.rank("input shape", a["s_in"], 4), f.rank("output shape", a["s_out"], 4)
    if channels != shape[1]:
        f.fail("output shape", f"= {a['s_out']} does not suit the input {shape}")
    sampling = f.reader.within("sampling", a["sampling"], 0, MAX_DIMENSION)
    f.work(count * channels * height * width * max(sampling, 1) ** 2)
    return RoiAlign(**f.base(), input=f.tensor("in", dtype, shape, None),
                    rois=f.tensor("rois", dtype, (count, 4), None), batch=f.tensor("batch", "<i8", (count,), None),
                    out=f.out(a["s_out"], dtype, None), mode=a["mode"],
                    scale=f.reader.finite("scale", a["scale"], zero=False), sampling=sampling)


@kernel(RoiAlign)
def roi_align(op: RoiAlign, x: np.ndarray, rois: np.ndarray, batch: np.ndarray) -> np.ndarray:
    pictures = checked_indices(op, batch, (len(x),))
    return roi.roi_align(x, rois, pictures, op.out.shape[2:], op.mode, op.scale, op.sampling)


FUNCTIONS = {
    "ROI_ALIGN": Function({4: "dt s_in s_out mode:roi scale:f sampling:q"}, "out batch rois in", _roi_align),
}
ENUMERATIONS: dict[str, tuple] = {"roi": ROI_MODES}
