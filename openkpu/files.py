# SPDX-License-Identifier: Apache-2.0
"""Files that anyone may name: reading is bounded in size and in time, writing loses nothing."""

from __future__ import annotations

import errno
import os
import secrets
import select
import stat
import time
from contextlib import suppress
from os import PathLike
from pathlib import Path

IDLE_SECONDS = 5.0  # nothing moves through a pipe or terminal for so long: an error
TOTAL_SECONDS = 60.0
CHUNK = 1 << 20

# Scripts see others under these names (openkpu.api.board.paths).
_open, _stat, _unlink = os.open, os.stat, os.unlink

_unfinished: set[str] = set()


def read_file(path: str | PathLike, limit: int) -> bytes:
    """The bytes of a file, pipe or device.

    Raises
    ------
    OSError
        It cannot be read, has more than ``limit`` bytes, or is a pipe or terminal from which nothing comes within some
        seconds; ``strerror`` is the reason as a clause.
    """
    try:
        descriptor = _open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error)) from error
    try:
        kind = os.fstat(descriptor)
        if stat.S_ISREG(kind.st_mode) and kind.st_size > limit:
            raise _too_large(limit)
        end = time.monotonic() + TOTAL_SECONDS
        data = bytearray()
        while chunk := _read(descriptor, min(CHUNK, limit + 1 - len(data)), end):
            data += chunk
            if len(data) > limit:
                raise _too_large(limit)
        return bytes(data)
    finally:
        os.close(descriptor)


def _read(descriptor: int, size: int, end: float) -> bytes:
    """The next bytes, b"" at the end."""
    patience = min(IDLE_SECONDS, end - time.monotonic())
    # Regular files are always ready. A pipe nobody writes to is ready only when a writer has come and gone.
    if not _ready(descriptor, select.POLLIN, patience):
        raise OSError(errno.ETIMEDOUT, "nothing came from it in time; is anything writing to it?")
    return os.read(descriptor, size)


def _ready(descriptor: int, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return seconds > 0 and bool(poll.poll(seconds * 1000))


def _too_large(limit: int) -> OSError:
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit} bytes"
    return OSError(errno.EFBIG, f"it has more than {size}")


def write_file(path: str | PathLike, data: bytes) -> None:
    """Write a file, making its folder.

    A regular file is written completely or not at all, and keeps its permissions; symbolic links are followed. Pipes
    and devices, and a file that is the standard output too, are written through.

    Raises
    ------
    OSError
        It cannot be written; what was there remains. Or nobody takes the data from the pipe within some seconds.
    """
    target = Path(os.path.realpath(path))
    try:
        found = _stat(path)
    except FileNotFoundError:
        found = None
    if found is None:
        if not os.path.isdir(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data, None)
    elif stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    elif (output := _output(found)) is not None:
        _pour(os.dup(output), data)
    elif stat.S_ISREG(found.st_mode):
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "the file is write-protected")
        _replace(target, data, found)
    else:
        _pour(_open_for_writing(path), data)


def discard_unfinished() -> None:
    """Delete files that are being written; for a process that is about to end."""
    for name in list(_unfinished):
        with suppress(OSError):
            _unlink(name)


def _replace(target: Path, data: bytes, former: os.stat_result | None) -> None:
    # Short, so that every name that the file system allows can be written.
    name = str(target.parent / f".{secrets.token_hex(6)}")
    _unfinished.add(name)
    try:
        with os.fdopen(_open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
            if former is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(former.st_mode))
                with suppress(PermissionError):
                    os.fchown(file.fileno(), former.st_uid, former.st_gid)
            file.write(data)
        os.replace(name, target)
    finally:
        with suppress(OSError):
            _unlink(name)
        _unfinished.discard(name)


def _output(found: os.stat_result) -> int | None:
    """Standard output or error, if that is the file (``--json /dev/stdout > file``)."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(found, os.fstat(descriptor)):
                return descriptor
    return None


def _pour(descriptor: int, data: bytes) -> None:
    """Write everything and close."""
    try:
        end = time.monotonic() + TOTAL_SECONDS
        rest = memoryview(data)
        while rest:
            patience = min(IDLE_SECONDS, end - time.monotonic())
            if not _ready(descriptor, select.POLLOUT, patience):
                raise OSError(errno.ETIMEDOUT, "nobody takes the data in time")
            rest = rest[os.write(descriptor, rest[:CHUNK]):]
    finally:
        os.close(descriptor)


def _open_for_writing(path: str | PathLike) -> int:
    """Opening a pipe fails as long as it has no reader; wait a while for one."""
    end = time.monotonic() + IDLE_SECONDS
    while True:
        try:
            return _open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if not stat.S_ISFIFO(_stat(path).st_mode) or time.monotonic() > end:
                raise OSError(errno.ENXIO, "nothing reads from it") from error
        time.sleep(0.05)
