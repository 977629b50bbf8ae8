# SPDX-License-Identifier: Apache-2.0
"""What scripts send to peripherals: ``peripherals.log`` and ``uart<n>.log`` beside the screen's pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openkpu.api.board.board import Board

PERIPHERALS = "peripherals.log"


def log_folder(board: Board) -> Path | None:
    """Where logs go: the folder of the screen's pictures, or None."""
    if board.settings.lcd is None:
        return None
    folder = Path(board.settings.lcd)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_log(board: Board, name: str):
    """New binary file, closed with the board; None if the board keeps no files."""
    folder = log_folder(board)
    if folder is None:
        return None
    file = open(folder / name, "wb")
    board.closers.append(file.close)
    return file


def peripheral_log(board: Board) -> Callable[[str, str], None]:
    """Function ``log(name, text)``: one line with the board's time in ms."""
    if "log" not in board.parts:
        board.parts["log"] = open_log(board, PERIPHERALS)
    file = board.parts["log"]

    def log(name: str, text: str) -> None:
        if file is not None and not file.closed:
            file.write(f"{board.microseconds() / 1000:.3f} {name}: {text}\n".encode())

    return log
