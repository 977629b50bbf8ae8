# SPDX-License-Identifier: Apache-2.0
"""Writer of kmodel v5: the mirror of the loader, by the same tables (spec/kmodel-format.md section 5).

The file has a stackvm module with one function, and a k210 module with a function for every run of neighbouring KPU
records. Host memory is one ``data`` pool of the stackvm module; a function's inputs and outputs are the tensors in it
(or among the model's inputs, outputs and constants) that its records read and write.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import groupby
from math import prod
from typing import Any

import numpy as np

from ...hw.descriptor import replace
from ...hw.fields import AIRAM_BYTES, ROW_BYTES
from ..model import KPU_POOL, KpuConv, KpuDownload, KpuUpload, Layer, Model, Tensor, dense_strides
from . import ops
from .code import Address, CallTensor
from .container import DATA, INPUT, KPU, OUTPUT, RDATA
from .encoder import RET, Unencodable, encode
from .stackvm import DTYPES, RELEASES, signature

__all__ = ["Unencodable", "write"]

IDENTIFIER = 0x4B4D444C
ALIGNMENT = 256
DATA_ALIGN = 64
TABLE_ALIGN = 16
STACKVM, K210 = 0, 1

_RECORDS = (KpuUpload, KpuDownload, KpuConv)
_FIELDS = {"in": "input", "w": "weights", "idx": "indices", "v": "values", "i": "indices"}


def write(model: Model, release: str = RELEASES[-1]) -> bytes:
    """The bytes of a model; ``load`` gives the model back, with its host memory in one pool.

    Takes models of version 5. ``release``: the compiler release whose operator numbers the code has.

    Raises
    ------
    Unencodable : the release lacks an operator.
    """
    return _Writer(model, release).file()


class _Writer:
    def __init__(self, model: Model, release: str):
        self.model = model
        self.release = release
        self.bases: dict[str, int] = {}
        self.data_size = 0
        self.rdata = b""
        for name, pool in model.pools.items():
            if name.startswith(("input", "output")) or name == KPU_POOL:
                continue
            if pool.data is None:
                self.bases[name] = self.data_size
                self.data_size += -(-pool.size // DATA_ALIGN) * DATA_ALIGN
        self.tables = b""
        self.known: dict[bytes, int] = {}
        self.functions: list[tuple[bytes, list[tuple[str, tuple]], list[tuple[str, tuple]]]] = []
        ports = [("input", model.inputs), ("output", model.outputs)]
        self.ports = {f"{kind}{i}": start for kind, specs in ports
                      for i, start in enumerate(_starts([s.tensor.nbytes for s in specs]))}

    def file(self) -> bytes:
        for name, pool in self.model.pools.items():
            if pool.data is not None and any(t.pool == name for layer in self.model.layers for t in layer.inputs):
                self.rdata += bytes(-len(self.rdata) % 8)
                self.bases[name] = len(self.rdata)
                self.rdata += pool.data.tobytes()
        code = b""
        for is_record, found in groupby(self.model.layers, _is_record):
            layers = list(found)
            code += self._function(layers) if is_record else b"".join(map(self._instruction, layers))
        code += bytes((RET,))
        inputs, outputs = ([(s.tensor.dtype.str, s.tensor.shape) for s in group] for group in
                           (self.model.inputs, self.model.outputs))
        modules = 2 if self.functions else 1
        out = struct.pack("<8I", IDENTIFIER, 5, 32, 0, ALIGNMENT if self.functions else 8, modules, STACKVM, 0)
        pools = [(RDATA, len(self.rdata)), (DATA, self.data_size)]
        out += _module("stackvm", pools, self.rdata, [(code, inputs, outputs)], len(out))
        if self.functions:
            pools = [(RDATA, len(self.tables)), (DATA, 0), (KPU, AIRAM_BYTES)]
            out += _module("k210", pools, self.tables, self.functions, len(out))
        return out

    # StackVM

    def _address(self, t: Tensor) -> Address:
        if t.pool in self.ports:
            return Address(INPUT if t.pool.startswith("input") else OUTPUT, self.ports[t.pool] + t.offset)
        constant = self.model.pools[t.pool].data is not None
        return Address(RDATA if constant else DATA, self.bases[t.pool] + t.offset)

    def _instruction(self, layer: Layer) -> bytes:
        name = {"CALL": "COPY"}.get(layer.name, layer.name)
        return encode(name, self._arguments(layer, name), self.release)

    def _arguments(self, layer: Any, name: str) -> dict[str, Any]:
        """Every operand that any form of the function may have, as the decoder names them."""
        first = (layer.inputs or layer.outputs)[0]
        args: dict[str, Any] = {"dt": _dtype(first), "dt_out": _dtype(layer.outputs[0])}
        for operand, kind in signature(name, RELEASES.index(self.release)) or ():
            prefix, _, rest = operand.partition("_")
            if kind == "shape" and prefix in ("s", "t"):
                tensor = self._operand(layer, rest) if rest else first
                args[operand] = tensor.shape if prefix == "s" else _compact(tensor.shape, tensor.strides)
        for field, found in vars(layer).items():
            if isinstance(found, Tensor):
                args["in" if field == "input" else field] = self._address(found)
        return args | _parameters(layer) | self._special(layer, name)

    def _operand(self, layer: Any, name: str) -> Tensor:
        if isinstance(layer, ops.Ternary) and name == "a":
            return layer.cond
        return getattr(layer, _FIELDS.get(name, name))

    def _special(self, layer: Any, name: str) -> dict[str, Any]:
        if isinstance(layer, ops.Ternary):
            return {"a": self._address(layer.cond), "dt": _dtype(layer.b)}
        if isinstance(layer, ops.Onehot):
            depth = np.array([layer.out.shape[layer.axis]], "<i4").tobytes()
            self.rdata += bytes(-len(self.rdata) % 8) + depth
            return {"depth": Address(RDATA, len(self.rdata) - 4), "dt": _dtype(layer.out)}
        if isinstance(layer, ops.ResizeImage):
            return {"out_h": layer.out.shape[2], "out_w": layer.out.shape[3]}
        if isinstance(layer, ops.Lut1d):
            return {"table_len": layer.table.count}
        if isinstance(layer, ops.Compress) and layer.axis is None:
            return {"axis": len(layer.input.shape)}
        return {}

    # k210

    def _function(self, layers: Sequence[Layer]) -> bytes:
        """Add a function of these records; the code that calls it."""
        inputs: dict[tuple, Tensor] = {}
        outputs: dict[tuple, Tensor] = {}
        for layer in layers:
            for t in layer.inputs:
                if t.pool != KPU_POOL and _port(t) not in outputs:
                    inputs.setdefault(_port(t), t)
            for t in layer.outputs:
                if t.pool != KPU_POOL:
                    outputs.setdefault(_port(t), t)
        ranges: dict[tuple, int] = {}
        for location, ports in ((INPUT, inputs), (OUTPUT, outputs)):
            sizes = [_port_bytes(t) for t in ports.values()]
            ranges |= {(location, key): start for key, start in zip(ports, _starts(sizes), strict=True)}
        text = b"".join(self._record(layer, ranges, outputs) for layer in layers)
        sources, targets = ([(t.dtype.str, _port_shape(t)) for t in ports.values()] for ports in (inputs, outputs))
        self.functions.append((text, sources, targets))
        call = {"function": len(self.functions) - 1, "module": K210, "num_src": len(inputs), "num_dst": len(outputs),
                "src": tuple(map(self._argument, inputs.values())), "dst": tuple(map(self._argument, outputs.values()))}
        return encode("CALL", call, self.release)

    def _argument(self, t: Tensor) -> CallTensor:
        shape = _port_shape(t)
        return CallTensor(self._address(t), _dtype(t), shape, _compact(shape, dense_strides(shape)))

    def _record(self, layer: Any, ranges: dict, outputs: dict) -> bytes:
        def found(t: Tensor) -> bytes:
            if t.pool == KPU_POOL:
                return _range(KPU, "u1", t.offset, t.map_rows * t.shape[0] * ROW_BYTES)
            location = OUTPUT if _port(t) in outputs else INPUT
            return _range(location, _dtype(t), ranges[location, _port(t)], _port_bytes(t))

        if isinstance(layer, KpuConv):
            tables = [(layer.weights, "u1", TABLE_ALIGN), (layer.batch_norm, "<u8", TABLE_ALIGN),
                      (layer.activation, "u1", ALIGNMENT)]
            out = _range(0, "u1", 0, 0) if layer.main_out is None else found(layer.main_out)
            d = replace(layer.descriptor, bwsx_base_addr=0, active_addr=0, para_start_addr=0)
            return (struct.pack("<I", 2) + b"".join(_range(RDATA, dtype, self._table(array, align), array.nbytes)
                                                    for array, dtype, align in tables)
                    + out + struct.pack("<I12Q", layer.batches, *d.pack()))
        shape = layer.input.shape
        opcode = 0 if isinstance(layer, KpuUpload) else 1 if isinstance(layer, KpuDownload) else 3
        record = struct.pack("<I", opcode) + found(layer.input) + found(layer.out) + struct.pack("<4I", *shape)
        return record + (struct.pack("<8I", *layer.input.strides, *layer.out.strides) if opcode == 3 else b"")

    def _table(self, array: np.ndarray, align: int) -> int:
        """Where the bytes are in the k210 module's constants; equal tables are stored once."""
        data = array.tobytes()
        at = self.known.get(data)
        if at is None or at % align:
            self.tables += bytes(-len(self.tables) % align)
            at = self.known[data] = len(self.tables)
            self.tables += data
        return at


