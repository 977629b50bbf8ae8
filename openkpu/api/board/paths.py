# SPDX-License-Identifier: Apache-2.0
"""The device's file system on the host (spec/driver-api.md section 5.4): ``/sd`` and ``/flash`` are folders.

While a script runs, its own code sees the device: ``/`` holds ``flash`` and ``sd``, the working folder is ``/sd``, and
every other absolute path does not exist. Modules of the host that the script has imported keep the host's view, so
that they find their own files. Who calls is told by the file of the calling code.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import genericpath
import importlib.machinery
import io
import ntpath
import os
import posixpath
import sys
import sysconfig
from collections import namedtuple
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import FrameType

from openkpu import files
from openkpu.api.board.board import current_board
from openkpu.api.board.micropython import script_builtins
from openkpu.api.board.source import compile_script

MAX_FILE = 128 << 20
PREFIXES = ("/flash", "/sd")
_PATH_FUNCTIONS = ("listdir", "chdir", "stat", "remove", "unlink", "rename", "mkdir", "makedirs", "rmdir", "scandir",
                   "open")
_TRANSPARENT = {posixpath.__file__, ntpath.__file__, genericpath.__file__, "<frozen posixpath>", "<frozen ntpath>",
                "<frozen genericpath>", "<string>"}
"""Files of code that acts for its caller: ``os.path``, and ``exec`` of a string."""
_SECTOR = 4096
_KIND_FOLDER, _KIND_FILE = 0x4000, 0x8000

uname_result = namedtuple("uname_result", "sysname nodename release version machine")
_UNAME = uname_result("MaixPy", "MaixPy", "1.11.0", "OpenKPU on a PC", "Sipeed_M1 with kendryte-k210")


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
        for prefix in PREFIXES:
            if path == prefix or path.startswith(prefix + "/"):
                return str(device_folder(prefix).resolve() / path[len(prefix) + 1:])
    return path


def device_path(path):
    """Host path for a path that a script gives.

    Outside ``run_script`` host paths are as good as device paths.

    Raises
    ------
    FileNotFoundError
        While a script runs: the path leads out of the device's folders.
    """
    board = current_board()
    mapped = map_path(path)
    if not board.sandboxed or not isinstance(path, (str, bytes, os.PathLike)):
        return mapped
    text = os.fsdecode(mapped)
    # Without following links: a link in the card's folder to a model elsewhere is the user's own choice.
    absolute = os.path.abspath(text)
    if not any(_inside(absolute, str(device_folder(prefix).resolve())) for prefix in PREFIXES):
        raise FileNotFoundError(errno.ENOENT, "the device has only the folders /sd and /flash", os.fsdecode(path))
    return mapped


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def to_device(path: str) -> str:
    """Device path of a host path, "/" if it is none."""
    for prefix in reversed(PREFIXES):
        folder = str(device_folder(prefix).resolve())
        if _inside(path, folder):
            return prefix + path[len(folder):].replace(os.sep, "/")
    return "/"


def read_file(path: str) -> bytes:
    """Whole content of a device or host file; ``OSError`` names both paths."""
    mapped = map_path(path)
    try:
        return files.read_file(device_path(path), MAX_FILE)
    except OSError as error:
        where = "" if mapped == path else f" (looked for {mapped})"
        raise OSError(error.errno, f"cannot read {path}{where}: {error.strerror}") from error


# --- MicroPython's files ------------------------------------------------------------------------------------------


class _Tolerant(io.IOBase):
    """MicroPython's files take str and bytes alike."""

    def write(self, data):
        text = isinstance(self, io.TextIOBase)
        if text and not isinstance(data, str):
            data = bytes(data).decode("utf-8", "surrogateescape")
        elif not text and isinstance(data, str):
            data = data.encode()
        return super().write(data)


class _Writer(_Tolerant, io.BufferedWriter):
    pass


class _Updater(_Tolerant, io.BufferedRandom):
    pass


class _Text(_Tolerant, io.TextIOWrapper):
    pass


def open_device(path, mode: str = "r", buffering: int = -1, encoding=None, *args, **keywords):
    """``open`` as MicroPython has it: UTF-8, line ends untouched, str and bytes alike may be written."""
    binary = "b" in mode
    raw = io.FileIO(device_path(path), mode.replace("b", "").replace("t", ""))
    file: io.BufferedReader | _Updater | _Writer
    if "+" in mode:
        file = _Updater(raw)
    else:
        file = io.BufferedReader(raw) if "r" in mode else _Writer(raw)
    return file if binary else _Text(file, encoding=encoding or "utf-8", errors="surrogateescape", newline="\n")


def ilistdir(path: str = ".") -> Iterator[tuple[str, int, int, int]]:
    """(name, type 0x4000 or 0x8000, 0, bytes) of each entry."""
    if _is_root(path):
        yield from ((prefix[1:], _KIND_FOLDER, 0, 0) for prefix in PREFIXES)
        return
    for entry in sorted(_host["scandir"](device_path(path)), key=lambda e: e.name):
        folder = entry.is_dir()
        yield entry.name, _KIND_FOLDER if folder else _KIND_FILE, 0, 0 if folder else entry.stat().st_size


def statvfs(path: str = "/") -> tuple[int, ...]:
    """(block size, fragment size, blocks, free blocks, available blocks, 0, 0, 0, 0, longest name)."""
    size = 16 << 20 if str(path).startswith("/flash") else 8 << 30
    used = 0
    if not _is_root(path):
        folder = device_path(path)
        used = sum(e.stat().st_size for e in _host["scandir"](folder) if e.is_file()) // _SECTOR
    blocks = size // _SECTOR
    return (_SECTOR, _SECTOR, blocks, max(0, blocks - used), max(0, blocks - used), 0, 0, 0, 0, 255)


