"""Make the device modules importable under their own names (spec/driver-api.md section 3.1).

They are installed instead of lying on the path as files, since ``Maix`` and ``maix`` differ only in case and ``time``,
``gc`` and ``sys`` must be extended, not replaced.
"""

from __future__ import annotations

import binascii
import collections
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
from types import ModuleType

from openkpu.api.board import boardutils, gpio, timing, unsimulated

_ALIASES = {"uio": io, "uos": os, "ujson": json, "ubinascii": binascii, "ustruct": struct, "usys": sys, "utime": time,
            "ure": re, "urandom": random, "ucollections": collections, "uhashlib": hashlib}


def _module(name: str, members: dict, doc: str) -> ModuleType:
    module = ModuleType(name, doc)
    module.__dict__.update(members)
    return module


def _maix(name: str) -> ModuleType:
    from openkpu.api.canmv.kpu import KPU

    members = {"GPIO": gpio.GPIO, "FPIOA": gpio.FPIOA, "utils": boardutils.utils, "freq": boardutils.freq,
               "config": boardutils.config, "FFT": unsimulated.FFT, "I2S": unsimulated.I2S,
               "Audio": unsimulated.Audio, "MIC_ARRAY": unsimulated.MIC_ARRAY, "KPU": KPU}
    return _module(name, members, "The board's peripherals (section 3.5); in CanMV also the KPU class (section 2).")


def _unchanged(value):
    """What ``micropython.const`` and the code emitters' decorators come to on a PC."""
    return value


def modules() -> dict[str, ModuleType]:
    """The device modules by name."""
    maixpy = importlib.import_module("openkpu.api.maixpy.kpu")
    public = {name: getattr(maixpy, name) for name in maixpy.__all__}
    found = {name: importlib.import_module(f"openkpu.api.imaging.{name}") for name in ("image", "sensor", "lcd")}
    found["KPU"] = _module("kpu", public, maixpy.__doc__)
    found["Maix"], found["maix"] = _maix("Maix"), _maix("maix")
    found["fpioa_manager"] = _module("fpioa_manager", {"fm": gpio.fm}, "Pin functions.")
    found["board"] = _module("board", {"board_info": gpio.board_info}, "Pin numbers of the board.")
    peripherals = ("Timer", "PWM", "UART", "I2C", "SPI", "WDT", "reset")
    found["machine"] = _module("machine", {name: getattr(unsimulated, name) for name in peripherals},
                               "Peripherals outside the simulation.")
    found["micropython"] = _module("micropython", dict.fromkeys(("const", "native", "viper"), _unchanged),
                                   "MicroPython's own helpers.")
    return {**_ALIASES, **found}


def install() -> None:
    """Put the device modules into ``sys.modules`` and extend ``time``, ``gc`` and ``sys``."""
    timing.install()
    sys.modules.update(modules())
