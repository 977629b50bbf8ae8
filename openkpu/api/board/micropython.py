# SPDX-License-Identifier: Apache-2.0
"""MicroPython's own modules: ``micropython``, ``uctypes``, ``uzlib``, ``uselect``, ``uheapq``, ``uerrno``."""

from __future__ import annotations

import builtins
import ctypes
import errno
import heapq
import io
import select
import zlib
from types import ModuleType

from openkpu.api.board.board import current_board
from openkpu.api.board.timing import mem_alloc, mem_free


def _module(name: str, doc: str, **members) -> ModuleType:
    module = ModuleType(name, doc)
    module.__dict__.update(members)
    return module


def _unchanged(value):
    """What ``const`` and the code emitters' decorators come to on a PC."""
    return value


def _mem_info(verbose=None) -> None:
    board = current_board()
    print(f"GC: total: {board.gc_heap_bytes}, used: {mem_alloc()}, free: {mem_free()}")


def _stack_use() -> int:
    return 0


def _schedule(function, arg) -> None:
    function(arg)


def _accepted(*args, **keywords) -> int:
    return 0


def _decompress(data, wbits=0, bufsize=0) -> bytes:
    """zlib by default, raw deflate for negative ``wbits``."""
    return zlib.decompress(data, wbits or zlib.MAX_WBITS)


class DecompIO(io.BytesIO):
    """A stream of decompressed bytes; ``wbits`` above 24 is gzip, below 0 raw deflate."""

    def __init__(self, stream, wbits=0):
        super().__init__(zlib.decompress(stream.read(), wbits or zlib.MAX_WBITS))


def _bytearray_at(address, size) -> bytearray:
    return (ctypes.c_char * size).from_address(address)


def _addressof(value) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(value))


def _sizeof(value, layout=0) -> int:
    return len(memoryview(value).cast("B"))


class _ByteArrayType(type):
    def __instancecheck__(cls, value) -> bool:
        return isinstance(value, bytearray)

    def __call__(cls, *args, **keywords) -> bytearray:
        if len(args) == 1 and isinstance(args[0], str):
            return bytearray(args[0].encode())
        return bytearray(*args, **keywords)


class _ByteArray(metaclass=_ByteArrayType):
    """``bytearray``, which on the board also takes a str without an encoding."""

    fromhex = bytearray.fromhex


def script_builtins() -> dict:
    """Built-in names as a script sees them, where MicroPython differs from CPython."""
    return {**vars(builtins), "bytearray": _ByteArray}


def own_modules() -> dict[str, ModuleType]:
    """The modules by name."""
    emitters = dict.fromkeys(("const", "native", "viper", "asm_thumb"), _unchanged)
    return {
        "micropython": _module("micropython", "MicroPython's own helpers.", **emitters, mem_info=_mem_info,
                               qstr_info=_accepted, stack_use=_stack_use, heap_lock=_accepted, heap_unlock=_accepted,
                               kbd_intr=_accepted, opt_level=_accepted, schedule=_schedule,
                               mem_total=lambda: current_board().gc_heap_bytes, mem_current=mem_alloc,
                               mem_peak=mem_alloc, alloc_emergency_exception_buf=_accepted),
        "uctypes": _module("uctypes", "Addresses of buffers; structures are not simulated.", addressof=_addressof,
                           sizeof=_sizeof, bytearray_at=_bytearray_at,
                           bytes_at=lambda address, size: ctypes.string_at(address, size),
                           BIG_ENDIAN=1, LITTLE_ENDIAN=0, NATIVE=2, UINT8=0, INT8=1, UINT16=2, INT16=3, UINT32=4,
                           INT32=5, UINT64=6, INT64=7, FLOAT32=8, FLOAT64=9, ARRAY=-1, PTR=-2),
        "uzlib": _module("uzlib", "Decompression.", decompress=_decompress, DecompIO=DecompIO),
        "uselect": select,
        "uheapq": heapq,
        "uerrno": errno,
        "utimeq": _module("utimeq", "A queue by time.", utimeq=list),
    }
