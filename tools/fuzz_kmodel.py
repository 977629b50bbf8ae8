# SPDX-License-Identifier: Apache-2.0
"""Fuzzing of the loaders: ``python tools/fuzz_kmodel.py --count N --seed S FILE...``

Every file is mutated (bits, words, truncation, splicing, zip contents) and loaded. A load must end in a model or in
``ModelError``, within ``--seconds`` of processor time and ``--memory`` bytes beyond what the process has at the start
(the operating system enforces it). Anything else is printed with the seed that makes it again, and the exit code is 1.
With ``--run`` models that need no more than that many steps also run on the functional back end, with random input;
they must end in outputs or in an exception of ``openkpu.errors``.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import struct
import sys
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from openkpu.errors import ModelError, OpenKPUError
from openkpu.kmodel.identify import identify
from openkpu.kmodel.load import load, model_size
from openkpu.kmodel.model import Model
from openkpu.kmodel.summary import describe, macs

EVIL = (0, 1, 2, 3, 7, 63, 64, 255, 256, 1023, 1024, 65535, 65536, 2 << 20, 64 << 20, 0x7FFFFFFF, 0x80000000,
        0xFFFFFFF0, 0xFFFFFFFF, 0x7FC00000, 0x7F800000, 0xFF800000)
"""Words that break arithmetic on sizes and floats."""

LARGE = 32768
"""Bytes from which on mutations favour headers: hits in the weights of a large file teach nothing."""


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """Up to eight single bits."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        out[_position(len(out), rng)] ^= 1 << rng.randrange(8)
    return bytes(out)


def set_words(data: bytes, rng: random.Random) -> bytes:
    """Up to three aligned words become evil values."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        struct.pack_into("<I", out, min(_position(len(out), rng) & ~3, len(out) - 4), rng.choice(EVIL))
    return bytes(out)


def nudge_words(data: bytes, rng: random.Random) -> bytes:
    """A word becomes a little larger or smaller."""
    out = bytearray(data)
    at = min(_position(len(out), rng) & ~3, len(out) - 4)
    value = struct.unpack_from("<I", out, at)[0] + rng.choice((-256, -64, -8, -4, -1, 1, 4, 8, 64, 256))
    struct.pack_into("<I", out, at, value & 0xFFFFFFFF)
    return bytes(out)


def truncate(data: bytes, rng: random.Random) -> bytes:
    """Any shorter file."""
    return data[: _position(len(data), rng) if rng.random() < 0.5 else rng.randrange(len(data))]


def copy_within(data: bytes, rng: random.Random) -> bytes:
    """A piece of the file over another place."""
    size = rng.randint(1, 256)
    source, target = _position(len(data), rng), _position(len(data), rng)
    return data[:target] + data[source: source + size] + data[target + size:]


def remove_or_insert(data: bytes, rng: random.Random) -> bytes:
    """Some bytes less or more in the middle."""
    at, size = _position(len(data), rng), rng.choice((1, 2, 4, 8, 24, 96))
    return data[:at] + (data[at + size:] if rng.random() < 0.5 else rng.randbytes(size) + data[at:])


def _position(size: int, rng: random.Random) -> int:
    """A place in the file; in large files mostly near the start."""
    if size > LARGE and rng.random() < 0.7:
        return rng.randrange(4096)
    return rng.randrange(size)


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bits, set_words, set_words, nudge_words, nudge_words, truncate, copy_within, remove_or_insert)


def mutate_zip(data: bytes, rng: random.Random) -> bytes:
    """A package with a mutated list or member, packed again; sometimes the archive's own bytes are hit instead."""
    if rng.random() < 0.5:
        return rng.choice(MUTATIONS)(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(i.filename, archive.read(i)) for i in archive.infolist()]
    chosen = rng.randrange(len(members))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for i, (name, content) in enumerate(members):
            if i == chosen and rng.random() < 0.1:
                continue
            archive.writestr(name, rng.choice(MUTATIONS)(content, rng) if i == chosen and content else content)
    return out.getvalue()


def mutate(files: list[bytes], rng: random.Random) -> bytes:
    """One mutated file."""
    data = rng.choice(files)
    if identify(data).kind == "zip":
        data = mutate_zip(data, rng)
    elif rng.random() < 0.05:
        other = rng.choice(files)
        data = data[: _position(len(data), rng)] + other[_position(len(other), rng):]
    else:
        data = rng.choice(MUTATIONS)(data, rng)
    while len(data) >= 8 and rng.random() < 0.3:
        data = rng.choice(MUTATIONS)(data, rng)
    return data


