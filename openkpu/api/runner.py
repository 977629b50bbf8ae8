# SPDX-License-Identifier: Apache-2.0
"""Run an unmodified device script (spec/driver-api.md section 3.1)."""

from __future__ import annotations

import ast
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from openkpu.api import modules
from openkpu.api.board import paths
from openkpu.api.board.board import Board, Settings, use_board
from openkpu.api.board.micropython import script_builtins
from openkpu.api.board.source import compile_script, decoded
from openkpu.api.board.watch import Watch
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
        One sentence; a second one where a ``finally`` block failed too.
    error : BaseException or None
        What the script raised.
    """

    exit_code: int
    reason: str
    error: BaseException | None = None


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
    folders = (str(script.parent), str(board.settings.sd), str(board.settings.fs))
    saved_path, saved_argv, saved_folder, saved_sleep = list(sys.path), list(sys.argv), os.getcwd(), time.sleep
    sys.path[:0] = folders
    sys.argv[:] = [str(script)]
    os.chdir(folders[1])
    board.host_sleep, vars(time)["sleep"] = saved_sleep, board.sleep
    board.parts["script folders"] = folders
    board.sandboxed = True
    try:
        with modules.installed(folders), paths.mapped_file_functions():
            return _execute(source, script, board)
    finally:
        board.sandboxed = False
        os.chdir(saved_folder)
        time.sleep, board.host_sleep = saved_sleep, None
        sys.path[:], sys.argv[:] = saved_path, saved_argv


def _resolved(settings: Settings, script_folder: Path) -> Settings:
    """Settings with absolute paths, since the script runs in another folder."""
    folders: dict[str, Path] = {}
    for name, prefix in (("sd", "/sd"), ("fs", "/flash")):
        chosen = getattr(settings, name)
        folder = Path(chosen) if chosen is not None else paths.default_folder(prefix, script_folder)
        if not folder.is_dir():
            raise UsageError(f"the folder {folder} for {prefix} does not exist")
        folders[name] = folder.resolve()
    camera = settings.camera
    if isinstance(camera, (str, Path)) and not str(camera).startswith(("/sd/", "/flash/")) and camera != "synthetic":
        camera = str(Path(camera).absolute())
    uart = tuple(_absolute_target(text) for text in settings.uart)
    return replace(settings, camera=camera, lcd=settings.lcd and Path(settings.lcd).absolute(), uart=uart,
                   sd=folders["sd"], fs=folders["fs"])


def _absolute_target(text: str) -> str:
    port, separator, target = text.rpartition("=")
    return f"{port}{separator}{Path(target).absolute()}" if Path(target).is_file() else text


def _execute(source: bytes, script: Path, board: Board) -> Outcome:
    names = {"__name__": "__main__", "__file__": str(script), "__builtins__": script_builtins(),
             "os": os, "sys": sys, "time": time}
    try:
        with Watch(board) as watch:
            exec(compile_script(source, str(script)), names)
            watch.wait_for_threads()
    except BaseException as error:
        return _outcome(error, source, script, board)
    finally:
        names.clear()
    return _background(board, script) or Outcome(0, "end of the script")


def _outcome(last: BaseException, source: bytes, script: Path, board: Board) -> Outcome:
    """The error that decides is the last one, unless that came out of a ``finally`` block which another led to."""
    errors = list(_through_finally(last, source, script))
    first = errors[-1]
    outcome = _one_outcome(first, script, board)
    for later in reversed(errors[:-1]):
        outcome.reason += f"; then, in finally, {_one_line(later, script)}"
        outcome.error = outcome.error or later
    return outcome


def _one_outcome(error: BaseException, script: Path, board: Board) -> Outcome:
    if isinstance(error, SystemExit):
        if board.ended:
            return _background(board, script) or Outcome(0, board.ended)
        if error.code in (None, 0):
            return Outcome(0, "the script called sys.exit()")
        code = error.code if isinstance(error.code, int) else 1
        return Outcome(code, f"the script called sys.exit({error.code!r})")
    if isinstance(error, KeyboardInterrupt):
        return Outcome(INTERRUPTED, "interrupted by the user")
    return Outcome(_exit_code(error), _one_line(error, script), error)


def _background(board: Board, script: Path) -> Outcome | None:
    """Outcome of the first error in a thread or a timer's function, after which the main program went on to its end."""
    error = board.background_error
    if error is None:
        return None
    return Outcome(_exit_code(error), f"{_one_line(error, script)} (in a thread or timer)", error)


def _through_finally(error: BaseException, source: bytes, script: Path) -> Iterator[BaseException]:
    """The error and, while it came out of a ``finally`` block of the script, the one that was on its way before."""
    yield error
    blocks: list[range] | None = None
    while error.__context__ is not None and not error.__suppress_context__:
        blocks = _finally_blocks(source) if blocks is None else blocks
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(script)]
        if not any(line in block for line in lines for block in blocks):
            return
        error = error.__context__
        yield error


def _finally_blocks(source: bytes) -> list[range]:
    try:
        tree = ast.parse(decoded(source))
    except (SyntaxError, ValueError):
        return []
    return [range(node.finalbody[0].lineno, (node.finalbody[-1].end_lineno or 0) + 1)
            for node in ast.walk(tree) if isinstance(node, ast.Try) and node.finalbody]


def _exit_code(error: BaseException) -> int:
    if isinstance(error, OpenKPUError):
        return error.exit_code
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)


def _one_line(error: BaseException, script: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or script).name}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(script)]
    where = f"{script.name}, line {lines[-1]}" if lines else script.name
    return f"{where}: {type(error).__name__}: {' '.join(str(error).split())}"
