# SPDX-License-Identifier: Apache-2.0
"""Walks the float network and maps operator by operator; what makes stored maps of logical tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...hw.fields import AIRAM_BYTES
from ..errors import CompileError
from ..functions import IDENTITY, Function
from ..graph import Graph, Node
from ..limits import MAX_CHANNELS, MAX_HEIGHT, MAX_WIDTH, MIN_SIDE, map_bytes, tall_map
from . import blocks
from .logical import Logical, Size, centred, concat
from .network import HostOp, KpuLayer, Network, Part

STRIDES = {0: 1, 1: 2, 2: 2, 3: 4, 4: 4, 5: 2, 6: 2, 7: 4, 8: 1, 9: 1}
Handler = Callable[["Mapper", Node], None]
HANDLERS: dict[str, Handler] = {}


def handler(*ops: str) -> Callable[[Handler], Handler]:
    """Register the function that maps these operators."""

    def register(function: Handler) -> Handler:
        for op in ops:
            HANDLERS[op] = function
        return function

    return register


class Mapper:
    """State of one mapping.

    Attributes
    ----------
    net : what has been made.
    logical : tensors of the float network as combinations of stored maps.
    hosted : value of the float network -> value on the host.
    done : nodes that an earlier one has taken over.
    scaled : value -> (value, scale, shift) that it is made of, where only convolutions in strips read it.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.net = Network()
        self.consumers = graph.consumers()
        self.logical: dict[str, Logical] = {}
        self.hosted: dict[str, str] = {}
        self.done: set[int] = set()
        self.copies: dict[tuple[str, int, int], str] = {}
        self.grown: dict[tuple[str, Size], str] = {}
        self.ones: dict[Size, str] = {}
        self.fused: dict[str, str] = {}
        self.scaled: dict[str, tuple[str, np.ndarray, np.ndarray]] = {}

    def run(self) -> Network:
        for name in self.graph.inputs:
            self.net.inputs.append(name)
            self.net.shapes[name] = self.graph.shapes[name]
            if len(self.graph.shapes[name]) == 4 and self.fits(self.graph.shapes[name]):
                self.keep(name)
            else:
                self.hosted[name] = name
                if len(self.graph.shapes[name]) == 4:
                    self.net.maps[name] = None  # codes all the same
        for node in self.graph.nodes:
            if id(node) not in self.done:
                HANDLERS.get(node.op, HANDLERS["host"])(self, node)
        for name in self.graph.outputs:
            self.net.outputs.append(self.on_host(name))
        for value, codes in self.graph.codes.items():
            x = self.logical.get(value)
            place = x.stored() if x else None
            if x and place and place[1] == 0 and self.net.shapes[place[0]][1] == x.channels:
                self.net.codes[place[0]] = codes
        return self.net

    # tensors

    def keep(self, name: str, valid: Size | None = None, clean: bool = True, label: str = "") -> Logical:
        """The value of that name is a stored map; its logical tensor."""
        shape = self.net.shapes[name]
        self.net.maps[name] = None
        x = Logical({name: np.eye(shape[1])[:, :, None, None]}, np.zeros(shape[1]), valid or shape[2:], shape[2:],
                    clean=clean, label=label or name)
        self.logical[name] = x
        return x

    def tensor(self, name: str) -> Logical | None:
        """A value as a logical tensor; None if it lives on the host and is no map."""
        if name in self.logical:
            return self.logical[name]
        shape = self.graph.shapes[name]
        source = self.hosted.get(name)
        if source is None or len(shape) != 4 or shape[0] != 1 or shape[1] > MAX_CHANNELS or not self.fits(shape):
            return None
        if source in self.net.constants:
            return None
        self.logical[name] = self.keep(source)
        return self.logical[name]

    @staticmethod
    def fits(shape: tuple[int, ...]) -> bool:
        """True if the KPU takes a map of that shape at once."""
        return shape[2] <= MAX_HEIGHT and shape[3] <= MAX_WIDTH and map_bytes(*shape[1:]) <= AIRAM_BYTES

    def single(self, value: str) -> bool:
        """True if exactly one node reads the value."""
        return len(self.consumers.get(value, ())) == 1 and value not in self.graph.outputs

    def function_after(self, node: Node) -> tuple[Function, np.ndarray | None, str]:
        """(function, slopes, value) where a function that alone follows the node is taken over."""
        value = node.output
        if self.single(value):
            (after,) = self.consumers[value]
            if after.op in ("act", "prelu"):
                self.done.add(id(after))
                if after.op == "prelu":
                    return IDENTITY, after.attrs["slope"], after.output
                return after.attrs["function"], None, after.output
        return IDENTITY, None, value

    # stored maps

    def materialize(self, x: Logical, function: Function = IDENTITY, slopes: np.ndarray | None = None, pool: int = 0,
                    name: str = "", why: str = "", low_outside: bool = False) -> Logical:
        """A stored map of function(x), pooled."""
        plain = not function.steps and slopes is None
        if plain and not pool and x.stored():
            return x
        if pool and x.pool:
            x = self.materialize(x, function, slopes, name=name, why=why)
            function, slopes = IDENTITY, None
        x = self.big_enough(x, STRIDES[pool or x.pool])
        if sum(self.net.shapes[m][1] for m in x.terms) > MAX_CHANNELS:
            raise CompileError(f"node '{x.label}' needs more than {MAX_CHANNELS} input channels on the KPU; make the "
                               "layer narrower")
        return self.layers(x, function, slopes, pool or x.pool, name or x.label, why or x.why, low_outside)

    def layers(self, x: Logical, function: Function, slopes: np.ndarray | None, pool: int, name: str, why: str,
               low_outside: bool) -> Logical:
        """The KPU layers that compute function(x) and pool it, more than one where channels do not mix."""
        side = x.kernel
        maps = list(x.terms) or self.any_map(x.physical)
        weights = np.concatenate([centred(x.terms[m], side) if m in x.terms else
                                  np.zeros((x.channels, self.net.shapes[m][1], 1, 1)) for m in maps], axis=1)
        plain = not function.steps and slopes is None
        exact = plain and not x.const.any() and len(maps) == 1 and _moves(weights)
        stride = STRIDES[pool]
        size = x.physical[0] // stride, x.physical[1] // stride
        offsets = np.cumsum([0] + [self.net.shapes[m][1] for m in maps])
        pieces = []
        for outs, ins in blocks.split(weights, size, x.physical, len(maps) == 1):
            output = self.new_map(name, (1, outs.stop - outs.start, *size))
            if len(maps) == 1:
                parts = [Part(maps[0], ins.start, ins.stop - ins.start)]
            else:
                parts = [Part(m, 0, int(offsets[i + 1] - offsets[i])) for i, m in enumerate(maps)]
                ins = slice(0, int(offsets[-1]))
            layer = KpuLayer(name, parts, output, weights[outs, ins], x.const[outs].copy(), function, pool=pool,
                             exact=exact, low_outside=low_outside, origin=x.label, why=why)
            if slopes is not None:
                layer.slopes = slopes[outs], np.ones(outs.stop - outs.start)
            self.net.steps.append(layer)
            pieces.append(self.keep(output, x.valid, x.valid == size, x.label))
        if len(pieces) == 1:
            return pieces[0]
        return concat(pieces)

    def any_map(self, size: Size) -> list[str]:
        """Some stored map of that size, as the input of a layer that gives constants."""
        return [next(m for m in reversed(self.net.maps) if self.net.shapes[m][2:] == size)]

    def new_map(self, stem: str, shape: tuple[int, ...]) -> str:
        if map_bytes(*shape[1:]) > 2 << 20:
            raise CompileError(f"node '{stem}' makes a map of {shape[1]}x{shape[2]}x{shape[3]}, "
                               f"{map_bytes(*shape[1:]):,} bytes of the AI RAM's {2 << 20:,}; use a smaller input or "
                               "fewer channels")
        name, i = stem, 1
        while name in self.net.shapes:
            name, i = f"{stem}.{i}", i + 1
        self.net.shapes[name] = shape
        self.net.maps[name] = None
        return name

    def big_enough(self, x: Logical, stride: int, outputs: Size = (0, 0)) -> Logical:
        """The same tensor over maps that are at least 4x4 before and after a pool, padded on the host where not."""
        size = tuple(max(n, MIN_SIDE * stride if n // stride < MIN_SIDE else n, stride * o)
                     for n, o in zip(x.physical, outputs, strict=True))
        if max(size[0] / MAX_HEIGHT, size[1] / MAX_WIDTH) > 1:
            raise CompileError(f"node '{x.label}' has a map {size[1]} pixels wide and {size[0]} high; the KPU takes "
                               f"{MAX_WIDTH}x{MAX_HEIGHT}, use a smaller input")
        if size == x.physical:
            return x
        clean = x.clean or x.valid == x.physical
        return x.changed(terms={self.grow(m, size): k for m, k in x.terms.items()}, physical=size, clean=clean)

    def grow(self, name: str, size: Size) -> str:
        """A copy of a map with zeros behind its last row and column."""
        if (name, size) not in self.grown:
            shape = self.net.shapes[name]
            grown = self.new_map(f"{name}.padded", (*shape[:2], *size))
            pads = ((0, 0), (0, 0), (0, size[0] - shape[2]), (0, size[1] - shape[3]))
            self.net.steps.append(HostOp(f"{name}.padded", "pad", [name], grown, {"pads": pads, "value": 0.0},
                                         f"a layer needs a map of {size[1]}x{size[0]}, which no KPU layer can make of "
                                         f"{shape[3]}x{shape[2]}"))
            self.grown[name, size] = grown
        return self.grown[name, size]

    def shifted(self, name: str, y: int, x: int, low_outside: bool = False) -> str:
        """copy[i, j] = map[i + y, j + x], zero outside: one depthwise layer per pixel, or for several rows at once."""
        if not (y or x):
            return name
        key = name, y, x
        if key not in self.copies:
            rows = self.rows_at_once(name, y)
            step = int(np.sign(y)), int(np.sign(x)) if rows == 1 else 0
            source = self.shifted(name, y - rows * step[0], x - step[1], low_outside)
            channels = self.net.shapes[name][1]
            weights = np.zeros((channels, 1, 3, 3))
            weights[:, 0, 1 + step[0], 1 + step[1]] = 1
            output = self.new_map(f"{name}.at{y:+d}{x:+d}", self.net.shapes[name])
            self.net.steps.append(KpuLayer(
                output, [Part(source, 0, channels)], output, weights, np.zeros(channels), depthwise=True, exact=True,
                rows=rows, low_outside=low_outside, origin=name, why=f"the map moved by {y} rows and {x} columns"))
            self.copies[key] = output
        return self.copies[key]

    def rows_at_once(self, name: str, y: int) -> int:
        """How many of |y| rows one layer can move the map by."""
        _, channels, height, width = self.net.shapes[name]
        return next((d for d in range(abs(y), 1, -1) if tall_map(channels, height, width, d)), 1)

    def ones_of(self, size: Size) -> str:
        """A map of one channel that is 1 everywhere; outside it is zero, which tells a layer where the image ends."""
        if size not in self.ones:
            (source,) = self.any_map(size)
            output = self.new_map(f"ones{size[1]}x{size[0]}", (1, 1, *size))
            self.net.steps.append(KpuLayer(output, [Part(source, 0, 1)], output, np.zeros((1, 1, 3, 3)), np.ones(1),
                                           depthwise=True, origin="ones", why="marks the inside of the image"))
            self.ones[size] = output
        return self.ones[size]

    # the host

    def on_host(self, value: str, label: str = "") -> str:
        """The name of a value that host operators can read."""
        if value in self.hosted:
            return self.hosted[value]
        if value in self.graph.constants:
            array = np.asarray(self.graph.constants[value], np.float32)
            self.net.constants[value] = array
            self.net.shapes[value] = array.shape
            self.hosted[value] = value
            return value
        x = self.logical[value]
        parts = self.pieces(x) if x.free and not x.stored() else []
        places = [p.stored() for p in parts]
        if parts and all(places):
            names = [self.cropped(p, s) for p, s in zip(parts, places, strict=True) if s]
            self.hosted[value] = self.host("concat", names, (1, x.channels, *x.valid), f"{value}.joined", {"axis": 1},
                                           "parts of a tensor that leaves the KPU")
            return self.hosted[value]
        stored = self.materialize(x, name=label or x.label)
        place = stored.stored()
        if place is None:  # blocks of channels
            parts = self.pieces(stored)
            names = [self.cropped(p, s) for p in parts if (s := p.stored())]
            self.hosted[value] = self.host("concat", names, (1, x.channels, *x.valid), f"{value}.joined", {"axis": 1},
                                           "parts of a tensor that leaves the KPU")
            return self.hosted[value]
        self.hosted[value] = self.cropped(stored, place)
        return self.hosted[value]

    def pieces(self, x: Logical) -> list[Logical]:
        """A tensor cut where its channels come from another map."""
        owner = [tuple(sorted(m for m, k in x.terms.items() if np.any(k[c]))) for c in range(x.channels)]
        cuts = [0] + [c for c in range(1, x.channels) if owner[c] != owner[c - 1]] + [x.channels]
        return [x.rows(np.arange(a, b)) for a, b in zip(cuts, cuts[1:], strict=False)]

    def cropped(self, x: Logical, place: tuple[str, int]) -> str:
        """The channels and pixels of a stored map that count, as a host value."""
        name, first = place
        shape = self.net.shapes[name]
        begin, end = (0, first, 0, 0), (1, first + x.channels, *x.valid)
        if end == shape and not first:
            return name
        return self.host("slice", [name], (1, x.channels, *x.valid), f"{name}.cropped",
                         {"begin": begin, "end": end, "step": (1, 1, 1, 1)}, "only this part of the map counts")

    def host(self, op: str, inputs: list[str], shape: tuple[int, ...], stem: str, attrs: dict | None = None,
             why: str = "") -> str:
        """Append a host operator; the name of its result."""
        name, i = stem, 1
        while name in self.net.shapes:
            name, i = f"{stem}.{i}", i + 1
        self.net.shapes[name] = tuple(shape)
        self.net.steps.append(HostOp(stem, op, inputs, name, attrs or {}, why))
        return name


def _moves(weights: np.ndarray) -> bool:
    """True if every output is one input pixel, unchanged."""
    flat = weights.reshape(len(weights), -1)
    return bool(((flat == 0) | (flat == 1)).all() and (flat.sum(axis=1) == 1).all())
