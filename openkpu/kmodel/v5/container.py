# SPDX-License-Identifier: Apache-2.0
"""The container of kmodel v5: modules, functions, sections (spec/kmodel-format.md 5.1 to 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

from ..reader import MAX_ELEMENTS, TRUNCATED, Context, Reader
from ..v3.loader import TAIL_PADDING
from .stackvm import DTYPES

VERSION = "kmodel v5"
HEADER_BYTES = 32
MAX_MODULES = 256
MAX_FUNCTIONS = 1024
MAX_SECTIONS = 16
MAX_RANK = 8

INPUT, OUTPUT, RDATA, DATA, KPU = 0, 1, 2, 3, 64
ADVICE = "convert the network again with nncase 1.0 to 1.9, or copy the file again"


class Range(NamedTuple):
    """A memory range as the file has it."""

    location: int
    dtype: str
    start: int
    size: int


class Port(NamedTuple):
    """An input or output of a function."""

    range: Range
    shape: tuple[int, ...]


class Function(NamedTuple):
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    entrypoint: int
    code_size: int


@dataclass(frozen=True)
class Module:
    """``rdata`` and ``text``: (file offset, size)."""

    index: int
    type: str
    data_size: int
    rdata: tuple[int, int]
    text: tuple[int, int]
    functions: tuple[Function, ...]


class Container(NamedTuple):
    modules: tuple[Module, ...]
    entry_module: int
    entry_function: int
    size: int


def _head(data: memoryview, context: Context) -> tuple[Reader, int, int, int]:
    r = Reader(context, data, 0, len(data), "header")
    _, _, header_size, flags, _, modules, entry_module, entry_function = r.fields(
        "identifier:I version:I header_size:I flags:I alignment:I modules:I entry_module:I entry_function:I")
    if header_size == 0:
        r.fail("header_size", "= 0: this is a pre-release layout of kmodel v5 (nncase before 1.0.0-beta1), which no "
                              "released runtime reads", offset=8, advice=ADVICE)
    if header_size != HEADER_BYTES:
        r.fail("header_size", f"= {header_size} is not {HEADER_BYTES}", offset=8)
    if flags:
        context.warn(f"flags = {flags:#x} is not 0, which is ignored")
    r.within("modules", modules, 1, MAX_MODULES)
    r.within("entry_module", entry_module, 0, modules - 1)
    return r, modules, entry_module, entry_function


def measure(data: memoryview, context: Context) -> int:
    """Bytes of the model at the start of ``data`` (section 8, raw flash)."""
    r, modules, _, _ = _head(data, context)
    for i in range(modules):
        start = r.pos
        r.place = f"module {i}"
        *_, size = r.fields("type:16s version:I header_size:I size:I")
        if size < 48:
            r.fail("size", f"= {size} is smaller than a module header", offset=start)
        r.pos = start + size
    return r.pos


def read_container(data: memoryview, context: Context) -> Container:
    r, count, entry_module, entry_function = _head(data, context)
    modules = []
    for i in range(count):
        start = r.pos
        slack = TAIL_PADDING if i == count - 1 else 0
        module = _module(Reader(context, data, start, len(data), f"module {i}"), i, slack)
        modules.append(module[0])
        r.pos = min(start + module[1], len(data))
    if entry_function >= len(modules[entry_module].functions):
        r.fail("entry_function", f"= {entry_function}, but module {entry_module} has "
                                 f"{len(modules[entry_module].functions)} functions", offset=28)
    return Container(tuple(modules), entry_module, entry_function, r.pos)


def _module(r: Reader, index: int, slack: int) -> tuple[Module, int]:
    start = r.pos
    kind, _, header_size, size, pools, shared, sections, functions, _ = r.fields(
        "type:16s version:I header_size:I size:I mempools:I shared_mempools:I sections:I functions:I reserved:I")
    name = _text(r, "type", kind, start)
    if name not in ("stackvm", "k210"):
        r.fail("type", f"= {name!r} is neither stackvm nor k210", offset=start,
               advice="convert the network again for the target k210")
    if header_size != 48:
        r.fail("header_size", f"= {header_size} is not 48", offset=start + 20)
    if size < 48 or start + size > r.end + slack:
        r.fail("size", f"= {size} does not fit the file, which has {r.end - start} bytes left", offset=start + 24,
               advice=TRUNCATED)
    r.end = min(start + size, r.end)
    if shared:
        r.fail("shared_mempools", f"= {shared}, which no known compiler writes", offset=start + 32)
    r.within("functions", functions, 0, MAX_FUNCTIONS)
    r.within("sections", sections, 0, MAX_SECTIONS)
    data_size, seen = 0, set()
    for _ in range(r.within("mempools", pools, 0, 256)):
        location, pool_size = r.fields("location:B reserved:3x size:I")
        if location in seen:
            r.fail("mempools", f"list location {location} twice")
        seen.add(location)
        if location == DATA:
            data_size = pool_size
    parsed = tuple(_function(r, i) for i in range(functions))
    bodies = _sections(r, sections)
    none = (r.pos, 0)
    return Module(index, name, data_size, bodies.get(".rdata", none), bodies.get(".text", none), parsed), size


def _text(r: Reader, field: str, raw: bytes, offset: int) -> str:
    name, _, rest = raw.partition(b"\0")
    if len(name) == len(raw) or rest.strip(b"\0") or not name or not all(32 < c < 127 for c in name):
        r.fail(field, f"= {raw!r} is no name", offset=offset)
    return name.decode()


def _function(module: Reader, index: int) -> Function:
    start = module.pos
    place = f"{module.place} function {index}"
    r = Reader(module.context, module.data, start, module.end, place)
    header_size, size, _, _, inputs, outputs, entrypoint, text_size = r.fields(
        "header_size:I size:I input_pool_size:I output_pool_size:I inputs:I outputs:I entrypoint:I text_size:I")
    if header_size != 32:
        r.fail("header_size", f"= {header_size} is not 32", offset=start)
    if size < 32 or start + size > module.end:
        r.fail("size", f"= {size} does not fit the module", offset=start + 4)
    r.end = start + size
    r.within("inputs", inputs, 0, 256)
    r.within("outputs", outputs, 0, 256)
    ports = _ports(r, "input", INPUT, inputs), _ports(r, "output", OUTPUT, outputs)
    module.pos = start + size
    return Function(*ports, entrypoint, text_size)


def _ports(r: Reader, name: str, location: int, count: int) -> tuple[Port, ...]:
    ranges = [read_range(r, f"{name} {i}") for i in range(count)]
    ports = []
    for i, found in enumerate(ranges):
        (rank,) = r.fields("rank:I")
        shape = tuple(r.array(f"{name} {i} shape", "<u4", r.within(f"{name} {i} rank", rank, 0, MAX_RANK)).tolist())
        if (shape and min(shape) < 1) or prod(shape) > MAX_ELEMENTS:
            r.fail(f"{name} {i} shape", f"= {shape} is impossible")
        if found.location != location:
            r.fail(f"{name} {i}", f"is in location {found.location}, not {location}")
        if found.dtype == "bf16":
            r.fail(f"{name} {i}", "has datatype bfloat16, which is not supported", advice=ADVICE)
        if found.size != prod(shape) * np.dtype(found.dtype).itemsize:
            r.fail(f"{name} {i}", f"has {found.size} bytes, which does not suit {found.dtype} {shape}")
        ports.append(Port(found, shape))
    if len({p.range.start for p in ports}) != len(ports):
        r.fail(f"{name}s", "start at the same address")
    return tuple(ports)


def read_range(r: Reader, field: str) -> Range:
    location, dtype, shared, start, size = r.fields("location:B datatype:B shared_module:H start:I size:I")
    return Range(location, r.choice(f"{field} datatype", dtype, DTYPES), start, size)


def _sections(r: Reader, count: int) -> dict[str, tuple[int, int]]:
    """(file offset, size) of each section by name."""
    found: dict[str, tuple[int, int]] = {}
    merged: dict[str, tuple[int, int]] = {}
    for i in range(count):
        start = r.pos
        raw, flags, body_start, body_size, _ = r.fields("name:16s flags:I body_start:I body_size:I reserved:I")
        name = _text(r, f"section {i} name", raw, start)
        if name in found or name in merged:
            r.fail(f"section {i} name", f"= {name!r} occurs twice", offset=start)
        if flags & ~1:
            r.fail(f"section {name} flags", f"= {flags:#x} has unknown bits", offset=start + 16)
        if flags & 1:
            if name == ".rdata":
                r.fail("section .rdata flags", "merge it into itself", offset=start + 16)
            merged[name] = (body_start, body_size)
        else:
            r.need(r.within(f"section {name} body_start", body_start, 0, 4096), f"section {name}")
            found[name] = (r.need(body_size, f"section {name}"), body_size)
    for name, (start, size) in merged.items():
        base, total = found.get(".rdata", (0, 0))
        if start + size > total:
            r.fail(f"section {name}", f"= {start:#x} with {size} bytes ends behind .rdata ({total} bytes)")
        found[name] = (base + start, size)
    return found


def code_of(context: Context, module: Module, index: int) -> tuple[int, int]:
    """(file offset, size) of the code of a function."""
    f = module.functions[index]
    if f.entrypoint + f.code_size > module.text[1]:
        context.fail(f"module {module.index} function {index}: entrypoint = {f.entrypoint} with {f.code_size} bytes "
                     f"ends behind .text ({module.text[1]} bytes)", offset=module.text[0], field="entrypoint")
    return module.text[0] + f.entrypoint, f.code_size
