# SPDX-License-Identifier: Apache-2.0
"""What the two Verilated devices share: a chip behind a C interface, driven one call at a time.

A call runs for at most ``SLICE_CYCLES`` clock cycles, then Python looks for signals: Ctrl-C is answered within a
fraction of a second, whatever the chip does.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import DeviceError

# About a third of a second of the full core (docs/simulation.md).
SLICE_CYCLES = 20_000
SLICE_BYTES = 1 << 16
PAGE_BYTES = 4096  # no burst crosses a page

OK, TIMEOUT = 0, 1

U32, U64, SIZE, POINTER, INT, TEXT = (ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int,
                                      ctypes.c_char_p)
# name behind the prefix -> (result, arguments); what every library has.
COMMON: dict[str, tuple] = {
    "default_config": (None, [POINTER]),
    "create": (POINTER, [POINTER]),
    "destroy": (None, [POINTER]),
    "reset": (None, [POINTER]),
    "cycles": (U64, [POINTER]),
    "message": (TEXT, [POINTER]),
}


class LibraryDevice:
    """A chip of a shared library.

    Threads: every method takes ``lock``, so that calls from several threads happen one after another; ``cycles`` does
    not wait for them. Whoever needs several calls in a row holds ``lock`` meanwhile, as a session does for a run.

    Parameters
    ----------
    path : the library.
    prefix : what its functions' names begin with.
    prototypes : name behind the prefix -> (result, arguments), beside those of ``COMMON``.
    """

    def __init__(self, path: Path, prefix: str, prototypes: Mapping[str, tuple]):
        self.lock = threading.RLock()
        self._life = threading.Lock()  # the chip is not destroyed while its cycles are being read
        self._chip: int | None = None
        try:
            lib = ctypes.CDLL(str(path))
        except OSError as error:
            raise DeviceError(f"the simulator {path} does not load ({error}); delete it to have it built again") \
                from error
        self._functions = {}
        for name, (result, arguments) in (COMMON | dict(prototypes)).items():
            function = self._functions[name] = getattr(lib, f"{prefix}_{name}")
            function.restype, function.argtypes = result, arguments

    def _create(self, settings: ctypes.Structure, **values: int) -> bool:
        """Make the chip with the library's default settings but for ``values``; False if it refuses them."""
        self._functions["default_config"](ctypes.byref(settings))
        for name, value in values.items():
            setattr(settings, name, value)
        self._chip = self._functions["create"](ctypes.byref(settings))
        return bool(self._chip)

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far. May be read by another thread."""
        with self._life:
            return self._functions["cycles"](self._handle)

    def reset(self) -> None:
        """Reset the chip, even in the middle of a layer or transfer; memories keep their content."""
        self._plain("reset")

    def close(self) -> None:
        """Release the simulation; closing twice is harmless. Waits for a call, or a run, of another thread."""
        with self.lock, self._life:
            if self._chip:
                self._functions["destroy"](self._chip)
                self._chip = None

    def __del__(self) -> None:
        if getattr(self, "_chip", None):
            self.close()

    @property
    def _handle(self) -> int:
        if not self._chip:
            raise DeviceError("this device is closed; open another one")
        return self._chip

    def _plain(self, name: str, *arguments):
        """Call a function that does not fail."""
        with self.lock:
            return self._functions[name](self._handle, *arguments)

    def _call(self, name: str, *arguments) -> bool:
        """Call a function once; whether it has finished, False after its time-out. DeviceError for all else."""
        with self.lock:
            result = self._functions[name](self._handle, *arguments)
            if result not in (OK, TIMEOUT):
                raise DeviceError(self._functions["message"](self._handle).decode())
            return result == OK

    def _repeat(self, limit: int, name: str, *arguments) -> bool:
        """Call a function whose last argument is a number of cycles until it has finished; False after ``limit``."""
        with self.lock:
            for done in range(0, max(limit, 1), SLICE_CYCLES):
                if self._call(name, *arguments, min(SLICE_CYCLES, limit - done)):
                    return True
        return False


def slices(address: int, size: int) -> Iterator[tuple[int, int]]:
    """A range of bus memory as (offset, bytes), each a fraction of a second, that end at a page."""
    done = 0
    while done < size:
        count = min(SLICE_BYTES - (address + done) % PAGE_BYTES, size - done)
        yield done, count
        done += count
