# SPDX-License-Identifier: Apache-2.0
"""One picture's layers on several workers: each begins with the golden model's maps, and must end with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import DeviceError, InputError
from ..kmodel.model import KpuConv, Layer, Model, Tensor
from ..runtime import LayerResult, Session
from ..runtime.parts import live, part
from .job import Job
from .worker import Evaluator, Row, evaluator, failed

Checks = list[tuple[int, int]]
"""(layer, CRC-32 of its map) in order, batches one by one."""


@dataclass(frozen=True)
class Piece:
    """Layers ``begin`` to ``end`` of a picture, and what they read that was written before."""

    picture: str
    number: int
    begin: int
    end: int
    maps: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class PieceResult:
    """What the layers gave on the device."""

    checks: Checks
    cycles: int | None
    outputs: tuple[np.ndarray, ...]
    seconds: float


class Recorder:
    """Hook that keeps the checksums of KPU layers, and the maps at the beginnings of pieces."""

    def __init__(self, session: Session | None = None, reads: dict[int, tuple[Tensor, ...]] | None = None):
        self.checks: Checks = []
        self.maps: dict[int, tuple[np.ndarray, ...]] = {}
        self._session, self._reads = session, reads or {}

    def layer_started(self, layer: Layer) -> None:
        if self._session and layer.index in self._reads:
            self.maps[layer.index] = tuple(self._session.fetch(t) for t in self._reads[layer.index])

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        if result.crc32 is not None:
            self.checks.append((result.index, result.crc32))


def cuts(model: Model, pieces: int) -> list[int]:
    """First layers of at most ``pieces`` pieces with about the same number of multiply-accumulates."""
    work = np.cumsum([layer.descriptor.macs * layer.batches if isinstance(layer, KpuConv) else 0
                      for layer in model.layers], dtype=np.float64)
    begins = [int(np.searchsorted(work, work[-1] * k / pieces)) + 1 for k in range(1, pieces)]
    return sorted({0, *(b for b in begins if b < len(model.layers))})


@lru_cache(maxsize=8)
def _part_session(job: Job, begin: int, end: int) -> Session:
    ready = evaluator(job)
    return Session(part(ready.model, begin, end), ready.device, chip_rounding=job.chip_rounding)


def run_piece(job: Job, piece: Piece) -> PieceResult:
    """Run a piece's layers on the job's device."""
    start = time.perf_counter()
    session = _part_session(job, piece.begin, piece.end)
    recorder = Recorder()
    outputs = session.run(piece.maps, hooks=(recorder,))
    return PieceResult(recorder.checks, session.cycles, tuple(outputs), time.perf_counter() - start)


class Frame:
    """A picture that is run in pieces, and what has come of it so far.

    Attributes
    ----------
    failed : the row, if the picture cannot be used.
    """

    def __init__(self, job: Job, golden: Evaluator, name: str, data: bytes, count: int):
        self.failed: Row | None = None
        self.pieces: list[Piece] = []
        self._job, self._golden, self._name = job, golden, name
        self._results: dict[int, PieceResult | None] = {}
        begins = cuts(golden.model, count)
        ends = [*(b - 1 for b in begins[1:]), len(golden.model.layers) - 1]
        recorder = Recorder(golden.session, {b: live(golden.model, b, e) for b, e in zip(begins, ends, strict=True)})
        try:
            self._prepared = golden.prepare(name, data)
            golden.session.run([self._prepared.array], hooks=(recorder,))
        except InputError as error:
            self.failed = failed(job, name, str(error))
            return
        self._expected = recorder.checks
        self.pieces = [Piece(name, n, b, e, recorder.maps[b])
                       for n, (b, e) in enumerate(zip(begins, ends, strict=True))]

    def add(self, piece: Piece, result: PieceResult | None) -> None:
        """Note a piece's result, None if its workers died."""
        self._results[piece.number] = result

    @property
    def complete(self) -> bool:
        """Whether all pieces are there."""
        return len(self._results) == len(self.pieces)

    def row(self) -> Row:
        """The picture's row; DeviceError naming the first layer that differs from the golden model."""
        results = [self._results[n] for n in range(len(self.pieces))]
        done = [r for r in results if r is not None]
        if len(done) < len(results):
            return failed(self._job, self._name, "a process that worked on its layers died, several times")
        self._compare([check for r in done for check in r.checks])
        counted = [r.cycles for r in done if r.cycles is not None]
        return {**self._golden.frame(self._name), "seconds": round(sum(r.seconds for r in done), 4),
                "cycles": sum(counted) if counted else "", **self._golden.judge(self._prepared, done[-1].outputs)}

    def _compare(self, found: Checks) -> None:
        for (index, crc), (wanted_index, wanted) in zip(found, self._expected, strict=True):
            if (index, crc) != (wanted_index, wanted):
                layer = self._golden.model.layers[index]
                raise DeviceError(f"{self._name}: layer {index} ({layer.name}) gives another map on the "
                                  f"'{self._job.backend}' back end than in the golden model; openkpu compare names the "
                                  "value")

