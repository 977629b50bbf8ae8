# SPDX-License-Identifier: Apache-2.0
"""Reading files and flash with the errors of ``maix.KPU`` (spec/driver-api.md section 2.2.1)."""

from __future__ import annotations

from openkpu.api import loading
from openkpu.api.board import paths
from openkpu.api.errors import KPUModelError


def read_model_file(path: str) -> bytes:
    """Whole file; ``ValueError`` if it cannot be read."""
    try:
        return paths.read_file(path)
    except OSError as error:
        raise ValueError(f"open file error, please check file path! -- {error.strerror}") from error


def checked_offset(value, message: str) -> int:
    """A positive flash offset; ``ValueError`` with the firmware's message otherwise."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() <= 0:
        raise ValueError(f"{message} -- {value!r} is neither a path nor a positive flash offset")
    return value.__index__()


def flash_part(offset: int, size: int) -> bytes:
    """``size`` bytes of the flash, 0: to its end; ``KPUModelError`` outside the flash."""
    try:
        data = loading.read_flash(offset)
    except loading.Refused as refused:
        raise KPUModelError("Failed to read file", code=refused.code, source=offset, hint=refused.hint) from None
    return data[:size] if size else data
