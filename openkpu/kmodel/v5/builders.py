"""From decoded StackVM instructions to typed operators, with every check of shapes and parameters
(spec/kmodel-format.md 5.7, section 9)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ..model import Layer, Tensor
from ..reader import MAX_DIMENSION, MAX_ELEMENTS, Reader
from ..v4.ops import Window
from . import ops
from .stackvm import Instruction

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

    def fail(self, field: str, problem: str) -> None:
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
            raise

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

    def number(self, field: str, dtype: str) -> np.generic:
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
        return Window(pads[0][:2], pads[1][:2], kernel, stride, dilation), sizes  # type: ignore[return-value]

    def rank(self, field: str, shape: Shape, rank: int) -> Shape:
        if len(shape) != rank:
            self.fail(field, f"= {shape} does not have {rank} dimensions")
        return shape


def _binary(f: Frame) -> Layer:
    a = f.args
    dtype = f.only("datatype", a["dt"], "<f4", "<i4", "<i8")
    shape = f.broadcast(a["s_a"], a["s_b"])
    if a.get("s_out", shape) != shape:
        f.fail("output shape", f"= {a['s_out']} is not {shape}")
    return ops.Binary(**f.base(), a=f.tensor("a", dtype, a["s_a"], a["t_a"]), out=f.out(shape), op=a["op"],
                      b=f.tensor("b", dtype, a["s_b"], a["t_b"]), clamp=f.clamp())


def _broadcast(f: Frame) -> Layer:
    a = f.args
    if f.broadcast(a["s_in"], a["s_out"]) != a["s_out"]:
        f.fail("output shape", f"= {a['s_out']} is smaller than {a['s_in']}")
    return ops.Broadcast(**f.base(), input=f.tensor("in", a["dt"], a["s_in"], a["t_in"]), out=f.out(a["s_out"]))


def _compare(f: Frame) -> Layer:
    a = f.args
    shape = f.broadcast(a["s_a"], a["s_b"])
    if a.get("s_out", shape) != shape:
        f.fail("output shape", f"= {a['s_out']} is not {shape}")
    return ops.Compare(**f.base(), a=f.tensor("a", a["dt"], a["s_a"], a["t_a"]),
                       b=f.tensor("b", a["dt"], a["s_b"], a["t_b"]), out=f.out(shape, "u1"), op=a.get("op", "equal"))


def _conv2d(f: Frame) -> Layer:
    a = f.args
    f.only("datatype", a["dt"], FLOAT)
    n, ic, h, w = f.rank("input shape", a["s_in"], 4)
    oc, part, kh, kw = f.rank("weight shape", a["s_w"], 4)
    (groups,) = f.reader.dims("groups", a["groups"])
    if part * groups < ic or ic % groups or oc % groups:
        f.fail("groups", f"= {groups} does not suit {ic} input channels and weights {a['s_w']}")
    if part * groups > ic:
        f.warn_of_spare_weights(a["s_w"], ic)
    window, (oh, ow) = f.window((kh, kw), (h, w))
    f.work(n * oh * ow * oc * part * kh * kw)
    return ops.Conv2d(**f.base(), input=f.tensor("in", FLOAT, a["s_in"], a["t_in"]),
                      weights=f.tensor("weights", FLOAT, a["s_w"], a["t_w"]),
                      bias=f.tensor("bias", FLOAT, (oc,), a["t_bias"]), out=f.out((n, oc, oh, ow)), groups=groups,
                      window=window, clamp=f.clamp())


def _convert(f: Frame) -> Layer:
    a = f.args
    return ops.Convert(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(a["s"], a["dt_out"]))


def _copy(f: Frame) -> Layer:
    source, target = f.pair()
    return ops.Copy(**f.base(), input=source, out=target)


def _cumsum(f: Frame) -> Layer:
    a = f.args
    return ops.Cumsum(**f.base(), input=f.tensor("in", a["dt"], a["s"], None), out=f.out(a["s"], strides=None),
                      axis=f.axis(a["axis"], len(a["s"])), exclusive=a["exclusive"], reverse=a["reverse"])


def _scaled(cls: type, quantize: bool) -> Callable[[Frame], Layer]:
    def build(f: Frame) -> Layer:
        a = f.args
        real, code = (a["dt"], a["dt_out"]) if quantize else (a["dt_out"], a["dt"])
        f.only("datatype", real, FLOAT)
        f.only("datatype", code, "u1", "i1")
        return cls(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(a["s"], a["dt_out"]),
                   scale=f.reader.finite("scale", a["scale"]), bias=f.reader.finite("bias", a["bias"]))
    return build


def _gather(f: Frame) -> Layer:
    a = f.args
    axis = f.reader.within("axis", a["axis"], 0, len(a["s_in"]) - 1)
    if a["s_out"] != a["s_in"][:axis] + a["s_idx"] + a["s_in"][axis + 1:]:
        f.fail("output shape", f"= {a['s_out']} does not suit {a['s_in']} and indices {a['s_idx']}")
    return ops.Gather(**f.base(), input=f.tensor("in", a["dt"], a["s_in"], a["t_in"]),
                      indices=f.tensor("indices", "<i4", a["s_idx"], None), out=f.out(a["s_out"]), axis=axis)


def _gather_nd(f: Frame) -> Layer:
    a = f.args
    batch, rank = a["batch_dims"], len(a["s_in"])
    depth = a["s_idx"][-1] if a["s_idx"] else 0
    if not (1 <= depth <= rank - batch and batch < len(a["s_idx"]) and a["s_idx"][:batch] == a["s_in"][:batch]
            and a["s_out"] == a["s_idx"][:-1] + a["s_in"][batch + depth:]):
        f.fail("output shape", f"= {a['s_out']} does not suit {a['s_in']}, indices {a['s_idx']} and {batch} batch dims")
    return ops.GatherNd(**f.base(), input=f.tensor("in", a["dt"], a["s_in"], a["t_in"]),
                        indices=f.tensor("indices", "<i4", a["s_idx"], None), out=f.out(a["s_out"]), batch_dims=batch)


def _hardmax(f: Frame) -> Layer:
    a = f.args
    return ops.Hardmax(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(a["s"], strides=None),
                       axis=f.axis(a["axis"], len(a["s"])))


def _lut1d(f: Frame) -> Layer:
    source, target = f.pair()
    table = f.tensor("table", f.args["dt"], (f.reader.within("table_len", f.args["table_len"], 1, 65535),), None)
    low, high = float(f.args["min"]), float(f.args["max"])
    f.reader.clamp(low, high)
    return ops.Lut1d(**f.base(), input=source, table=table, out=target, min=low, max=high)


def _matmul(f: Frame) -> Layer:
    a = f.args
    left, right = a["s_a"], a["s_b"]
    if min(len(left), len(right)) < 2 or left[-1] > right[-2]:
        f.fail("shapes", f"= {left} and {right} cannot be multiplied")
    if left[-1] < right[-2]:
        f.warn_of_spare_weights(right, left[-1])
    shape = (*f.broadcast(left[:-2], right[:-2]), left[-2], right[-1])
    if a.get("s_out", shape) != shape:
        f.fail("output shape", f"= {a['s_out']} is not {shape}")
    f.work(prod(shape) * left[-1])
    return ops.Matmul(**f.base(), a=f.tensor("a", FLOAT, left, a.get("t_a")), clamp=f.clamp(),
                      b=f.tensor("b", FLOAT, right, a.get("t_b")), bias=f.tensor("bias", FLOAT, (right[-1],), None),
                      out=f.out(shape, FLOAT, "t_out" if "t_out" in a else None))


def _onehot(f: Frame) -> Layer:
    a = f.args
    axis = f.reader.within("axis", a["axis"], 0, len(a["s_idx"]))
    if a["s_out"][:axis] + a["s_out"][axis + 1:] != a["s_idx"]:
        f.fail("output shape", f"= {a['s_out']} does not suit indices {a['s_idx']}")
    return ops.Onehot(**f.base(), indices=f.tensor("indices", "<i4", a["s_idx"], None), axis=axis, mode=a["mode"],
                      off_value=f.tensor("off_value", a["dt"], (1,), None),
                      on_value=f.tensor("on_value", a["dt"], (1,), None), out=f.out(a["s_out"]))


def _pad(f: Frame) -> Layer:
    a = f.args
    shape, pads, mode = a["s"], a["p_pads"], a["mode"]
    if len(pads) != len(shape):
        f.fail("paddings", f"= {pads} do not suit the shape {shape}")
    for size, (before, after, interior) in zip(shape, pads, strict=True):
        limit = {"constant": MAX_DIMENSION, "reflect": size - 1, "symmetric": size, "edge": MAX_DIMENSION}[mode]
        if not (-size < min(before, 0) + min(after, 0) and max(before, after) <= limit
                and 0 <= interior <= MAX_DIMENSION
                and (mode == "constant" or (min(before, after) >= 0 and interior == 0))):
            f.fail("paddings", f"= {pads} do not suit the shape {shape} in mode {mode}")
    target = tuple(n + before + after + (n - 1) * interior
                   for n, (before, after, interior) in zip(shape, pads, strict=True))
    if target and min(target) < 1:
        f.fail("paddings", f"= {pads} leave nothing of the shape {shape}")
    return ops.Pad(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out(target), pads=pads, mode=mode,
                   value=f.number("value", a["dt"]))


def _reduced(f: Frame, shape: Shape) -> tuple[Shape, Shape]:
    """The reduced dimensions and the result's shape."""
    axes = f.axes(len(shape))
    if f.args["keep_dims"]:
        return axes, tuple(1 if i in axes else n for i, n in enumerate(shape))
    return axes, tuple(n for i, n in enumerate(shape) if i not in axes)