def _accepted(*args, **keywords) -> None:
    """The folders are always there."""


def _is_root(path) -> bool:
    return isinstance(path, str) and posixpath.normpath(path) in ("/", "//")


_host = {name: getattr(os, name) for name in _PATH_FUNCTIONS}
_host["open file"] = builtins.open
_host["getcwd"] = os.getcwd
_host["uname"] = getattr(os, "uname", lambda: _UNAME)

ADDITIONS = {"ilistdir": ilistdir, "statvfs": statvfs, "mount": _accepted, "umount": _accepted, "sync": _accepted,
             "dupterm": _accepted, "VfsFat": _accepted, "VfsSpiffs": _accepted}
"""What MicroPython's ``os`` has and CPython's has not, or not so."""


def _from_script() -> bool:
    """Whether the caller of our caller is the script's code, or ``os.path`` called by it."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename in _TRANSPARENT:
        frame = frame.f_back
    folders = current_board().parts.get("script folders", ())
    return frame is not None and is_script_file(frame.f_code.co_filename, folders)


_HOST_CODE = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")} |
                   {str(Path(__file__).resolve().parents[2])})


@lru_cache(maxsize=4096)
def is_script_file(file: str, folders: tuple[str, ...]) -> bool:
    """Whether a file lies in the script's folders and belongs to no library that happens to lie there too."""
    if not any(_inside(file, folder) for folder in folders):
        return False
    return "site-packages" not in file and not any(_inside(file, folder) for folder in _HOST_CODE)


def _listdir(path="."):
    if not _from_script():
        return _host["listdir"](map_path(path))
    if _is_root(path):
        return [prefix[1:] for prefix in PREFIXES]
    return sorted(_host["listdir"](device_path(path)))


def _getcwd() -> str:
    return to_device(_host["getcwd"]()) if _from_script() else _host["getcwd"]()


def _uname():
    return _UNAME if _from_script() else _host["uname"]()


def _rename(source, target, **keywords):
    mapped = device_path if _from_script() else map_path
    return _host["rename"](mapped(source), mapped(target), **keywords)


def _stat(path, *args, **keywords):
    if not _from_script():
        return _host["stat"](map_path(path), *args, **keywords)
    return _host["stat"]("." if _is_root(path) else device_path(path), *args, **keywords)


def _chdir(path):
    if not _from_script():
        return _host["chdir"](map_path(path))
    return _host["chdir"](device_path("/flash" if _is_root(path) else path))


def _open(file, *args, **keywords):
    if _from_script():
        return open_device(file, *args, **keywords)
    return _host["open file"](map_path(file), *args, **keywords)


def _statvfs(path="/"):
    if _from_script() or not hasattr(os, "fstatvfs"):
        return statvfs(path)
    return _host_statvfs(path)


_host_statvfs = getattr(os, "statvfs", statvfs)


def _mapping(name: str):
    function = _host[name]

    def mapped(path=".", *args, **keywords):
        return function(device_path(path) if _from_script() else map_path(path), *args, **keywords)

    mapped.__name__ = function.__name__
    mapped.__doc__ = function.__doc__
    return mapped


@contextlib.contextmanager
def mapped_file_functions() -> Iterator[None]:
    """While active, ``open``, the file functions of ``os`` and imports from ``sys.path`` understand device paths."""
    own = {"listdir": _listdir, "chdir": _chdir, "rename": _rename, "stat": _stat, "getcwd": _getcwd,
           "uname": _uname}
    changes = [(os, name, own.get(name) or _mapping(name)) for name in _PATH_FUNCTIONS]
    changes += [(os, name, own[name]) for name in ("getcwd", "uname")]
    changes += [(builtins, "open", _open), (io, "open", _open)]
    changes += [(os, name, _statvfs if name == "statvfs" else function) for name, function in ADDITIONS.items()]
    missing = object()
    saved = [(module, name, getattr(module, name, missing)) for module, name, _ in changes]
    for module, name, function in changes:
        setattr(module, name, function)
    sys.path_hooks.insert(0, _device_finder)
    _forget_importers()
    try:
        yield
    finally:
        sys.path_hooks.remove(_device_finder)
        _forget_importers()
        for module, name, function in saved:
            if function is missing:
                delattr(module, name)
            else:
                setattr(module, name, function)


def _forget_importers() -> None:
    folders = current_board().parts.get("script folders", ())
    for entry in [e for e in sys.path_importer_cache if e.startswith(PREFIXES) or e in folders]:
        del sys.path_importer_cache[entry]


def _device_finder(entry: str):
    """Importer for ``sys.path`` entries such as ``/sd/lib``."""
    folders = current_board().parts.get("script folders", ())
    if map_path(entry) == entry and entry not in folders:
        raise ImportError
    return importlib.machinery.FileFinder(map_path(entry), (_DeviceLoader, importlib.machinery.SOURCE_SUFFIXES))


class _DeviceLoader(importlib.machinery.SourceFileLoader):
    """Imports a script's own modules; nothing is written beside them."""

    # As in importlib.machinery.SourceLoader itself, whose bases declare a static method.
    def source_to_code(self, data, path, *, _optimize=-1):  # type: ignore[override]
        return compile_script(bytes(data), os.fsdecode(path))

    def exec_module(self, module) -> None:
        module.__dict__["__builtins__"] = script_builtins()
        super().exec_module(module)

    def _cache_bytecode(self, source_path, bytecode_path, data) -> None:
        pass
