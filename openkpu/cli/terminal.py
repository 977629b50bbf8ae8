# SPDX-License-Identifier: Apache-2.0
"""What the command line prints: text that no terminal takes for a command, to streams that may be missing."""

from __future__ import annotations

import io
import os
import sys


def printable(text: str) -> str:
    """The text with control characters, and others that a terminal does not show, as escapes; lines stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "surrogatepass").decode("ascii")
                   for c in text)


def give_up_full_stderr() -> None:
    """Before the end: what standard error cannot take is lost, and does not change the exit code.

    CPython's last flush would make it 120, where the stream keeps what it could not write.
    """
    try:
        sys.stderr.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)


def open_streams() -> None:
    """Make the three standard streams usable.

    Those that the caller has closed are opened such that using them fails, as it should; otherwise the next file that
    is opened would get their numbers, and receive what is printed. What the terminal's encoding does not have is
    printed as an escape.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
