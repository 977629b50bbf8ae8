# SPDX-License-Identifier: Apache-2.0
"""An evaluation from pictures to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..files import read_file
from ..pictures import MAX_FILE
from .dataset import Sample
from .frame import Frame, Piece, run_piece
from .job import Job
from .journal import Journal
from .pool import Pool, WorkerDied
from .worker import Row, evaluator, failed, rows

BATCH = 8
GIVEN_UP = "the process that worked on it died, several times"

Batch = list[tuple[str, bytes]]
Progress = Callable[[Row], None]


def evaluate(job: Job, samples: Sequence[Sample], journal: Journal, pool: Pool, pieces: int = 0,
             progress: Progress = lambda row: None) -> None:
    """Work on all pictures that the journal does not have.

    Parameters
    ----------
    pieces : cut every picture's layers into so many pieces that run apart; 0 does not.
    progress : told of every row, after it is kept.

    Raises
    ------
    OpenKPUError
        The model, the device or the cluster is at fault. What was finished is kept.
    """
    left = [s for s in samples if s.name not in journal.rows]
    work = _apart(job, left, pool, pieces) if pieces else _whole(job, left, pool)
    for row in work:
        journal.add(row)
        progress(row)


def _read(job: Job, samples: Sequence[Sample]) -> Iterator[tuple[Sample, bytes | Row]]:
    """Pictures' bytes, or the row that says why there are none."""
    for sample in samples:
        try:
            yield sample, read_file(sample.path, MAX_FILE)
        except OSError as error:
            yield sample, failed(job, sample.name, f"{sample.path}: cannot be read ({error.strerror or error})")


def _whole(job: Job, samples: Sequence[Sample], pool: Pool) -> Iterator[Row]:
    """Batches, such that every worker has several. A batch that kills its workers is taken picture by picture."""
    size = 1 if pool.workers == 1 else max(1, min(BATCH, len(samples) // (4 * pool.workers)))
    unreadable: list[Row] = []

    def batches() -> Iterator[tuple[Batch]]:
        batch: Batch = []
        for sample, data in _read(job, samples):
            if isinstance(data, dict):
                unreadable.append(data)
                continue
            batch.append((sample.name, data))
            if len(batch) == size:
                yield (batch,)
                batch = []
        if batch:
            yield (batch,)

    singles: list[tuple[Batch]] = []
    for task, result in pool.run(rows, job, batches()):
        if not isinstance(result, WorkerDied):
            yield from result
        elif len(task[0]) == 1:
            yield failed(job, task[0][0][0], GIVEN_UP)
        else:
            singles += [([picture],) for picture in task[0]]
    yield from unreadable
    for task, result in pool.run(rows, job, singles):
        yield from [failed(job, task[0][0][0], GIVEN_UP)] if isinstance(result, WorkerDied) else result


def _apart(job: Job, samples: Sequence[Sample], pool: Pool, pieces: int) -> Iterator[Row]:
    """Pieces of frames, the golden model's maps at their beginnings; a frame's row when all its pieces are there."""
    frames: dict[str, Frame] = {}
    finished: list[Row] = []

    def tasks() -> Iterator[tuple[Piece]]:
        for sample, data in _read(job, samples):
            if isinstance(data, dict):
                finished.append(data)
                continue
            frame = Frame(job, evaluator(job.on("functional")), sample.name, data, pieces)
            if frame.failed is not None:
                finished.append(frame.failed)
                continue
            frames[sample.name] = frame
            for piece in frame.pieces:
                yield (piece,)

    for task, result in pool.run(run_piece, job, tasks()):
        piece: Piece = task[0]
        frame = frames[piece.picture]
        frame.add(piece, None if isinstance(result, WorkerDied) else result)
        if frame.complete:
            finished.append(frames.pop(piece.picture).row())
        while finished:
            yield finished.pop()
    yield from finished
