# SPDX-License-Identifier: Apache-2.0
"""From a path or flash address to a checked model, with a cause and a fix for everything that is none."""

from __future__ import annotations

import numpy as np

from openkpu.api.board import paths
from openkpu.api.board.board import current_board
from openkpu.api.network import Network, where
from openkpu.drivers.flash import MAX_SPI_HZ, FlashDriver
from openkpu.errors import DeviceError, ModelError
from openkpu.flash import FLASH_BYTES, describe
from openkpu.kmodel import Identity, Model, identify, load, model_size

V3_HEADER_BYTES = 28
V3_PADDING_BYTES = 7
"""Bytes of final padding that intact files may lack (spec/kmodel-format.md section 3.1)."""
# How much is read before the model's length is known, and when to give up finding it.
FIRST_READ = 8192
LONGEST_TABLES = 1 << 20
MAX_MODELS = 5
MAKERS = "nncase 0.1.x makes V3, 0.2.x makes V4, 1.x makes V5"


class Refused(Exception):
    """Why a model is not loaded: the firmware's error number and a sentence with cause and fix."""

    def __init__(self, code: int, hint: str):
        super().__init__(hint)
        self.code, self.hint = code, hint


def read_path(path: str) -> bytes:
    """Bytes of a model file; ``Refused`` 2005 if it cannot be read."""
    try:
        return paths.read_file(path)
    except OSError as error:
        raise Refused(2005, str(error.strerror)) from error


def read_flash(offset: int) -> bytes:
    """The flash from ``offset`` to its end; ``Refused`` 2001 outside the flash."""
    board = current_board()
    if offset >= FLASH_BYTES:
        raise Refused(2001, f"address {offset:#x} lies behind the flash, which ends at {FLASH_BYTES:#x}; "
                            f"{describe(board.flash)}")
    try:
        if board.flash_controller is not None:
            return _read_chip(board.flash_controller, offset)
    except DeviceError as error:
        raise Refused(2001, str(error)) from error
    return board.flash.read(offset, FLASH_BYTES - offset)


def spi_clock(wanted: int) -> int:
    """Set the simulated flash's clock and return the one obtained; without a simulated flash the one wanted."""
    try:
        chip = current_board().flash_controller
        if chip is None:
            return wanted
        chip.configure(chip.lanes, min(max(wanted, 1), MAX_SPI_HZ))
    except DeviceError as error:
        raise Refused(2001, str(error)) from error
    return chip.spi_hz


def _read_chip(chip: FlashDriver, offset: int) -> bytes:
    """The model at ``offset`` through the simulated flash controller; only its first bytes if there is none."""
    rest = chip.size - offset
    data = chip.read(offset, min(FIRST_READ, rest))
    if not identify(data).loadable:
        return data
    while True:
        try:
            missing = min(model_size(data), rest) - len(data)
        except ModelError:
            # Its tables are longer than what has been read, or damaged.
            missing = min(len(data), rest - len(data))
            if len(data) > LONGEST_TABLES:
                return data
        if missing <= 0:
            return data
        data += chip.read(offset + len(data), missing)


def parse(data: bytes, source: int | str, *, versions: tuple[int, ...] = (3, 4), swapped: bool = False) -> Model:
    """Check and parse a model.

    Parameters
    ----------
    data : the file, or the flash from the model's address on.
    source : flash address or path.
    versions : kmodel versions the API accepts.
    swapped : the caller is ``load_flash``, whose models are byte-swapped.

    Raises
    ------
    Refused
        The bytes are no such model.
    """
    name = where(source)
    found = identify(data, name)
    if swapped and found.kind in ("v3", "v4"):
        raise Refused(2002, f"the data at {name} is an ordinary {found.description}; use load({source:#x}) for it, or "
                            "burn the byte-swapped file")
    if not swapped and found.kind.endswith("-swapped"):
        raise Refused(2002, f"{name} holds a {found.description}; use load_flash(address, is_dual_buf, batch_size, "
                            "spi_speed), or load the original file")
    _refuse_foreign(found, source, versions)
    try:
        size = model_size(data, name)
        _refuse_empty_layer(data, name, found)
        if size > len(data) + V3_PADDING_BYTES:
            raise Refused(2005, f"{name} is truncated: its headers need {size} bytes, there are {len(data)}; copy or "
                                "download it again")
        # Behind a model in flash lies something else; a byte-swapped one ends on a whole word.
        return load(data[:-(-size // 4) * 4] if isinstance(source, int) else data, source=name)
    except ModelError as error:
        raise Refused(2015, str(error)) from error


def _refuse_foreign(found: Identity, source: int | str, versions: tuple[int, ...]) -> None:
    name, kind = where(source), found.kind
    elsewhere = f"; {describe(current_board().flash)}" if isinstance(source, int) else ""
    if kind in ("erased", "zeros") and elsewhere:
        raise Refused(2002, f"nothing is burnt at {name}{elsewhere}")
    if kind == "zip":
        raise Refused(2002, f"{name} is a .kfpkg package (a zip), not a kmodel: burn it into the flash image with "
                            "--flash PACKAGE.kfpkg, or extract the kmodel from it")
    if kind == "encrypted":
        raise Refused(2004, f"{name} is {found.description} and cannot run here; get the plain .kmodel")
    if kind == "empty":
        raise Refused(2005, f"{name} is empty: copy or download it again")
    version = {"v1": 1, "v5-prerelease": 5}.get(kind) or (int(kind[1]) if kind[:1] == "v" else 0)
    if version and (version not in versions or not found.loadable):
        supported = "/".join(f"V{v}" for v in versions)
        more = "; maix.KPU().load() and `openkpu run` take V5" if kind == "v5" else ""
        raise Refused(2002, f"{name} is a {found.description}, but only {supported} are supported here ({MAKERS}); "
                            f"convert the network again{more}")
    if not found.loadable:
        raise Refused(2002, f"{name} is {found.description}; {found.hint}{elsewhere}")


def _refuse_empty_layer(data: bytes, name: str, found: Identity) -> None:
    if found.kind != "v3":
        return
    layers, outputs = (int(v) for v in np.frombuffer(data, "<u4", 7)[[3, 6]])
    table = np.frombuffer(data, "<u4", 2 * layers, V3_HEADER_BYTES + 8 * outputs).reshape(-1, 2)
    empty = np.flatnonzero(table[:, 1] == 0)
    if len(empty):
        raise Refused(2003, f"{name}: layer {empty[0]} has body size 0; the file is damaged, copy or convert it again")


def admit(model: Model, source: int | str, resident_bytes: int | None = None) -> Network:
    """A network for the model if memory (and, in strict mode, a slot) is left; else ``Refused`` 2006 or 2009."""
    board = current_board()
    need = model.size + model.main_memory if resident_bytes is None else resident_bytes
    free = board.system_heap_bytes - board.held_bytes()
    if need > free:
        raise Refused(2006, f"{where(source)} needs {need} bytes (model {model.size}, main memory {model.main_memory}) "
                            f"of which {free} are free ({board.system_heap_bytes} in all); deinit others first, "
                            "or use load_flash")
    live = len(board.nets)
    if board.strict and live >= MAX_MODELS:
        raise Refused(2009, f"{live} models are loaded; deinit one first")
    for warning in model.warnings:
        board.warn_once(f"{source}:{warning}", f"{where(source)}: {warning}")
    return Network(model, source, need)