def _compact(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides as compilers write them: 0 for dimensions of 1."""
    return tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


def _is_record(layer: Layer) -> bool:
    return isinstance(layer, _RECORDS) or (isinstance(layer, ops.Copy) and layer.name == "copy")


def _port(t: Tensor) -> tuple:
    return t.pool, t.offset, t.dtype.str, _port_shape(t)


def _port_shape(t: Tensor) -> tuple[int, ...]:
    """The dense tensor that a function gets: the elements from the first to the last of a strided one."""
    return t.shape if t.dense else (t.extent // t.dtype.itemsize,)


def _port_bytes(t: Tensor) -> int:
    return prod(_port_shape(t)) * t.dtype.itemsize


def _dtype(t: Tensor) -> str:
    text = t.dtype.str
    return text[1:] if t.dtype.itemsize == 1 else text


def _parameters(layer: Any) -> dict[str, Any]:
    """Operands that are numbers or names."""
    args: dict[str, Any] = {}
    for field, value in vars(layer).items():
        if isinstance(value, Tensor):
            continue
        if field == "clamp":
            args["lo"], args["hi"] = map(float, value)
        elif field == "window":
            (args["kh"], args["kw"]), (args["stride_h"], args["stride_w"]) = value.kernel, value.stride
            args["dil_h"], args["dil_w"] = value.dilation
            args["pad_h"], args["pad_w"] = (*value.pad_h, 0), (*value.pad_w, 0)
        elif field in ("pads", "crops"):
            args["p_pads"] = tuple((*p, 0)[:3] for p in value)
        elif field in ("axes", "perm", "block"):
            args[f"r_{field}"] = tuple(value)
        elif isinstance(value, np.generic):
            args[field] = value.item()
        else:
            args[field] = value
    if isinstance(layer, ops.Slice):
        sizes = [start + step * (n - 1) + (1 if step > 0 else -1)
                 for start, step, n in zip(layer.starts, layer.steps, layer.out.shape, strict=True)]
        args |= {"r_begins": layer.starts, "r_ends": tuple(sizes), "r_strides": layer.steps}
    return args


def _starts(sizes: Sequence[int]) -> list[int]:
    """Where ports lie in their pool, each at a multiple of 8."""
    starts, at = [], 0
    for size in sizes:
        starts.append(at)
        at += -(-size // 8) * 8
    return starts


def _range(location: int, dtype: str, start: int, size: int) -> bytes:
    return struct.pack("<2BH2I", location, DTYPES.index(dtype), 0, start, size)


def _ports(location: int, ports: Sequence[tuple[str, tuple]]) -> tuple[int, bytes]:
    sizes = [prod(shape) * np.dtype(dtype).itemsize for dtype, shape in ports]
    starts = _starts(sizes)
    total = starts[-1] + -(-sizes[-1] // 8) * 8 if sizes else 0
    ranges = b"".join(_range(location, dtype.lstrip("|"), start, size)
                      for (dtype, _), start, size in zip(ports, starts, sizes, strict=True))
    return total, ranges + b"".join(struct.pack(f"<{len(s) + 1}I", len(s), *s) for _, s in ports)


def _module(kind: str, pools: Sequence[tuple[int, int]], rdata: bytes,
            functions: Sequence[tuple[bytes, Sequence, Sequence]], position: int) -> bytes:
    text, records = b"", b""
    for code, inputs, outputs in functions:
        (in_size, in_ports), (out_size, out_ports) = _ports(INPUT, inputs), _ports(OUTPUT, outputs)
        size = 32 + len(in_ports) + len(out_ports)
        size += -size % 8
        head = struct.pack("<8I", 32, size, in_size, out_size, len(inputs), len(outputs), len(text), len(code))
        records += (head + in_ports + out_ports).ljust(size, b"\0")
        text += code + bytes(-len(code) % 4)
    body = b"".join(struct.pack("<B3xI", *pool) for pool in pools) + records
    for name, content in ((".rdata", rdata), (".text", text)):
        gap = -(position + 48 + len(body) + 32) % ALIGNMENT
        body += struct.pack("<16s4I", name.encode(), 0, gap, len(content), 0) + bytes(gap) + content
    body += bytes(-(48 + len(body)) % 8)
    return struct.pack("<16s8I", kind.encode(), 1, 48, 48 + len(body), len(pools), 0, 2, len(functions), 0) + body