def _reduce(f: Frame) -> Layer:
    a = f.args
    dtype = f.only("datatype", a["dt"], "<f4", "<i4")
    axes, target = _reduced(f, a["s"])
    return ops.Reduce(**f.base(), input=f.tensor("in", dtype, a["s"], a["t_in"]), out=f.out(target), op=a["op"],
                      axes=axes, keep_dims=a["keep_dims"], init=f.number("init", dtype))


def _reduce_arg(f: Frame) -> Layer:
    a = f.args
    f.only("datatype", a["dt"], FLOAT)
    f.only("output datatype", a["dt_out"], "<i4", "<i8")
    axes, target = _reduced(f, a["s"])
    return ops.ReduceArg(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(target, a["dt_out"]),
                         op=a["op"], axes=axes, keep_dims=a["keep_dims"], select_last=a["select_last"])


def _reduce_prod(f: Frame) -> Layer:
    a = f.args
    dtype = a.get("dt", FLOAT)
    axes, target = _reduced(f, a["s"])
    return ops.ReduceProd(**f.base(), input=f.tensor("in", dtype, a["s"], a["t_in"]), out=f.out(target, dtype),
                          axes=axes, keep_dims=a["keep_dims"])


def _reduce_window2d(f: Frame) -> Layer:
    a = f.args
    f.only("datatype", a["dt"], FLOAT)
    n, c, h, w = f.rank("input shape", a["s"], 4)
    window, (oh, ow) = f.window((a["kh"], a["kw"]), (h, w))
    for size, count, pad, kernel, stride, dilation in zip((h, w), (oh, ow), (window.pad_h, window.pad_w), window.kernel,
                                                          window.stride, window.dilation, strict=True):
        # A mean divides by the pixels inside the image, so no window may miss it.
        if dilation > size or pad[0] > (kernel - 1) * dilation or (count - 1) * stride - pad[0] >= size:
            f.fail("padding", f"= {pad} puts a window outside the image")
    f.work(n * c * oh * ow * prod(window.kernel))
    return ops.ReduceWindow2d(**f.base(), input=f.tensor("in", FLOAT, a["s"], a["t_in"]), out=f.out((n, c, oh, ow)),
                              op=a["op"], window=window, init=f.number("init", FLOAT), clamp=f.clamp())


