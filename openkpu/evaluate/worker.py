# SPDX-License-Identifier: Apache-2.0
"""A picture becomes a row of results; what runs in every process of an evaluation."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..devices.backends import open_device
from ..errors import InputError, OpenKPUError
from ..hw.configs import config_named
from ..inputs import Prepared, prepare_bytes
from ..kmodel import load
from ..runtime import Session
from .decode import best, decoder
from .job import Job
from .reference import Reference

Row = dict[str, Any]

COLUMNS = ("run", "picture", "status", "error", "seconds", "cycles", "crc32", "width", "height", "best", "boxes",
           "reference_best", "reference_boxes", "signal", "noise")
"""``best``, ``boxes``, ``signal`` and ``noise`` are JSON lists; the latter two hold a sum of squares per output."""


class Evaluator:
    """A job's model on its device, ready for any number of pictures."""

    def __init__(self, job: Job):
        self.job = job
        self.model = load(job.model, source=job.source, member=job.member, release=job.release,
                          strict_math=job.strict_math)
        self.device = open_device(job.backend, config_named(job.config))
        self.session = Session(self.model, self.device, chip_rounding=job.chip_rounding)
        self._decode = decoder(job, self.model)
        self._reference = Reference(job) if job.reference else None

    def prepare(self, name: str, data: bytes) -> Prepared:
        """The model's input from a picture's bytes."""
        if len(self.model.inputs) != 1:
            raise InputError(f"{self.model.source} takes {len(self.model.inputs)} inputs; models of one input can be "
                             "evaluated")
        return prepare_bytes(self.model.inputs[0], name, data, self.job.fit)

    def row(self, name: str, data: bytes) -> Row:
        """All results of a picture; a row with status "error" and the reason if it cannot be used."""
        begin = time.perf_counter()
        try:
            prepared = self.prepare(name, data)
            outputs = self.session.run([prepared.array])
            found = self.judge(prepared, outputs)
        except InputError as error:
            return failed(self.job, name, str(error))
        cycles = self.session.cycles
        return {**self.frame(name), "seconds": round(time.perf_counter() - begin, 4),
                "cycles": "" if cycles is None else cycles, **found}

    def frame(self, name: str) -> Row:
        """The row of a picture that could be used, without results."""
        return {**empty(self.job, name), "status": "ok"}

    def judge(self, prepared: Prepared, outputs: Sequence[np.ndarray]) -> Row:
        """What the outputs say."""
        size = prepared.picture.size if prepared.picture else prepared.array.shape[:-3:-1]
        found: Row = {"crc32": checksum(outputs), "width": size[0], "height": size[1], **self._judged("", prepared,
                                                                                                   outputs)}
        if self._reference:
            wanted = self._reference.run([prepared.array])
            found |= self._judged("reference_", prepared, wanted)
            if "sqnr" in self.job.metrics:
                found |= _noise(outputs, wanted)
        return found

    def _judged(self, prefix: str, prepared: Prepared, outputs: Sequence[np.ndarray]) -> Row:
        found: Row = {}
        if {"top1", "top5"} & set(self.job.metrics):
            found[f"{prefix}best"] = json.dumps(best(outputs[0]))
        if "map" in self.job.metrics and self._decode:
            found[f"{prefix}boxes"] = json.dumps(self._decode(outputs, prepared))
        return found


def _noise(outputs: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> Row:
    if len(wanted) < len(outputs) or any(a.size != b.size for a, b in zip(outputs, wanted, strict=False)):
        raise InputError(f"--reference: its outputs {[list(w.shape) for w in wanted]} are not the model's "
                         f"{[list(o.shape) for o in outputs]}")
    pairs = [(a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64))
             for a, b in zip(outputs, wanted, strict=False)]
    return {"signal": json.dumps([float(b @ b) for _, b in pairs]),
            "noise": json.dumps([float((a - b) @ (a - b)) for a, b in pairs])}


def checksum(outputs: Sequence[np.ndarray]) -> str:
    """CRC-32 of all outputs' bytes, one behind the other, in hexadecimal."""
    crc = 0
    for output in outputs:
        crc = zlib.crc32(output.tobytes(), crc)
    return f"{crc:08x}"


def empty(job: Job, name: str) -> Row:
    """A picture's row without results."""
    return {**dict.fromkeys(COLUMNS, ""), "run": job.key, "picture": name}


def failed(job: Job, name: str, reason: str) -> Row:
    """The row of a picture that could not be used."""
    return {**empty(job, name), "status": "error", "error": " ".join(reason.split())[:500]}


@lru_cache(maxsize=2)
def evaluator(job: Job) -> Evaluator:
    """This process's evaluator, made once."""
    return Evaluator(job)


def rows(job: Job, pictures: Sequence[tuple[str, bytes]]) -> list[Row]:
    """The rows of some pictures.

    Raises
    ------
    OpenKPUError
        The model, the device or an option is at fault, not a picture.
    """
    ready = evaluator(job)
    try:
        return [ready.row(name, data) for name, data in pictures]
    except OpenKPUError:
        evaluator.cache_clear()  # a device that has failed is not used again
        raise
