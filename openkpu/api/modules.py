# SPDX-License-Identifier: Apache-2.0
"""Make the device modules importable under their own names (spec/driver-api.md section 3.1).

They are installed instead of lying on the path as files, since ``Maix`` and ``maix`` differ only in case and ``time``,
``gc`` and ``sys`` must be extended, not replaced. ``MODULES`` is the one list of what there is; a module's code is
imported when a script first imports the module.
"""

from __future__ import annotations

import array
import binascii
import collections
import contextlib
import hashlib
import importlib
import io
import json
import os
import random
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from openkpu.api.board import paths, timing

_ALIASES = {"uio": io, "uos": os, "ujson": json, "ubinascii": binascii, "ustruct": struct, "usys": sys, "utime": time,
            "ure": re, "urandom": random, "ucollections": collections, "uhashlib": hashlib,
            "uarray": array}


def _import(name: str) -> ModuleType:
    return importlib.import_module(f"openkpu.api.{name}")


def _module(name: str, members: dict, doc: str | None) -> ModuleType:
    module = ModuleType(name, doc)
    module.__dict__.update(members)
    return module


def _renamed(name: str, source: str, names: tuple[str, ...] | None = None) -> dict[str, ModuleType]:
    """A module of the package under its device name, with the given names or all of ``__all__``."""
    found = _import(source)
    public = names or getattr(found, "__all__", None) or [n for n in vars(found) if not n.startswith("_")]
    return {name: _module(name, {n: getattr(found, n) for n in public}, found.__doc__)}


def _given(name: str, module: ModuleType) -> dict[str, ModuleType]:
    return {name: module}


def _whole(name: str, source: str) -> dict[str, ModuleType]:
    return {name: _import(source)}


def _maix(name: str) -> dict[str, ModuleType]:
    gpio, fpioa, utils, sound = (_import(f"peripherals.{n}") for n in ("gpio", "fpioa", "boardutils", "sound"))
    standin = _import("board.standin")
    members = {"GPIO": gpio.GPIO, "FPIOA": fpioa.FPIOA, "utils": utils.utils, "freq": utils.freq,
               "config": utils.config, "FFT": sound.FFT, "I2S": sound.I2S, "Audio": sound.Audio,
               "MIC_ARRAY": sound.MIC_ARRAY, "KPU": _import("canmv.kpu").KPU,
               "timer": standin.accepting("Maix.timer"), "pmu": standin.accepting("Maix.pmu")}
    return {name: _module(name, members, "The board's parts (section 3.5); in CanMV also the KPU class (section 2).")}


def _pins() -> dict[str, ModuleType]:
    fpioa, boards, gpio = _import("peripherals.fpioa"), _import("board.boards"), _import("peripherals.gpio")
    return {
        "fpioa_manager": _module("fpioa_manager", {"fm": fpioa.fm, "FPIOA": fpioa.FPIOA, "GPIO": gpio.GPIO,
                                                   "board_info": boards.board_info}, fpioa.__doc__),
        "board": _module("board", {"board_info": boards.board_info}, boards.__doc__),
    }


def _kpu() -> dict[str, ModuleType]:
    maixpy = _import("maixpy.kpu")
    return {"KPU": _module("kpu", {name: getattr(maixpy, name) for name in maixpy.__all__}, maixpy.__doc__)}


def _sockets() -> dict[str, ModuleType]:
    sockets = _import("peripherals.sockets")
    return {"network": sockets.network_module(), "usocket": sockets.socket_module("usocket"),
            "socket": sockets.socket_module("socket"),
            "ussl": _module("ussl", {"wrap_socket": sockets.wrap_socket, "CERT_NONE": 0, "CERT_OPTIONAL": 1,
                                     "CERT_REQUIRED": 2}, sockets.__doc__)}


def _sound() -> dict[str, ModuleType]:
    return {**_renamed("audio", "peripherals.sound", ("Audio",)),
            **_renamed("video", "peripherals.sound", ("open", "Video")),
            **_renamed("speech_recognizer", "peripherals.sound", ("isolated_word", "asr"))}