def _resize_image(f: Frame) -> Layer:
    a = f.args
    shape = f.rank("input shape", a["s"], 4)
    size = f.reader.dims("out_h, out_w", *(int(f.number(n, "<i4")) for n in ("out_h", "out_w")))
    return ops.ResizeImage(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out((*shape[:2], *size)),
                           mode=a["mode"], align_corners=a["align_corners"], half_pixel_centers=a["half_pixel_centers"])


def _sigmoid(f: Frame) -> Layer:
    a = f.args
    return ops.Sigmoid(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]),
                       out=f.out(a["s"], strides="t_out" if "t_out" in a else "t_in"))


def _slice(f: Frame) -> Layer:
    a = f.args
    begins, ends, steps = a["r_begins"], a["r_ends"], a["r_strides"]
    for name, value in (("begins", begins), ("ends", ends), ("strides", steps)):
        f.rank(name, value, len(a["s"]))
    if 0 in steps:
        f.fail("strides", f"= {steps} holds a zero")
    visited = []
    for size, begin, end, step in zip(a["s"], begins, ends, steps, strict=True):
        indices = range(begin, min(end, size) if step > 0 else max(end, -1), step)
        if not len(indices) or not 0 <= begin < size:
            f.fail("begins, ends", f"= {begins}, {ends} is no part of the shape {a['s']}")
        visited.append(len(indices))
    return ops.Slice(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(tuple(visited)),
                     starts=begins, steps=steps)


