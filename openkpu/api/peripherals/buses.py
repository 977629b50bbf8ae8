# SPDX-License-Identifier: Apache-2.0
"""``machine.I2C`` and ``machine.SPI``: nothing is connected; what is written is logged, what is read is zero."""

from __future__ import annotations

from openkpu.api.board.board import current_board
from openkpu.api.board.log import peripheral_log
from openkpu.api.board.standin import note

_DOES = "writes go to peripherals.log, reads give zeros"


def _bytes(data) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, int):
        return bytes([data & 0xFF])
    return bytes(data) if isinstance(data, (list, tuple)) else bytes(memoryview(data).cast("B"))


class I2C:
    """An I2C bus without devices; ``scan`` finds none. Parameters as on the board, all accepted."""

    I2C0, I2C1, I2C2, I2C3, I2C4, I2C5 = range(6)
    MODE_MASTER, MODE_SLAVE = 0, 1
    I2C_EV_START, I2C_EV_RESTART, I2C_EV_STOP = 0, 1, 2

    def __init__(self, id=0, *args, **keywords):
        note("machine.I2C", _DOES)
        self._name = f"i2c{id}"
        self._log = peripheral_log(current_board())

    def init(self, *args, **keywords) -> None:
        """Accepted."""

    def deinit(self) -> None:
        """Accepted."""

    def scan(self) -> list[int]:
        """No device answers."""
        return []

    def readfrom(self, addr, nbytes=1, stop=True) -> bytes:
        """Zeros."""
        return bytes(nbytes)

    def readfrom_into(self, addr, buf, stop=True) -> None:
        """Fill with zeros."""
        _zero(buf)

    def writeto(self, addr, buf, stop=True) -> int:
        """Log; the number of bytes."""
        data = _bytes(buf)
        self._log(self._name, f"{addr:#x} <- {data.hex(' ')}")
        return len(data)

    def readfrom_mem(self, addr, memaddr, nbytes=1, addrsize=8, mem_size=8) -> bytes:
        """Zeros."""
        return bytes(nbytes)

    def readfrom_mem_into(self, addr, memaddr, buf, addrsize=8, mem_size=8) -> None:
        """Fill with zeros."""
        _zero(buf)

    def writeto_mem(self, addr, memaddr, buf, addrsize=8, mem_size=8) -> int:
        """Log; the number of bytes."""
        data = _bytes(buf)
        self._log(self._name, f"{addr:#x} [{memaddr:#x}] <- {data.hex(' ')}")
        return len(data)


class SPI:
    """An SPI bus without devices. Parameters as on the board, all accepted."""

    SPI0, SPI1, SPI2, SPI3, SPI_SOFT = 0, 1, 2, 3, 4
    MODE_MASTER, MODE_MASTER_2, MODE_MASTER_4, MODE_MASTER_8, MODE_SLAVE = range(5)
    LSB, MSB = 1, 0
    CS0, CS1, CS2, CS3 = range(4)

    def __init__(self, id=0, *args, **keywords):
        note("machine.SPI", _DOES)
        self._name = f"spi{id}"
        self._log = peripheral_log(current_board())

    def init(self, *args, **keywords) -> None:
        """Accepted."""

    def deinit(self) -> None:
        """Accepted."""

    def write(self, buf, cs=0) -> None:
        """Log."""
        self._log(self._name, f"<- {_bytes(buf).hex(' ')}")

    def read(self, nbytes, write=0, cs=0) -> bytes:
        """Zeros."""
        return bytes(nbytes)

    def readinto(self, buf, write=0, cs=0) -> None:
        """Fill with zeros."""
        _zero(buf)

    def write_readinto(self, write_buf, read_buf, cs=0) -> None:
        """Log, and fill with zeros."""
        self.write(write_buf)
        _zero(read_buf)


def _zero(buffer) -> None:
    view = memoryview(buffer).cast("B")
    view[:] = bytes(len(view))