@dataclass
class Report:
    """What happened. ``failures``: (seed of the file, what was wrong)."""

    loaded: int = 0
    refused: int = 0
    ran: int = 0
    reasons: Counter = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    slowest: float = 0.0
    largest: int = 0

    @property
    def count(self) -> int:
        return self.loaded + self.refused + len(self.failures)


def check(data: bytes, seed: int, report: Report, *, seconds: float, memory: int, steps: int) -> None:
    """Load ``data`` under the bounds and note the outcome. ``memory`` counts only while ``tracemalloc`` runs."""
    tracemalloc.reset_peak()
    base = tracemalloc.get_traced_memory()[0]
    start = time.process_time()
    try:
        model = _use(data)
        report.loaded += 1
        if work_of(model) <= steps:
            report.ran += execute(model, seed)
    except ModelError as error:
        report.refused += 1
        report.reasons[f"{error.version or 'file'}: {error.field or 'other'}"[:60]] += 1
        text = str(error)
        if len(text) > 1200 or "\n" in text or not text:
            report.failures.append((seed, f"bad message {text[:200]!r}"))
    except Exception as error:  # the point of the exercise: nothing else may come out
        report.failures.append((seed, f"{type(error).__name__}: {error}"))
    elapsed = time.process_time() - start
    used = tracemalloc.get_traced_memory()[1] - base
    report.slowest, report.largest = max(report.slowest, elapsed), max(report.largest, used)
    if elapsed > seconds:
        report.failures.append((seed, f"took {elapsed:.1f} s"))
    if used > memory:
        report.failures.append((seed, f"needed {used} bytes for a file of {len(data)}"))


def _use(data: bytes) -> Model:
    model = load(data, source="fuzz")
    size = model_size(data) if identify(data).kind != "zip" else model.size
    if size < model.size:
        raise AssertionError(f"model_size {size} is less than the model's {model.size}")
    describe(model)
    return model


def work_of(model: Model) -> int:
    """Elementary steps of one run, roughly: multiplications and elements touched."""
    return sum(macs(layer) + sum(t.count for t in (*layer.inputs, *layer.outputs)) for layer in model.layers)


def execute(model: Model, seed: int) -> bool:
    """Run the model on the functional back end; False if that is refused with a documented exception."""
    # Only here: the loaders do not depend on the runtime.
    from openkpu.devices.functional import FunctionalDevice
    from openkpu.runtime.session import Session

    rng = np.random.default_rng(seed)
    inputs = [rng.integers(0, 256, s.shape).astype(s.dtype) for s in model.inputs]
    try:
        Session(model, FunctionalDevice()).run(inputs)
    except OpenKPUError:
        return False
    return True


def run(files: list[bytes], count: int, seed: int, *, seconds: float = 5.0, memory: int = 64 << 20, steps: int = 0,
        progress: Callable[[Report], None] | None = None) -> Report:
    """Load ``count`` mutants of ``files``; mutant i is ``mutant(files, seed + i)``. ``steps``: see ``--run``."""
    report = Report()
    for i in range(count):
        check(mutant(files, seed + i), seed + i, report, seconds=seconds, memory=memory, steps=steps)
        if progress and (i + 1) % 5000 == 0:
            progress(report)
    return report


def mutant(files: list[bytes], seed: int) -> bytes:
    """The mutant of a seed."""
    return mutate(files, random.Random(seed))


def _inputs(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        for name in sorted(path.iterdir()) if path.is_dir() else [path]:
            if name.suffix in (".kmodel", ".kfpkg"):
                yield name.read_bytes()


def limit_memory(extra: int) -> None:
    """Let this process grow by no more than ``extra`` bytes: more gives MemoryError, which counts as a failure."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", help="model files or folders to mutate")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time allowed for one file")
    parser.add_argument("--memory", type=int, default=256 << 20, help="bytes allowed for one file")
    parser.add_argument("--run", type=int, default=0, metavar="STEPS", help="also run models of at most STEPS steps")
    options = parser.parse_args(argv)
    files = list(_inputs(options.paths))
    if not files:
        parser.error("no .kmodel or .kfpkg file among the paths")
    limit_memory(options.memory)
    report = run(files, options.count, options.seed, seconds=options.seconds, memory=options.memory, steps=options.run,
                 progress=lambda r: print(f"{r.count} done", file=sys.stderr, flush=True))
    print(f"{len(files)} files, {report.count} mutants: {report.loaded} loaded ({report.ran} ran), "
          f"{report.refused} refused, {len(report.failures)} failures; slowest {report.slowest:.2f} s, "
          f"peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
    for reason, number in report.reasons.most_common(15):
        print(f"  {number:7d}  {reason}")
    for seed, problem in report.failures[:50]:
        print(f"FAILED seed {seed}: {problem}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
