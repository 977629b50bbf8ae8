# SPDX-License-Identifier: Apache-2.0
"""The file of rows: what is in it was done, whatever happens afterwards."""

from __future__ import annotations

import csv
import fcntl
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ..errors import UsageError
from ..files import write_file
from .worker import COLUMNS, Row

MAX_JOURNAL = 4 << 30


class Journal:
    """A CSV file to which every row is written in one piece as soon as it is known.

    A process may be killed at any moment: what it leaves is whole rows and perhaps the beginning of one, which the next
    one cuts off. One process at a time has the file.

    Parameters
    ----------
    path : a regular file, or none yet.
    key : of the job; rows of another one are refused.
    restart : begin anew.
    retry : do the pictures again that could not be used.

    Raises
    ------
    UsageError
        The file is in use, belongs to another job, or is none of these files.
    OSError
        It cannot be read or written.
    """

    def __init__(self, path: Path, key: str, restart: bool = False, retry: bool = False):
        self.path = path
        self.rows: dict[str, Row] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        try:
            self._claim()
            self._read(key, restart)
            if retry:
                self._forget_errors()
            if not os.fstat(self._file).st_size:
                self._append(COLUMNS)
        except BaseException:
            os.close(self._file)
            raise

    def _claim(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise UsageError(f"{self.path}: is no regular file, and results are gone on with there; give another name "
                             "with --results")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{self.path}: another evaluation is writing there; give another name with --results") \
                from None

    def _read(self, key: str, restart: bool) -> None:
        with os.fdopen(os.dup(self._file), "rb") as file:
            data = file.read(MAX_JOURNAL)
        head = _line(COLUMNS)
        if data[: len(head)] != head[: len(data)]:
            raise UsageError(f"{self.path}: holds no results of this openkpu eval; give another name with --results")
        whole = b"" if restart else data[: data.rfind(b"\n") + 1]
        for row in csv.DictReader(io.StringIO(whole.decode("utf-8", "replace"))):
            if row["run"] != key:
                raise UsageError(f"{self.path}: holds results of another model or other options; give another name "
                                 "with --results, or --restart")
            self.rows[row["picture"]] = row
        os.ftruncate(self._file, len(whole))  # a row that a kill cut short
        os.lseek(self._file, 0, os.SEEK_END)

    def _forget_errors(self) -> None:
        """Leave out the rows of pictures that failed; the others are in place before the old ones are gone."""
        self.rows = {name: row for name, row in self.rows.items() if row["status"] == "ok"}
        text = _line(COLUMNS) + b"".join(_line([row[c] for c in COLUMNS]) for row in self.rows.values())
        write_file(self.path, text)
        fresh = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.lseek(fresh, 0, os.SEEK_END)
        os.close(self._file)
        self._file = fresh

    def _append(self, values: Sequence[object]) -> None:
        line = _line(values)
        written = os.write(self._file, line)
        if written != len(line):  # the disk is full: what is left says so
            os.write(self._file, line[written:])

    def add(self, row: Row) -> None:
        """Keep a row; a picture's second one is not written."""
        if row["picture"] not in self.rows:
            self._append([row[c] for c in COLUMNS])
            self.rows[row["picture"]] = {name: str(value) for name, value in row.items()}

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        os.fsync(self._file)
        os.close(self._file)


def _line(values: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["" if v is None else str(v).replace("\n", " ") for v in values])
    return text.getvalue().encode("utf-8", "surrogateescape")
