"""``/sd`` and ``/flash`` on the host (spec/driver-api.md section 5.4)."""

from __future__ import annotations

import builtins
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from openkpu import files
from openkpu.api.board.board import current_board

MAX_FILE = 128 << 20

_OS_FUNCTIONS = ("listdir", "chdir", "stat", "remove", "unlink", "rename", "mkdir", "rmdir", "scandir", "open")


def device_folder(prefix: str) -> Path:
    """Host folder behind "/sd" or "/flash": the chosen one, else ``./sd`` or ``./flash``, else the working folder."""
    settings = current_board().settings
    chosen = settings.sd if prefix == "/sd" else settings.fs
    return Path(chosen) if chosen is not None else default_folder(prefix, Path("."))


def default_folder(prefix: str, otherwise: Path) -> Path:
    """``./sd`` or ``./flash`` if that is a folder, else ``otherwise``."""
    folder = Path(prefix[1:])
    return folder if folder.is_dir() else otherwise


def map_path(path):
    """Host path for a device path; anything that does not begin with /sd or /flash is returned as it is."""
    if isinstance(path, str):
        for prefix in ("/sd", "/flash"):
            if path == prefix or path.startswith(prefix + "/"):
                return str(device_folder(prefix).resolve() / path[len(prefix) + 1:])
    return path


def read_file(path: str) -> bytes:
    """Whole content of a device or host file; ``OSError`` names both paths."""
    mapped = map_path(path)
    try:
        return files.read_file(mapped, MAX_FILE)
    except OSError as error:
        where = "" if mapped == path else f" (looked for {mapped})"
        raise OSError(error.errno, f"cannot read {path}{where}: {error.strerror}") from error


@contextlib.contextmanager
def mapped_file_functions() -> Iterator[None]:
    """While active, ``open`` and the file functions of ``os`` understand device paths."""
    saved = [(builtins, "open", builtins.open)] + [(os, name, getattr(os, name)) for name in _OS_FUNCTIONS]
    for module, name, function in saved:
        setattr(module, name, _mapping(function, renames=name == "rename"))
    try:
        yield
    finally:
        for module, name, function in saved:
            setattr(module, name, function)


def _mapping(function, *, renames: bool):
    def mapped(path=".", *args, **keywords):
        if renames and args:
            args = (map_path(args[0]), *args[1:])
        return function(map_path(path), *args, **keywords)

    mapped.__name__ = function.__name__
    mapped.__doc__ = function.__doc__
    return mapped