def _softmax(f: Frame) -> Layer:
    f.only("datatype", f.args["dt"], FLOAT)
    source, target = f.pair()
    return ops.Softmax(**f.base(), input=source, out=target, axis=f.axis(f.args["axis"], len(source.shape)),
                       beta=f.reader.finite("beta", f.args["beta"]))


def _blocks(f: Frame) -> tuple[Shape, tuple[tuple[int, int], ...]]:
    block, pads = f.args["r_block"], f.args["p_pads"]
    if not block or len(block) >= len(f.args["s"]) or len(pads) != len(block):
        f.fail("block", f"= {block} with paddings {pads} does not suit the shape {f.args['s']}")
    f.reader.dims("block", *block)
    if any(min(p) < 0 or max(p) > MAX_DIMENSION or p[2] for p in pads):
        f.fail("paddings", f"= {pads} are not supported")
    return block, tuple((before, after) for before, after, _ in pads)


def _space_to_batch(f: Frame) -> Layer:
    a = f.args
    block, pads = _blocks(f)
    shape, first = a["s"], len(a["s"]) - len(block)
    sizes = [n + sum(p) for n, p in zip(shape[first:], pads, strict=True)]
    if any(n % b for n, b in zip(sizes, block, strict=True)):
        f.fail("block", f"= {block} does not divide {tuple(sizes)}")
    target = (shape[0] * prod(block), *shape[1:first], *(n // b for n, b in zip(sizes, block, strict=True)))
    return ops.SpaceToBatch(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out(target), block=block,
                            pads=pads)


def _batch_to_space(f: Frame) -> Layer:
    a = f.args
    block, crops = _blocks(f)
    shape, first = a["s"], len(a["s"]) - len(block)
    sizes = [n * b - sum(c) for n, b, c in zip(shape[first:], block, crops, strict=True)]
    if shape[0] % prod(block) or min(sizes) < 1:
        f.fail("block", f"= {block} with crops {crops} does not suit the shape {shape}")
    target = (shape[0] // prod(block), *shape[1:first], *sizes)
    return ops.BatchToSpace(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out(target), block=block,
                            crops=crops)


def _ternary(f: Frame) -> Layer:
    a = f.args
    shape = f.broadcast(a["s_a"], a["s_b"], a["s_c"])
    return ops.Ternary(**f.base(), cond=f.tensor("a", FLOAT, a["s_a"], a["t_a"]),
                       b=f.tensor("b", a["dt"], a["s_b"], a["t_b"]), c=f.tensor("c", a["dt"], a["s_c"], a["t_c"]),
                       out=f.out(shape))


def _transpose(f: Frame) -> Layer:
    a = f.args
    shape, perm = a["s"], a["r_perm"]
    if sorted(perm) != list(range(len(shape))):
        f.fail("perm", f"= {perm} is no permutation of the dimensions of {shape}")
    return ops.Transpose(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]),
                         out=f.out(tuple(shape[p] for p in perm)), perm=perm)


def _topk(f: Frame) -> Layer:
    a = f.args
    axis = f.axis(a["axis"], len(a["s"]))
    k = f.reader.within("k", a["k"], 1, a["s"][axis])
    shape = (*a["s"][:axis], k, *a["s"][axis + 1:])
    if a["s_v"] != shape or a["s_i"] != shape:
        f.fail("output shapes", f"= {a['s_v']}, {a['s_i']} are not {shape}")
    return ops.Topk(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), k=k, axis=axis, largest=a["largest"],
                    sorted=a["sorted"], values=f.out(shape, strides="t_v", field="values"),
                    indices=f.out(shape, "<i8", "t_i", "indices"))


