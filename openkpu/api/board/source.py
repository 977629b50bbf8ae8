# SPDX-License-Identifier: Apache-2.0
"""Compiling scripts as MicroPython reads them, where CPython is stricter.

MicroPython counts a tab as eight columns, takes comments in any encoding, and reads ``01`` as 1.
"""

from __future__ import annotations

import re
import warnings
from types import CodeType

_ENCODINGS = ("utf-8-sig", "gb18030", "latin-1")
_LEADING_ZEROS = re.compile(r"0+(?=\d)")
_MOST_CORRECTIONS = 1000


def compile_script(source: bytes, filename: str) -> CodeType:
    """Code of a script's file.

    Raises
    ------
    SyntaxError
        MicroPython would not take it either, with the line of the file.
    """
    text = decoded(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # an unknown escape in a string is none of the user's business
        warnings.simplefilter("ignore", DeprecationWarning)
        for _ in range(_MOST_CORRECTIONS):
            try:
                return compile(text, filename, "exec", dont_inherit=True)
            except SyntaxError as error:
                corrected = _corrected(text, error)
                if corrected == text:
                    raise
                text = corrected
    return compile(text, filename, "exec", dont_inherit=True)


def decoded(source: bytes) -> str:
    """Text of a file in UTF-8, else in the Chinese encoding, else byte by byte; line ends as in Python."""
    for encoding in _ENCODINGS:
        try:
            return source.decode(encoding).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes everything")


def _corrected(text: str, error: SyntaxError) -> str:
    lines = text.split("\n")
    if isinstance(error, TabError) or (isinstance(error, IndentationError) and "\t" in text):
        return "\n".join(_spaces(line) for line in lines)
    if "leading zeros" in (error.msg or "") and error.lineno and error.offset:
        line, column = lines[error.lineno - 1], error.offset - 1
        lines[error.lineno - 1] = line[:column] + _LEADING_ZEROS.sub("", line[column:], count=1)
    return "\n".join(lines)


def _spaces(line: str) -> str:
    body = line.lstrip(" \t")
    return line[:len(line) - len(body)].expandtabs(8) + body
