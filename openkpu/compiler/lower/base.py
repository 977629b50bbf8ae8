# SPDX-License-Identifier: Apache-2.0
"""What all formats share: which maps are in the AI RAM, which in the main memory, and what has to move between them.

A map of a KPU step is in the AI RAM from the layer that writes it to the last one that reads it. It also goes to the
main memory if a host operator reads it, and comes from there if one has written it. Parts of a map (``Value.parent``)
are written and read in place, in both memories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ...hw.fields import ROW_BYTES
from ...kmodel.model import KPU_POOL, KpuConv, KpuUpload, Layer, Model, Pool, Tensor, TensorSpec
from ..draft import Draft, DraftLayer, Ref, channels_of
from ..errors import CompileError
from ..layers import descriptor, split_wide_layers, tables, tall
from ..limits import Chip, map_bytes
from ..planner import Buffer, lower_bound, plan
from ..program import HostStep, KpuStep, Program, Value

MAX_SPILLS = 256


@dataclass
class _Piece:
    """A value that some step writes: channels ``low`` to ``high`` of its map.

    ``copy`` is the number of the AI-RAM buffer that holds it, None if none does.
    """

    name: str
    low: int
    high: int
    copy: int | None


class Lowering:
    """Turns one program into a draft. Subclasses know a format's operators.

    ``spills``: step numbers by map; behind such a step the map is fetched from the main memory again, so that it does
    not take AI RAM in between.
    """

    VERSION: ClassVar[int]
    MAIN_ALIGN: ClassVar[int] = 8
    POOLS: ClassVar[dict[str, str]] = {"main": "main", "const": "const"}
    """Names of the pools in the format's models."""
    SEPARATE_PORTS: ClassVar[bool] = False
    """Inputs and outputs are memories of their own."""
    HOST: ClassVar[dict[str, Callable[[Any, HostStep], None]]]

    def __init__(self, program: Program, chip: Chip, spills: dict[str, list[int]] | None = None):
        self.program = split_wide_layers(program, chip)
        self.chip = chip
        self.spills = spills or {}
        self.draft = Draft()
        self._buffers: dict[tuple[str, str, int], str] = {}
        self._pieces: dict[str, list[_Piece]] = {}
        self._host_reads: dict[str, list[tuple[int, int]]] = {}
        self._kpu_reads: dict[str, list[tuple[int, int]]] = {}
        for step in self.program.steps:
            for name in step.inputs:
                self._note(self._kpu_reads if isinstance(step, KpuStep) else self._host_reads, name)
        for name in self.program.outputs:
            self._note(self._host_reads, name)

    def run(self) -> Draft:
        """The layers of all steps."""
        for name in self.program.inputs:
            self.draft.inputs.append(self.input(self.program[name]))
        for number, step in enumerate(self.program.steps):
            self.draft.step, self.draft.number = step.name, number
            if isinstance(step, KpuStep):
                self._kpu_step(step)
            else:
                self._host_step(step)
        self.draft.step = "the output"
        for name in self.program.outputs:
            self.draft.outputs.append(self.output(self.program[name]))
        return self.draft

    # What a format decides

    def input(self, value: Value) -> Ref:
        """Where a model input arrives: in the AI RAM if only KPU layers read it, otherwise in the main memory."""
        idle = self.program.root(value.name)[0].name not in self.spills and not self._reads(self._host_reads, value)
        if value.dtype == "u1" and self._reads(self._kpu_reads, value) and idle:
            self._wrote(value, copy=0)
            return self.kpu_ref(value, 0)
        self._wrote(value, copy=None)
        return self.host_ref(value)

    def output(self, value: Value) -> Ref:
        """Where a model output is left."""
        return self.host_ref(value)

    def conv(self, fields: dict[str, Any], main: Ref | None) -> bool:
        """Add a KPU layer that also leaves its result in ``main``; True if it is in the AI RAM afterwards."""
        raise NotImplementedError

    def upload(self, source: Ref, target: Ref) -> None:
        """Add the way of a map from the main memory into the AI RAM."""
        self.draft.add(KpuUpload, "kpu_upload", input=source, out=target)

    def copy(self, source: Ref, target: Ref) -> None:
        """Add a copy of bytes in the main memory."""
        raise NotImplementedError

    # Where values are

    def host_ref(self, value: Value | str) -> Ref:
        """The value in the main memory, or the constant."""
        if isinstance(value, str):
            value = self.program[value]
        if value.data is not None:
            return self.draft.constant(value.name, value.data.reshape(value.shape))
        root, channel = self.program.root(value.name)
        buffer = self._buffer("main", root, 0, root.nbytes)
        per_channel = root.nbytes // root.shape[1] if channel else 0
        return Ref(buffer, value.dtype, value.shape, channel * per_channel)

    def kpu_ref(self, value: Value, copy: int) -> Ref:
        """The map in the AI RAM."""
        root, channel = self.program.root(value.name)
        buffer = self._buffer(KPU_POOL, root, copy, map_bytes(*root.shape[1:]))
        return channels_of(buffer, root.shape, channel, value.shape[1])

    def _buffer(self, pool: str, root: Value, copy: int, size: int) -> str:
        key = pool, root.name, copy
        if key not in self._buffers:
            port = self._port(root.name) if pool == "main" and self.SEPARATE_PORTS else None
            self._buffers[key] = self.draft.buffer(f"{root.name}@{pool}{copy or ''}", port or pool, size)
            self.draft.spaces[self._buffers[key]].pinned = port is not None
        return self._buffers[key]

    def _port(self, name: str) -> str | None:
        """The pool of an input or output of the model."""
        for kind, names in (("input", self.program.inputs), ("output", self.program.outputs)):
            if name in names:
                return f"{kind}{names.index(name)}"
        return None

    def _note(self, reads: dict[str, list[tuple[int, int]]], name: str) -> None:
        root, low, high = self.program.interval(name)
        reads.setdefault(root, []).append((low, high))

    def _reads(self, reads: dict[str, list[tuple[int, int]]], value: Value) -> bool:
        root, low, high = self.program.interval(value.name)
        return any(a < high and low < b for a, b in reads.get(root, []))

    def _wrote(self, value: Value, copy: int | None) -> None:
        root, low, high = self.program.interval(value.name)
        self._pieces.setdefault(root, []).append(_Piece(value.name, low, high, copy))

    def _copy_number(self, value: Value) -> int:
        root = self.program.root(value.name)[0].name
        return sum(at < self.draft.number for at in self.spills.get(root, []))

    # Steps

    def _kpu_step(self, step: KpuStep) -> None:
        source, target = self.program[step.input], self.program[step.output]
        read, write = self._copy_number(source), self._copy_number(target)
        root, low, high = self.program.interval(source.name)
        for piece in self._pieces.get(root, []):
            if piece.low < high and low < piece.high and piece.copy != read:
                value = self.program[piece.name]
                self.upload(self.host_ref(value), self.kpu_ref(value, read))
                piece.copy = read
        spilled = self.program.root(target.name)[0].name in self.spills
        main = self.host_ref(target) if spilled or self._reads(self._host_reads, target) else None
        maps = self.kpu_ref(source, read), self.kpu_ref(target, write)
        _, channels, height, width = source.shape
        shape = channels, height, width
        if step.rows > 1:
            step, shape = tall(step, shape)
            maps = (Ref(maps[0].buffer, "u1", (1, *shape), maps[0].offset),
                    Ref(maps[1].buffer, "u1", (1, *shape), maps[1].offset))
        d = descriptor(step, shape, self.chip)
        found = tables(step)
        fields = {
            "descriptor": d, "weights": found.weights, "batch_norm": found.batch_norm, "activation": found.activation,
            "weights_offset": 0, "batch_norm_offset": 0, "activation_offset": 0, "eight_bit": step.weight_bits == 8,
            "batches": 1, "input": maps[0], "kpu_out": maps[1]}
        self._wrote(target, write if self.conv(fields, main) else None)

    def _host_step(self, step: HostStep) -> None:
        for name in step.outputs:
            self._wrote(self.program[name], None)
        if step.op not in self.HOST:
            raise self.refusal(step.name, step.op)
        self.HOST[step.op](self, step)

    def sixteen_bits(self) -> CompileError:
        """The error for 16-bit weights where the format has no place to say so."""
        return CompileError(f"{self.draft.step}: kmodel v{self.VERSION} has no 16-bit weights, only v3 has; compile "
                            "with --weights 8 or --format v3")

    def refusal(self, step: str, what: str) -> CompileError:
        """The error for an operator that the format does not have."""
        return CompileError(f"{step}: kmodel v{self.VERSION} has no operator for {what}; compile for "
                            f"{self.ALTERNATIVES}")

    ALTERNATIVES: ClassVar[str] = "another format"


