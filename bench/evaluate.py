# SPDX-License-Identifier: Apache-2.0
"""What a second process brings to openkpu eval: pictures on the functional back end, one frame in the RTL.

    python bench/evaluate.py [PICTURES]

Start-up of processes and simulators is not measured: every worker has done a picture before the clock starts. The frame
is v3_mask's where the third-party models are (OPENKPU_SHARED), else the demo detector's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from openkpu.evaluate.dataset import Sample
from openkpu.evaluate.job import Job
from openkpu.evaluate.journal import Journal
from openkpu.evaluate.pool import Cluster, Pool
from openkpu.evaluate.run import evaluate

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "demo"
SHARED = Path(os.environ.get("OPENKPU_SHARED") or ROOT.parent / "shared")


def seconds(job: Job, samples: list[Sample], pool: Pool, folder: Path, pieces: int = 0) -> tuple[float, list[str]]:
    """Time of an evaluation, and the checksums of its pictures."""
    results = folder / f"{time.monotonic_ns()}.csv"
    begin = time.perf_counter()
    with Journal(results, job.key) as journal:
        evaluate(job, samples, journal, pool, pieces)
        took = time.perf_counter() - begin
        bad = [row["error"] for row in journal.rows.values() if row["status"] != "ok"]
        if bad:
            sys.exit(f"bench: {bad[0]}")
        return took, [journal.rows[s.name]["crc32"] for s in samples]


def compare(what: str, job: Job, samples: list[Sample], warm: list[Sample], folder: Path, pieces: int = 0) -> None:
    """Print the time on one and on two workers."""
    found = []
    for count in (1, 2):
        pool = Cluster(None, count)
        try:
            seconds(job, warm, pool, folder, pieces)
            found.append(seconds(job, samples, pool, folder, pieces))
        finally:
            pool.close()
    (one, expected), (two, got) = found
    load = os.getloadavg()[0]
    print(f"{what}: {one:.1f} s on one worker, {two:.1f} s on two, {one / two:.2f} times as fast; results "
          f"{'equal' if expected == got else 'DIFFERENT'}; load of the machine {load:.1f}", flush=True)


def main() -> None:
    """Run both."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    paths = sorted((DEMO / "pictures").glob("*.png"))
    with tempfile.TemporaryDirectory() as name:
        model = DEMO / "shapes.kmodel"
        samples = [Sample(f"{i}", paths[i % len(paths)]) for i in range(count)]
        compare(f"{count} pictures, functional", Job(model.read_bytes(), str(model)), samples,
                [Sample(f"w{i}", paths[0]) for i in range(16)], Path(name))
        mask = SHARED / "kmodels" / "v3_mask.kmodel"
        frame = mask if mask.is_file() else model
        job = Job(frame.read_bytes(), str(frame), backend="rtl")
        compare(f"a frame of {frame.stem} in the RTL, in pieces", job, [Sample("frame", paths[1])],
                [Sample("warm", paths[0])], Path(name), pieces=8)


if __name__ == "__main__":
    main()
