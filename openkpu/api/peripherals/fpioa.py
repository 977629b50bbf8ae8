# SPDX-License-Identifier: Apache-2.0
"""The pin multiplexer: ``Maix.FPIOA`` and ``fpioa_manager.fm``.

Function numbers are those of the chip's FPIOA (kendryte-standalone-sdk, ``fpioa.h``), so that a number printed by a
script means the same as on the board.
"""

from __future__ import annotations

from openkpu.api.board.board import current_board

PINS = 48
"""Pins of the chip: 0...47."""


def _numbered(pattern: str, count: int, first: int = 0) -> list[str]:
    return [pattern.format(n) for n in range(first, first + count)]


def _i2s(n: int) -> list[str]:
    lines = ("MCLK", "SCLK", "WS", *_numbered("IN_D{}", 4), *_numbered("OUT_D{}", 4))
    return [f"I2S{n}_{line}" for line in lines]


def _spi(n: int) -> list[str]:
    return [*_numbered(f"SPI{n}_D{{}}", 8), *_numbered(f"SPI{n}_SS{{}}", 4), f"SPI{n}_ARB", f"SPI{n}_SCLK"]


_MODEM = ("CTS", "DSR", "DCD", "RI", "SIR_IN", "DTR", "RTS", "OUT2", "OUT1", "SIR_OUT", "BAUD", "RE", "DE", "RS485_EN")
_CAMERA = ("XCLK", "RST", "PWDN", "VSYNC", "HREF", "PCLK", *_numbered("D{}", 8))

FUNCTIONS: tuple[str, ...] = (
    "JTAG_TCLK", "JTAG_TDI", "JTAG_TMS", "JTAG_TDO", *_spi(0), "UARTHS_RX", "UARTHS_TX", "RESV6", "RESV7",
    "CLK_SPI1", "CLK_I2C1", *_numbered("GPIOHS{}", 32), *_numbered("GPIO{}", 8),
    *(f"UART{n}_{end}" for n in (1, 2, 3) for end in ("RX", "TX")), *_spi(1),
    "SPI_SLAVE_D0", "SPI_SLAVE_SS", "SPI_SLAVE_SCLK", *_i2s(0), *_i2s(1), *_i2s(2), *_numbered("RESV{}", 6),
    *(f"I2C{n}_{line}" for n in range(3) for line in ("SCLK", "SDA")), *(f"CMOS_{line}" for line in _CAMERA),
    "SCCB_SCLK", "SCCB_SDA", *(f"UART{n}_{line}" for n in (1, 2, 3) for line in _MODEM),
    *(f"TIMER{n}_TOGGLE{c}" for n in range(3) for c in range(1, 5)), "CLK_SPI2", "CLK_I2C2",
    *_numbered("INTERNAL{}", 18), "CONSTANT", "INTERNAL18", *_numbered("DEBUG{}", 32),
)
"""Names of the functions; the position is the number."""

NUMBERS: dict[str, int] = {name: number for number, name in enumerate(FUNCTIONS)}
RESERVED = NUMBERS["RESV0"]


class FPIOA:
    """Which function a pin has. Every function of the chip is a constant of this class."""

    def set_function(self, pin: int, func: int, *settings) -> None:
        """Connect ``pin`` to ``func``; what it was connected to before is forgotten."""
        pins = current_board().pins
        for used in [p for p, f in pins.items() if f == int(func)]:
            del pins[used]
        pins[int(pin)] = int(func)

    def get_Pin_num(self, func: int) -> int | None:
        """Pin connected to ``func``, or None."""
        return next((pin for pin, used in current_board().pins.items() if used == func), None)

    def help(self, func: int | None = None) -> None:
        """Print the functions' numbers and names, or one of them."""
        for number, name in enumerate(FUNCTIONS):
            if func is None or number == func:
                print(f"{number:3d} {name}")


for _name, _number in NUMBERS.items():
    setattr(FPIOA, _name, _number)


class FpioaManager:
    """``fpioa_manager.fm``: the firmware's register of pin functions."""

    fpioa = FPIOA()

    def register(self, pin: int, func: int, force: bool = True) -> int | None:
        """Connect ``pin`` to ``func``.

        Raises
        ------
        Exception
            With ``force=False``: another pin has the function.
        """
        used = self.get_pin_by_function(func)
        if used is not None and used != int(pin) and not force:
            raise Exception(f"[Warning] function is used by {self.str_function(func)}(pin:{used})")
        self.fpioa.set_function(pin, func)
        return None

    def unregister(self, pin: int) -> None:
        """Forget the pin's function."""
        current_board().pins.pop(int(pin), None)

    def get_pin_by_function(self, func: int) -> int | None:
        """Pin connected to ``func``, or None."""
        return self.fpioa.get_Pin_num(func)

    def str_function(self, func: int) -> str:
        """``fm.fpioa.<name>``, or "unknown"."""
        return f"fm.fpioa.{FUNCTIONS[func]}" if 0 <= func < len(FUNCTIONS) else "unknown"

    def get_gpio_used(self) -> list[tuple[str, int | None]]:
        """(name, pin or None) of the forty GPIO functions."""
        return [(self.str_function(f), self.get_pin_by_function(f))
                for f in range(NUMBERS["GPIOHS0"], NUMBERS["GPIO7"] + 1)]

    def help(self) -> None:
        """Print all functions."""
        self.fpioa.help()


fm = FpioaManager()