@dataclass(frozen=True)
class PlacedMap:
    """A map in the AI RAM: bytes, and the first and last layer that need it (-1: it is there before the first)."""

    name: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Lowered:
    """A model without bytes yet; ``steps`` and ``maps`` as in ``Compiled``, ``fullest`` the step with most memory."""

    model: Model
    steps: tuple[str, ...]
    maps: tuple[PlacedMap, ...]
    fullest: str


def lower(make: type[Lowering], program: Program, chip: Chip) -> Lowered:
    """The model, with addresses. Maps for which the AI RAM has no room while nobody reads them are fetched again."""
    spills: dict[str, list[int]] = {}
    for _ in range(MAX_SPILLS):
        lowering = make(program, chip, spills)
        draft = lowering.run()
        maps = draft.lifetimes(KPU_POOL)
        airam = plan(maps, ROW_BYTES)
        if airam.peak <= chip.airam_bytes:
            placed = sorted((PlacedMap(b.name.split("@")[0], airam.offsets[b.name], b.size, b.first, b.last)
                             for b in maps), key=lambda m: (m.first, m.offset))
            _, fullest = lower_bound(draft.lifetimes("main"), lowering.MAIN_ALIGN)
            return Lowered(_finish(lowering, draft, airam.offsets), tuple(layer.step for layer in draft.layers),
                           tuple(placed), draft.layers[max(fullest, 0)].step)
        victim = _victim(lowering, draft, maps)
        if victim is None:
            break
        spills.setdefault(victim[0], []).append(victim[1])
    raise _too_large(draft, maps, chip)


