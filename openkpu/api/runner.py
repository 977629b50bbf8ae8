"""Run an unmodified device script (spec/driver-api.md section 3.1)."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from openkpu.api import modules
from openkpu.api.board import paths, timing
from openkpu.api.board.board import Board, Settings, use_board
from openkpu.api.errors import KPUArgumentError, KPUImageError, KPULoadError, KPURunError
from openkpu.errors import OpenKPUError, UsageError
from openkpu.files import read_file

INTERRUPTED = 130
MAX_SCRIPT = 16 << 20
_EXIT_CODES = ((KPULoadError, 3), (KPUImageError, 4), (KPURunError, 5), (KPUArgumentError, 2))


@dataclass
class Outcome:
    """How a script ended.

    Attributes
    ----------
    exit_code : int
        0 at the end of script or feed; the package's exit codes for its own errors; 1 for any other exception.
    reason : str
        One sentence.
    error : Exception or None
        What the script raised.
    """

    exit_code: int
    reason: str
    error: Exception | None = None


def run_script(path: str | Path, board: Board) -> Outcome:
    """Run a script with ``board`` as the current one; working folder and patched functions are restored afterwards.

    The board stays open, so that its counters can be read; close it when done.

    Raises
    ------
    UsageError
        The script or one of the folders does not exist.
    """
    script = Path(path).resolve()
    try:
        source = read_file(script, MAX_SCRIPT)
    except OSError as error:
        raise UsageError(f"cannot read the script {path}: {error.strerror}") from error
    board.settings = _resolved(board.settings, script.parent)
    use_board(board)
    timing.install()
    installed = modules.modules()
    saved_modules = {name: sys.modules.get(name) for name in installed}
    saved_path, saved_argv, saved_folder, saved_sleep = list(sys.path), list(sys.argv), os.getcwd(), time.sleep
    sys.modules.update(installed)
    sys.path[:0] = [str(script.parent), str(board.settings.sd), str(board.settings.fs)]
    sys.argv[:] = [str(script)]
    os.chdir(board.settings.sd)
    if not board.settings.sleep:
        time.sleep = board.sleep
    try:
        with paths.mapped_file_functions():
            return _execute(source, script, board)
    finally:
        os.chdir(saved_folder)
        time.sleep = saved_sleep
        sys.path[:], sys.argv[:] = saved_path, saved_argv
        for name, module in saved_modules.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def _resolved(settings: Settings, script_folder: Path) -> Settings:
    """Settings with absolute paths, since the script runs in another folder."""
    folders = {}
    for name, prefix in (("sd", "/sd"), ("fs", "/flash")):
        chosen = getattr(settings, name)
        folder = Path(chosen) if chosen is not None else paths.default_folder(prefix, script_folder)
        if not folder.is_dir():
            raise UsageError(f"the folder {folder} for {prefix} does not exist")
        folders[name] = folder.resolve()
    camera = settings.camera
    if isinstance(camera, (str, Path)) and not str(camera).startswith(("/sd/", "/flash/")) and camera != "synthetic":
        camera = str(Path(camera).absolute())
    return replace(settings, camera=camera, lcd=settings.lcd and Path(settings.lcd).absolute(), **folders)


def _execute(source: bytes, script: Path, board: Board) -> Outcome:
    names = {"__name__": "__main__", "__file__": str(script), "__builtins__": __builtins__,
             "os": os, "sys": sys, "time": time}
    try:
        exec(compile(source, str(script), "exec", dont_inherit=True), names)
    except SystemExit as stop:
        if board.ended or stop.code in (None, 0):
            return Outcome(0, board.ended or "the script called sys.exit()")
        code = stop.code if isinstance(stop.code, int) else 1
        return Outcome(code, f"the script called sys.exit({stop.code!r})")
    except KeyboardInterrupt:
        return Outcome(INTERRUPTED, "interrupted by the user")
    except Exception as error:
        return Outcome(_exit_code(error), _one_line(error, script), error)
    finally:
        names.clear()
    return Outcome(0, "end of the script")


def _exit_code(error: Exception) -> int:
    if isinstance(error, OpenKPUError):
        return error.exit_code
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)


def _one_line(error: Exception, script: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or script).name}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(script)]
    where = f"{script.name}, line {lines[-1]}" if lines else script.name
    return f"{where}: {type(error).__name__}: {' '.join(str(error).split())}"