def _unary(f: Frame) -> Layer:
    f.only("datatype", f.args["dt"], FLOAT)
    source, target = f.pair()
    return ops.Unary(**f.base(), input=source, out=target, op=f.args["op"])


def _trilu(f: Frame) -> Layer:
    a = f.args
    if len(a["s"]) < 2:
        f.fail("shape", f"= {a['s']} is no matrix")
    return ops.Trilu(**f.base(), input=f.tensor("in", a["dt"], a["s"], None), out=f.out(a["s"], strides=None),
                     upper=a["upper"], k=f.reader.within("k", a["k"], -MAX_DIMENSION, MAX_DIMENSION))


def _compress(f: Frame) -> Layer:
    a = f.args
    shape, (count,) = a["s_in"], f.rank("condition shape", a["s_cond"], 1)
    axis = f.reader.within("axis", int(f.number("axis", "<i4")), 0, len(shape))
    # How many are kept is known where the condition is a constant; the vendor's kernel writes on without a bound.
    condition = f.tensor("condition", "u1", (count,), None)
    kept = f.constant(condition, "condition").astype(bool)[:shape[axis] if axis < len(shape) else prod(shape)].sum()
    target = (int(kept),) if axis == len(shape) else (*shape[:axis], int(kept), *shape[axis + 1:])
    return ops.Compress(**f.base(), input=f.tensor("in", FLOAT, shape, None), condition=condition,
                        out=f.out(target, FLOAT, None), axis=None if axis == len(shape) else axis)


def _gather_elements(f: Frame) -> Layer:
    a = f.args
    axis = f.axis(a["axis"], len(a["s_in"]))
    f.rank("indices shape", a["s_idx"], len(a["s_in"]))
    if any(i != axis and n > m for i, (n, m) in enumerate(zip(a["s_idx"], a["s_in"], strict=True))):
        f.fail("indices shape", f"= {a['s_idx']} does not suit {a['s_in']}")
    return ops.GatherElements(**f.base(), input=f.tensor("in", FLOAT, a["s_in"], None), axis=axis,
                              indices=f.tensor("indices", "<i8", a["s_idx"], None), out=f.out(a["s_idx"], FLOAT, None))


def _gru(f: Frame) -> Layer:
    a = f.args
    steps, batch, size = f.rank("input shape", a["s_in"], 3)
    directions, gates, columns = f.rank("weight shape", a["s_w"], 3)
    hidden = gates // 3
    if gates % 3 or columns != size or directions != (2 if a["direction"] == "bidirectional" else 1):
        f.fail("weight shape", f"= {a['s_w']} does not suit the input {a['s_in']}, {a['direction']}")
    f.work(steps * directions * batch * gates * (size + hidden))
    state = directions, batch, hidden

    def read(field: str, *shape: int) -> Tensor:
        return f.tensor(field, FLOAT, shape, None)
    return ops.Gru(**f.base(), input=read("in", *a["s_in"]), weights=read("weights", *a["s_w"]),
                   recurrence=read("recurrence", directions, gates, hidden), bias=read("bias", directions, 2 * gates),
                   start=read("start", *state), out=f.out((steps, *state), FLOAT, None),
                   last=f.out(state, FLOAT, None, "last"), direction=a["direction"],
                   linear_before_reset=a["linear_before_reset"])


