# SPDX-License-Identifier: Apache-2.0
"""What the operators share: the instruction that becomes a layer, and its checks (spec 5.7, section 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

import numpy as np

from ...errors import ModelError
from ..model import Layer, Tensor
from ..reader import MAX_DIMENSION, MAX_ELEMENTS, Reader
from ..window import Window
from .code import Instruction

Shape = tuple[int, ...]
FLOAT = "<f4"


class Frame:
    """An instruction being turned into an operator. Subclasses find its tensors."""

    def __init__(self, reader: Reader, instruction: Instruction):
        self.reader = reader
        self.instruction = instruction
        self.args = instruction.args

    def base(self) -> dict:
        """The fields of ``Layer``."""
        raise NotImplementedError

    def tensor(self, field: str, dtype: str, shape: Shape, strides: Shape | None, *, write: bool = False) -> Tensor:
        """The tensor at the address popped as ``field``; ``strides`` None means dense."""
        raise NotImplementedError

    def constant(self, tensor: Tensor, field: str) -> np.ndarray:
        """The contents of a tensor that the file holds."""
        raise NotImplementedError

    def out(self, shape: Shape, dtype: str | None = None, strides: str | None = "t_out", field: str = "out") -> Tensor:
        """The result, strided as the operand ``strides`` says."""
        return self.tensor(field, dtype or self.args["dt"], shape, self.args[strides] if strides else None, write=True)

    def pair(self) -> tuple[Tensor, Tensor]:
        """Input and output of the shape ``s`` and the dtype ``dt``."""
        shape = self.args["s"]
        return self.tensor("in", self.args["dt"], shape, self.args["t_in"]), self.out(shape)

    def fail(self, field: str, problem: str) -> NoReturn:
        self.reader.fail(field, problem)

    def warn(self, problem: str) -> None:
        self.reader.context.warn(f"{self.reader.place} at byte {self.instruction.offset:#x}: {problem}")

    def warn_of_spare_weights(self, weights: Shape, channels: int) -> None:
        """nncase pools without ``ceil_mode``, so the layer behind may be given more weights than it has inputs."""
        self.warn(f"the file is miscompiled: the weights {weights} are for more than the {channels} input channels; as "
                  "in nncase's runtimes those that are left over are ignored")

    def axis(self, value: int, rank: int) -> int:
        """A dimension number; negative ones count from the end."""
        self.reader.within("axis", value, -rank, rank - 1)
        return value % rank

    def axes(self, rank: int) -> Shape:
        """The reduced dimensions, ascending."""
        found = sorted({self.axis(a, rank) for a in self.args["r_axes"]})
        if not found:
            self.fail("axes", "are empty")
        return tuple(found)

    def broadcast(self, *shapes: Shape) -> Shape:
        """The common shape of right-aligned operands."""
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            self.fail("shapes", f"= {shapes} don't broadcast")

    def work(self, steps: int) -> None:
        """Refuse an operator that needs absurdly many elementary steps."""
        if steps > MAX_ELEMENTS * 16:
            self.fail("shapes", f"need {steps} steps")
        self.reader.context.spend(work=steps)

    def only(self, field: str, dtype: str, *allowed: str) -> str:
        """Check a datatype."""
        if dtype not in allowed:
            self.fail(field, f"= {dtype} is not one of {', '.join(allowed)}")
        return dtype

    def number(self, field: str, dtype: str) -> np.number:
        """A popped constant as a scalar of ``dtype``."""
        value = self.args[field]
        kind = np.dtype(dtype)
        if kind.kind == "f":
            return kind.type(value)
        info = np.iinfo(kind)
        if not float(info.min) <= value <= float(info.max):
            self.fail(field, f"= {value} is no {kind.name}")
        return kind.type(int(value))

    def clamp(self) -> tuple[np.float32, np.float32]:
        return self.reader.clamp(self.args["lo"], self.args["hi"])

    def window(self, kernel: tuple[int, int], image: tuple[int, int]) -> tuple[Window, tuple[int, int]]:
        """The sliding window and its output size."""
        a = self.args
        pads = a["pad_h"], a["pad_w"]
        for before, after, interior in pads:
            if interior or not (0 <= before <= MAX_DIMENSION and 0 <= after <= MAX_DIMENSION):
                self.fail("padding", f"= {pads} is not supported")
        stride, dilation = (a["stride_h"], a["stride_w"]), (a["dil_h"], a["dil_w"])
        self.reader.dims("kernel, stride, dilation", *kernel, *stride, *dilation)
        sizes = tuple((n + p[0] + p[1] - ((k - 1) * d + 1) + s) // s
                      for n, p, k, s, d in zip(image, pads, kernel, stride, dilation, strict=True))
        if min(sizes) < 1:
            self.fail("kernel, stride, padding", f"give no output for an image {image[1]}x{image[0]}")
        return Window(pads[0][:2], pads[1][:2], kernel, stride, dilation), sizes

    def rank(self, field: str, shape: Shape, rank: int) -> Shape:
        if len(shape) != rank:
            self.fail(field, f"= {shape} does not have {rank} dimensions")
        return shape


class Function(NamedTuple):
    """How a tensor function is written, and what makes a layer of it.

    Attributes
    ----------
    operands : what follows the function number, by the first release that has it in this form (index into
        ``stackvm.RELEASES``). Kinds: dt datatype; s_/t_/r_ shape, stride or other shape register (u8); p_ padding
        register; "name:kind" otherwise, where kind is a code of ``struct``, "bool", or an enumeration.
    pops : what is popped, top of the stack first. ":n" a number, ":p" a padding (2 or 3 entries), otherwise an address.
    build : checks and makes the layer.
    """

    operands: dict[int, str]
    pops: str
    build: Callable[[Frame], Layer]


def checked_indices(op: Layer, indices: np.ndarray, limits: tuple[int, ...]) -> np.ndarray:
    if ((indices < 0) | (indices >= np.array(limits))).any():
        raise ModelError(f"layer {op.index} ({op.name}) looks up an index outside the dimensions {limits}; "
                         "the model or its input is damaged")
    return indices