def _victim(lowering: Lowering, draft: Draft, maps: list[Buffer]) -> tuple[str, int] | None:
    """(map, step number): the largest map that lives where most is alive and is not used there."""
    _, at = lower_bound(maps, ROW_BYTES)
    used = {draft.resolve(r)[0] for layer in (draft.layers[at],) for r in layer.refs(True) + layer.refs(False)}
    idle = [b for b in maps if b.first < at < b.last and b.name not in used]
    if not idle:
        return None
    largest = max(idle, key=lambda b: (b.size, b.name))
    root = next(name for (_, name, _), buffer in lowering._buffers.items() if buffer == largest.name)
    number = draft.layers[at].number
    return None if number in lowering.spills.get(root, []) else (root, number)


def _too_large(draft: Draft, maps: list[Buffer], chip: Chip) -> CompileError:
    size, at = lower_bound(maps, ROW_BYTES)
    alive = sorted((b for b in maps if b.first <= at <= b.last), key=lambda b: -b.size)
    listed = ", ".join(f"{b.name.split('@')[0]} {b.size:,}" for b in alive[:4])
    return CompileError(f"{draft.layers[at].step}: the maps alive at this layer take {size:,} bytes of AI RAM "
                        f"({listed}), and the KPU has {chip.airam_bytes:,}; make the network's input smaller, or its "
                        "first layers narrower or strided")


def _finish(lowering: Lowering, draft: Draft, airam: dict[str, int]) -> Model:
    offsets = dict.fromkeys(draft.spaces, 0) | airam
    main = plan(draft.lifetimes("main"), lowering.MAIN_ALIGN)
    offsets |= main.offsets
    constants = b""
    for name, space in draft.spaces.items():
        if space.data is not None:
            constants += bytes(-len(constants) % lowering.MAIN_ALIGN)
            offsets[name] = len(constants)
            constants += space.data.tobytes()
    data, const = lowering.POOLS["main"], lowering.POOLS["const"]
    pools = {data: Pool(data, _rounded(main.peak)),
             const: Pool(const, len(constants), np.frombuffer(constants, "u1"))}
    pools |= {s.pool: Pool(s.pool, s.size) for s in draft.spaces.values() if s.pool.startswith(("input", "output"))}
    layers = tuple(_layer(lowering, layer, index, offsets) for index, layer in enumerate(draft.layers))
    inputs, outputs = (tuple(TensorSpec(i, draft.tensor(ref, offsets, lowering.POOLS)) for i, ref in enumerate(refs))
                       for refs in (draft.inputs, draft.outputs))
    return Model(source="", version=lowering.VERSION, image=b"", pools=pools, inputs=inputs, outputs=outputs,
                 layers=layers, eight_bit=all(layer.eight_bit for layer in layers if isinstance(layer, KpuConv)))


def _rounded(size: int) -> int:
    return -(-size // 8) * 8


def _layer(lowering: Lowering, layer: DraftLayer, index: int, offsets: dict[str, int]) -> Layer:
    def resolved(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(resolved, value))
        return lowering.draft.tensor(value, offsets, lowering.POOLS) if isinstance(value, Ref) else value

    fields = {name: resolved(value) for name, value in layer.fields.items()}
    if layer.cls is KpuConv:
        rows = {side: _row(fields[side]) for side in ("input", "kpu_out")}
        fields["descriptor"] = replace(fields["descriptor"], image_src_addr=rows["input"],
                                       image_dst_addr=rows["kpu_out"])
    return layer.cls(index=index, name=layer.name, offset=0, size=0, **fields)


def _row(tensor: Tensor) -> int:
    return tensor.offset // ROW_BYTES