def _layer_normalization(f: Frame) -> Layer:
    a = f.args
    dtype, shape = f.only("datatype", a["dt"], FLOAT), a["s"]
    axis = f.axis(a["axis"], len(shape))
    return ops.LayerNormalization(**f.base(), input=f.tensor("in", dtype, shape, None), out=f.out(shape, dtype, None),
                                  scale=f.tensor("scale", dtype, shape[axis:], None), axis=axis,
                                  bias=f.tensor("bias", dtype, shape[axis:], None),
                                  epsilon=f.reader.finite("epsilon", a["epsilon"]))


def _random(cls: type, *parameters: str) -> Callable[[Frame], Layer]:
    def build(f: Frame) -> Layer:
        a = f.args
        values = {name: float(f.reader.finite(name, a[name])) for name in (*parameters, "seed")}
        f.reader.within("seed", int(values["seed"]), 0, (1 << 63) - 1)
        return cls(**f.base(), out=f.out(a["s"], f.only("datatype", a["dt"], FLOAT), None), **values)
    return build


def _roi_align(f: Frame) -> Layer:
    a = f.args
    dtype = f.only("datatype", a["dt"], FLOAT)
    shape, (count, channels, height, width) = f.rank("input shape", a["s_in"], 4), f.rank("output shape", a["s_out"], 4)
    if channels != shape[1]:
        f.fail("output shape", f"= {a['s_out']} does not suit the input {shape}")
    sampling = f.reader.within("sampling", a["sampling"], 0, MAX_DIMENSION)
    f.work(count * channels * height * width * max(sampling, 1) ** 2)
    return ops.RoiAlign(**f.base(), input=f.tensor("in", dtype, shape, None),
                        rois=f.tensor("rois", dtype, (count, 4), None), batch=f.tensor("batch", "<i8", (count,), None),
                        out=f.out(a["s_out"], dtype, None), mode=a["mode"],
                        scale=f.reader.finite("scale", a["scale"], zero=False), sampling=sampling)


BUILDERS: dict[str, Callable[[Frame], Layer]] = {
    "BINARY": _binary, "BROADCAST": _broadcast, "COMPARE": _compare, "EQUAL": _compare, "CONV2D": _conv2d,
    "CONVERT": _convert, "COPY": _copy, "CUMSUM": _cumsum, "DEQUANTIZE": _scaled(ops.Dequantize, False),
    "QUANTIZE": _scaled(ops.Quantize, True), "GATHER": _gather, "GATHER_ND": _gather_nd, "HARDMAX": _hardmax,
    "LUT1D": _lut1d, "MATMUL": _matmul, "ONEHOT": _onehot, "PAD": _pad, "REDUCE": _reduce, "REDUCE_ARG": _reduce_arg,
    "REDUCE_PROD": _reduce_prod, "REDUCE_WINDOW2D": _reduce_window2d, "RESIZE_IMAGE": _resize_image,
    "SIGMOID": _sigmoid, "SLICE": _slice, "SOFTMAX": _softmax, "SPACE_TO_BATCH": _space_to_batch,
    "BATCH_TO_SPACE": _batch_to_space, "TERNARY": _ternary, "TRANSPOSE": _transpose, "TOPK": _topk, "UNARY": _unary,
    "TRILU": _trilu, "COMPRESS": _compress, "GATHER_ELEMENTS": _gather_elements, "GRU": _gru,
    "LAYER_NORMALIZATION": _layer_normalization, "RANDOM_NORMAL": _random(ops.RandomNormal, "mean", "deviation"),
    "RANDOM_UNIFORM": _random(ops.RandomUniform, "low", "high"), "ROI_ALIGN": _roi_align,
}
"""A builder per decodable tensor function; CALL is expanded by the loader."""