_MAKERS: list[tuple[tuple[str, ...], Callable[[], dict[str, ModuleType]]]] = [
    (("KPU",), _kpu),
    (("Maix",), lambda: _maix("Maix")),
    (("maix",), lambda: _maix("maix")),
    (("fpioa_manager", "board"), _pins),
    (("machine",), lambda: _renamed("machine", "peripherals.machine")),
    (("network", "usocket", "ussl", "socket"), _sockets),
    (("audio", "video", "speech_recognizer"), _sound),
    (("ulab", "ulab.array", "ulab.vector", "ulab.numerical", "ulab.linalg", "ulab.fft", "ulab.poly", "ulab.filter",
      "ulab.compare", "ulab.user", "ulab.numpy"), lambda: _import("board.ulab").ulab_modules()),
    (("micropython", "uctypes", "uzlib", "uselect", "uheapq", "uerrno", "utimeq"),
     lambda: _import("board.micropython").own_modules()),
    (("touchscreen", "pmu", "modules", "font", "bootloader", "lvgl", "lvgl_helper", "nes", "ucryptolib", "btree",
      "network_esp32", "network_esp8285", "network_wiznet5k"), lambda: _import("peripherals.extras").extra_modules()),
    *(((name,), partial(_whole, name, f"imaging.{name}")) for name in ("image", "sensor", "lcd")),
]

MODULES: dict[str, Callable[[], dict[str, ModuleType]]] = {
    **{name: partial(_given, name, module) for name, module in _ALIASES.items()},
    **{name: maker for names, maker in _MAKERS for name in names},
}
"""Function that makes a device module (and those that belong to it) by the module's name."""


REPLACEABLE = {"fpioa_manager", "board", "pmu", "modules", "font", "bootloader", "touchscreen", "speech_recognizer",
               "socket", "utimeq", "network_esp32", "network_esp8285", "network_wiznet5k"}
"""Modules that are Python on the board too, or that not every firmware has: a file of the script's own goes first."""


def modules() -> dict[str, ModuleType]:
    """All device modules by name."""
    found: dict[str, ModuleType] = {}
    for name, make in MODULES.items():
        if name not in found:
            found.update(make())
    return found


def install() -> None:
    """Put the device modules into ``sys.modules`` and extend ``time``, ``gc`` and ``sys``.

    The importing program keeps its own ``socket``.
    """
    timing.install()
    sys.modules.update({name: module for name, module in modules().items() if name != "socket"})


class DeviceImporter(Loader):
    """Makes device modules when a script imports them, before modules of the same name on the host.

    Parameters
    ----------
    folders : the script's folders. A file there goes before a module that the firmware has as Python too.
    hosts : the host's own modules of these names, as far as they are loaded; those loaded meanwhile are added.
    """

    def __init__(self, folders: Sequence[str] = (), hosts: dict[str, ModuleType] | None = None):
        self._folders = [Path(folder) for folder in folders]
        self._hosts = {} if hosts is None else hosts
        self._made: dict[str, ModuleType] = {}
        self._specs: dict[str, ModuleSpec | None] = {}
        self._making = False

    def find_spec(self, name: str, path=None, target=None):
        """Spec of a device module, or None."""
        if self._making or name not in MODULES or (name in REPLACEABLE and self._is_file(name)):
            return None
        return ModuleSpec(name, self, is_package=name == "ulab")

    def _is_file(self, name: str) -> bool:
        return any((folder / f"{name}.py").is_file() or (folder / name).is_dir() for folder in self._folders)

    def create_module(self, spec) -> ModuleType:
        """The module; those that are made with it are kept for later."""
        if spec.name not in self._made:
            self._make(spec.name)
        module = self._made[spec.name]
        self._specs[spec.name] = module.__spec__
        return module

    def _make(self, name: str) -> None:
        """Device modules are made of the host's: those are found while they are made, and not afterwards.

        They are the very modules that the host's others hold: a second ``socket`` would not fit its ``ssl``.
        """
        devices = _taken_out()
        sys.modules.update(self._hosts)
        self._making = True
        try:
            self._made.update(MODULES[name]())
        finally:
            self._making = False
            self._hosts.update(_taken_out())
            sys.modules.update(devices)

    def exec_module(self, module: ModuleType) -> None:
        """A module of the host that has a device name too keeps its own origin."""
        own = module.__spec__ and self._specs[module.__spec__.name]
        if own is not None:
            module.__spec__ = own


@contextlib.contextmanager
def installed(folders: Sequence[str]) -> Iterator[None]:
    """While active, the device modules can be imported, and ``time``, ``gc`` and ``sys`` have their additions."""
    timing.install()
    before = set(sys.modules)
    hosts = _taken_out()
    importer = DeviceImporter(folders, hosts)
    sys.meta_path.insert(0, importer)
    try:
        yield
    finally:
        sys.meta_path.remove(importer)
        _taken_out()
        for name, module in list(sys.modules.items()):
            if name not in before and _lies_in(module, folders):
                del sys.modules[name]
        sys.modules.update(hosts)


def _taken_out() -> dict[str, ModuleType]:
    """Remove the modules of the device's names from ``sys.modules``; those that were there."""
    return {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}


def _lies_in(module: ModuleType, folders: Sequence[str]) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and paths.is_script_file(file, tuple(folders))
