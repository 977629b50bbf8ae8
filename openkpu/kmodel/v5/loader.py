# SPDX-License-Identifier: Apache-2.0
"""Loader of kmodel v5: the choice of the operator table, and the expansion of calls (spec/kmodel-format.md section 5).

The entry function is straight-line StackVM code that calls functions of k210 modules. All calls are expanded in place,
so that the model is one flat list of layers; a callee's inputs and outputs become the caller's tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...errors import ModelError
from ...hw.fields import AIRAM_BYTES, ROW_BYTES
from ..kpu_record import make_conv, read_record, table_sizes
from ..model import KPU_POOL, KpuDownload, KpuUpload, Layer, Model, Tensor, TensorSpec
from ..reader import MAX_LAYERS, Context, Memory, Reader
from . import ops
from .code import Address, CallTensor, Instruction
from .container import (
    ADVICE,
    DATA,
    INPUT,
    KPU,
    OUTPUT,
    RDATA,
    VERSION,
    Container,
    Function,
    Module,
    Port,
    Range,
    code_of,
    measure,
    read_container,
    read_range,
)
from .frame import Frame
from .operators import FUNCTIONS
from .stackvm import RELEASES, Mismatch, decode

__all__ = ["VERSION", "load", "measure"]

MAX_DEPTH = 8
MAX_CODE = 1 << 19
"""Bytes of StackVM code of a model; the largest known one has 20 kB."""
FUSED_RELEASES = RELEASES[:RELEASES.index("1.3")]
"""Releases whose runtimes contract multiply-adds. A file that fits newer ones too is taken as theirs."""

Decoded = dict[tuple[int, int], list[Instruction]]


def _candidates(data: memoryview, context: Context, container: Container,
                release: str | None) -> list[tuple[Decoded, list[str]]]:
    """Distinct decodings of the StackVM code, newest release first, each with the releases that agree on it."""
    if release is not None and release not in RELEASES:
        context.fail(f"release {release!r} is unknown", field="release", advice=f"choose one of {', '.join(RELEASES)}")
    code = {(m.index, i): code_of(context, m, i) for m in container.modules if m.type == "stackvm"
            for i in range(len(m.functions))}
    total = sum(size for _, size in code.values())
    if total > MAX_CODE:
        context.fail(f"{total} bytes of StackVM code exceed {MAX_CODE}", field="text_size")
    found: list[tuple[Decoded, list[str]]] = []
    best: tuple[int, str, str, str] = (-1, "", "", "")
    for number in reversed(range(len(RELEASES))):
        name = RELEASES[number]
        if release not in (None, name):
            continue
        decoded: Decoded = {}
        try:
            for key, (start, size) in code.items():
                decoded[key] = decode(data[start: start + size], start, number)
        except Mismatch as error:
            progress = sum(len(d) for d in decoded.values()) * 1000 + error.offset
            if progress > best[0]:
                best = (progress, name, f"module {key[0]} function {key[1]} at byte {start + error.offset:#x}: {error}",
                        error.operator)
            continue
        for other, names in found:
            # repr, because NaN constants would not be equal to themselves.
            if repr(other) == repr(decoded):
                names.append(name)
                break
        else:
            found.append((decoded, [name]))
    if not found and best[3]:
        context.fail(f"the network uses the operator {best[3]} of nncase {best[1]}, which is not supported "
                     f"({best[2]})", field=".text", advice="convert a network without it: compute it outside")
    if not found:
        context.fail(f"unknown compiler version: the StackVM code follows no known operator table (best fit nncase "
                     f"{best[1]}: {best[2]})", field=".text", advice=ADVICE)
    return found


def load(data: memoryview, source: str, *, release: str | None = None, strict_math: bool = False) -> Model:
    """Parse and check a whole v5 model; ModelError says what is wrong.

    ``release``: take this one of ``stackvm.RELEASES`` instead of the operator table that fits the code.
    ``strict_math``: where the compiler and the vendor's runtimes disagree about a strided argument, compute what the
    compiler meant instead of what the runtimes do (spec 5.7, CALL).
    """
    context = Context(source, VERSION)
    container = read_container(data, context)
    candidates = _candidates(data, context, container, release)
    models: list[tuple[Model, bool]] = []
    first_error: ModelError | None = None
    for decoded, names in candidates:
        try:
            found = _Expander(data, source, container, decoded, ", ".join(names[::-1]), strict_math).model()
            models.append((found, all(i.reads_all for code in decoded.values() for i in code)))
        except ModelError as error:
            first_error = first_error or error
    if first_error is not None and not models:
        raise first_error
    # A wrong table may fit by accident, but then functions leave registers unread that were set for them.
    models = [m for m in models if m[1]] or models
    if len(models) > 1:
        context.fail("the compiler version is ambiguous: the StackVM code fits the operator tables of nncase "
                     + " and ".join(f"({m.operator_table})" for m, _ in models), field=".text",
                     advice="name the release that compiled the file, or convert the network again")
    return models[0][0]


class _Binding(NamedTuple):
    """A function being expanded: its module, record, and the caller's tensors for its inputs and outputs."""

    module: Module
    function: Function
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class _Expander:
    """Turns the entry function and everything it calls into one list of layers."""

    def __init__(self, data: memoryview, source: str, container: Container, decoded: Decoded, table: str,
                 strict_math: bool):
        self.data = data
        self.strict_math = strict_math
        self.container = container
        self.decoded = decoded
        self.table = table
        self.context = Context(source, VERSION)
        self.memory = Memory(self.context)
        self.layers: list[Layer] = []

    def model(self) -> Model:
        c = self.container
        module = c.modules[c.entry_module]
        function = module.functions[c.entry_function]
        head = Reader(self.context, self.data, 0, len(self.data), "header")
        if not function.inputs or not function.outputs:
            head.fail("entry_function", "has no inputs or no outputs")
        for m in c.modules:
            self.memory.add(head, f"module {m.index} data", f"data{m.index}", m.data_size)
            self.memory.add(head, f"module {m.index} rdata", f"rdata{m.index}", m.rdata[1],
                            np.frombuffer(self.data, "u1", m.rdata[1], m.rdata[0]))
        inputs, outputs = (tuple(self._spec(head, name, i, port) for i, port in enumerate(ports))
                           for name, ports in (("input", function.inputs), ("output", function.outputs)))
        self._run(_Binding(module, function, tuple(s.tensor for s in inputs), tuple(s.tensor for s in outputs)),
                  c.entry_function, 0)
        if not self.layers:
            head.fail("entry_function", "does nothing")
        self._warn_of_unwritten_maps()
        if c.size < len(self.data):
            self.context.warn(f"{len(self.data) - c.size} bytes behind the model are ignored")
        return Model(source=self.context.source, version=5, image=bytes(self.data[: c.size]), pools=self.memory.pools,
                     inputs=inputs, outputs=outputs, layers=tuple(self.layers), operator_table=self.table,
                     fused_multiply_add=self.table.split(", ")[-1] in FUSED_RELEASES,
                     warnings=tuple(self.context.warnings))

    def _warn_of_unwritten_maps(self) -> None:
        """nncase may give a KPU layer more input channels than the layer before it writes."""
        written = bytearray(AIRAM_BYTES // ROW_BYTES)
        for layer in self.layers:
            for tensors, reads in ((layer.inputs, True), (layer.outputs, False)):
                for t in tensors:
                    if t.pool != KPU_POOL:
                        continue
                    first, count = t.offset // ROW_BYTES, t.map_rows * t.shape[0]
                    if not reads:
                        written[first: first + count] = bytes([1]) * count
                    elif not all(written[first: first + count]):
                        self.context.warn(f"the file is miscompiled: layer {layer.index} reads maps {t.shape} of which "
                                          "no layer has written all, so the results depend on what was in the AI RAM")

    def _spec(self, head: Reader, name: str, index: int, port: Port) -> TensorSpec:
        pool = f"{name}{index}"
        self.memory.add(head, pool, pool, port.range.size)
        tensor = self.memory.tensor(head, pool, pool, 0, port.range.dtype, port.shape)
        shape = port.shape
        is_map = len(shape) == 4 and shape[0] == 1
        return TensorSpec(index, tensor, (shape[1], shape[2], shape[3]) if is_map else None)

    def add(self, layer: Layer) -> None:
        if len(self.layers) >= MAX_LAYERS:
            self.context.fail(f"more than {MAX_LAYERS} layers", field="layers")
        self.context.spend(work=sum(t.count for t in layer.outputs))
        self.layers.append(layer)

    def base(self, name: str, offset: int, size: int) -> dict:
        return {"index": len(self.layers), "name": name, "offset": offset, "size": size}

    def _run(self, b: _Binding, index: int, depth: int) -> None:
        if b.module.type == "k210":
            for layer in self._k210(b, index):
                self.add(layer)
            return
        for instruction in self.decoded[b.module.index, index]:
            self.context.spend(operands=1)
            place = f"module {b.module.index} {instruction.name}"
            r = Reader(self.context, self.data, instruction.offset, instruction.offset, place)
            if instruction.name == "CALL":
                self._call(r, b, instruction, depth)
            else:
                frame = _StackFrame(self, r, b, instruction)
                self.add(FUNCTIONS[instruction.name].build(frame))

    def _call(self, r: Reader, b: _Binding, call: Instruction, depth: int) -> None:
        if depth >= MAX_DEPTH:
            r.fail("CALL", f"nests deeper than {MAX_DEPTH}")
        modules = self.container.modules
        r.within("module_id", call.args["module"], 0, len(modules) - 1)
        module = modules[call.args["module"]]
        number = r.within("function_id", call.args["function"], 0, len(module.functions) - 1)
        function = module.functions[number]
        bound, after = [], []
        for name, ports, given in (("input", function.inputs, call.args["src"]),
                                   ("output", function.outputs, call.args["dst"])):
            if len(ports) != len(given):
                r.fail("CALL", f"gives {len(given)} {name}s to a function with {len(ports)}")
            tensors = []
            for i, (port, argument) in enumerate(zip(ports, given, strict=True)):
                tensor, outside = self._argument(r, b, f"{name} {i}", port, argument, write=name == "output")
                tensors.append(tensor)
                if outside is not None and name == "input":
                    self.add(ops.Copy(**self.base("CALL", call.offset, call.size), input=outside, out=tensor))
                elif outside is not None:
                    after.append((tensor, outside))
            bound.append(tuple(tensors))
        self._run(_Binding(module, function, *bound), number, depth + 1)
        for tensor, outside in after:
            self.add(ops.Copy(**self.base("CALL", call.offset, call.size), input=tensor, out=outside))

    def _argument(self, r: Reader, b: _Binding, field: str, port: Port, argument: CallTensor,
                  *, write: bool) -> tuple[Tensor, Tensor | None]:
        """The callee's tensor; with ``strict_math`` and strides also the caller's, to copy from or to.

        The vendor's runtimes drop the strides: a callee takes its arguments as dense from their first element on.
        """
        if (argument.dtype, argument.shape) != (port.range.dtype, port.shape):
            r.fail(field, f"is {argument.dtype} {argument.shape}, but the function wants {port.range.dtype} "
                          f"{port.shape}")
        outside = self.resolve(r, b, field, argument.address, argument.dtype, argument.shape, argument.strides, write)
        if outside.dense:
            return Tensor(outside.pool, outside.offset, outside.dtype, outside.shape), None
        if not self.strict_math:
            self.context.warn(f"the file is miscompiled: layer {len(self.layers)} {'writes' if write else 'reads'} a "
                              f"tensor with the strides {argument.strides} as if it were dense, as nncase's runtimes "
                              "do, so the results are not the network's; --strict-math (strict_math=True) gives those")
            return self.resolve(r, b, field, argument.address, argument.dtype, argument.shape, None, write), None
        scratch = f"call{len(self.memory.pools)}"
        self.memory.add(r, field, scratch, outside.nbytes)
        return Tensor(scratch, 0, outside.dtype, outside.shape), outside

    def resolve(self, r: Reader, b: _Binding, field: str, address: Address, dtype: str, shape: tuple[int, ...],
                strides: tuple[int, ...] | None, write: bool) -> Tensor:
        """The tensor at a StackVM address (5.4)."""
        if dtype == "bf16":
            r.fail(field, "has datatype bfloat16, which is not supported", advice=ADVICE)
        if address.location in (RDATA, DATA):
            pool = f"{'rdata' if address.location == RDATA else 'data'}{b.module.index}"
            return self.memory.tensor(r, field, pool, address.offset, dtype, shape, strides, write=write)
        ports, tensors = (b.function.inputs, b.inputs) if address.location == INPUT else (b.function.outputs, b.outputs)
        below = [(p.range.start, p.range.size, t) for p, t in zip(ports, tensors, strict=True)
                 if p.range.start <= address.offset]
        if not below:
            r.fail(field, f"= {address.offset:#x} lies before the first tensor of location {address.location}")
        start, size, outer = max(below, key=lambda item: item[0])
        if write and outer.pool.startswith("input"):
            r.fail(field, "would be written into an input of the model")
        found = self.memory.tensor(r, field, outer.pool, outer.offset + address.offset - start, dtype, shape, strides,
                                   write=write)
        if address.offset - start + found.extent > size:
            r.fail(field, f"= {address.offset:#x} with {found.extent} bytes ends behind its {size} bytes")
        return found

    # k210 modules (5.8)

    def _k210(self, b: _Binding, index: int) -> Iterator[Layer]:
        start, size = code_of(self.context, b.module, index)
        r = Reader(self.context, self.data, start, start + size, "")
        while r.left:
            at = r.pos
            r.place = f"module {b.module.index} record"
            (opcode,) = r.fields("opcode:B reserved:3x")
            if opcode > 3:
                r.fail("opcode", f"= {opcode}: K210 illegal instruction", offset=at, advice=ADVICE)
            name = ("kpu_upload", "kpu_download", "kpu_conv2d", "copy")[opcode]
            r.place = f"module {b.module.index} {name}"
            record_size = (44, 44, 152, 76)[opcode]
            base = self.base(name, at, record_size)
            self.context.spend(operands=1)
            if opcode == 2:
                yield self._conv(r, b, base)
                continue
            source, target = read_range(r, "input"), read_range(r, "output")
            shape = r.dims("shape", *r.fields("n:I c:I h:I w:I"))
            if opcode == 3:
                in_strides, out_strides = r.fields("n:I c:I h:I w:I"), r.fields("n:I c:I h:I w:I")
                yield ops.Copy(**base, input=self._host(r, b, "input", source, shape, in_strides, False),
                               out=self._host(r, b, "output", target, shape, out_strides, True))
            elif opcode == 0:
                yield KpuUpload(**base, input=self._host(r, b, "input", source, shape, None, False),
                                out=self._airam(r, "output", target, shape))
            else:
                yield KpuDownload(**base, input=self._airam(r, "input", source, shape),
                                  out=self._host(r, b, "output", target, shape, None, True))

    def _airam(self, r: Reader, field: str, found: Range, shape: tuple[int, ...]) -> Tensor:
        if found.location != KPU:
            r.fail(field, f"is in location {found.location}, not in the KPU's RAM")
        return self.memory.kpu(r, field, found.start, shape)

    def _host(self, r: Reader, b: _Binding, field: str, found: Range, shape: tuple[int, ...],
              strides: tuple[int, ...] | None, write: bool) -> Tensor:
        """The tensor of a k210 memory range in host memory; maps are uint8, copies any datatype."""
        if found.dtype == "bf16" or (strides is None and found.dtype != "u1"):
            r.fail(field, f"has datatype {found.dtype}, which is not supported here")
        tensor = self._range_tensor(r, b, field, found, found.dtype, shape, strides, write)
        # The range of a slice of a larger buffer states the bytes of its elements alone; ``resolve`` bounds the access.
        if tensor.nbytes > found.size:
            r.fail(field, f"has {found.size} bytes, but {shape} needs {tensor.nbytes}")
        return tensor

    def _range_tensor(self, r: Reader, b: _Binding, field: str, found: Range, dtype: str, shape: tuple[int, ...],
                      strides: tuple[int, ...] | None, write: bool) -> Tensor:
        if found.location in (INPUT, OUTPUT):
            ports = b.function.inputs if found.location == INPUT else b.function.outputs
            if found.start not in [p.range.start for p in ports] and not self.strict_math:
                r.fail(field, f"= {found.start:#x} is the start of no input or output of the function, so nncase's own "
                              "runtimes refuse the file too",
                       advice="it is miscompiled: convert the network without that slice of a layer's input, or "
                              "compute what was meant with --strict-math (strict_math=True)")
        elif found.location not in (RDATA, DATA):
            r.fail(field, f"is in location {found.location}, which is not supported here")
        return self.resolve(r, b, field, Address(found.location, found.start), dtype, shape, strides, write)

    def _conv(self, r: Reader, b: _Binding, base: dict) -> Layer:
        ranges = [read_range(r, f) for f in ("weights", "batch_norm", "activation")]
        out = read_range(r, "main_mem_output")
        (batches,) = r.fields("batches:I")
        r.within("batches", batches, 1, 255)
        d = read_record(r, eight_bit=True)
        tables, offsets = [], []
        rdata_start, rdata_size = b.module.rdata
        for field, found, size in zip(("weights", "batch_norm", "activation"), ranges, table_sizes(d, eight_bit=True),
                                      strict=True):
            if found.location != RDATA or found.start + found.size > rdata_size:
                r.fail(field, f"= location {found.location}, {found.start:#x} with {found.size} bytes is not inside "
                              f".rdata ({rdata_size} bytes)")
            if found.size < size:
                r.fail(field, f"has {found.size} bytes, but the layer needs {size}")
            offsets.append(rdata_start + found.start)
            tables.append(np.frombuffer(self.data, "u1", size, rdata_start + found.start))
        if ranges[2].start % 256:
            r.fail("activation", f"= {ranges[2].start:#x} is not a multiple of 256")
        main_out = None
        if out.size:
            main_out = self._host(r, b, "main_mem_output", out, (batches, *d.out_shape), None, True)
        return make_conv(r, self.memory, base, d, tuple(tables), tuple(offsets), batches=batches, main_out=main_out)


class _StackFrame(Frame):
    """What a tensor function's builder sees: its operands, and tensors at its addresses."""

    def __init__(self, expander: _Expander, reader: Reader, binding: _Binding, instruction: Instruction):
        super().__init__(reader, instruction)
        self._expander = expander
        self._binding = binding

    def base(self) -> dict:
        i = self.instruction
        return self._expander.base(i.name, i.offset, i.size)

    def tensor(self, field: str, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...] | None,
               *, write: bool = False) -> Tensor:
        return self._expander.resolve(self.reader, self._binding, field, self.args[field], dtype, shape, strides, write)

    def constant(self, tensor: Tensor, field: str) -> np.ndarray:
        data = self._expander.memory.pools[tensor.pool].data
        if data is None:
            self.fail(field, "is computed by the network, which is not supported: the results' size would not be known")
        return tensor.view(data)
