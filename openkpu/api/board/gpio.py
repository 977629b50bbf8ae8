"""Pins: ``Maix.GPIO``, ``Maix.FPIOA``, ``fpioa_manager.fm``, ``board.board_info`` (spec/driver-api.md section 3.5)."""

from __future__ import annotations

from types import SimpleNamespace

from openkpu.api.board.board import current_board
from openkpu.api.board.bootkey import BOOT_PIN

_HIGH_SPEED = {f"GPIOHS{n}": n for n in range(32)}
_LOW_SPEED = {f"GPIO{n}": 32 + n for n in range(8)}


class FPIOA:
    """Pin multiplexer: which function a pin has. Functions are the ``GPIO...`` constants, or any number."""

    def set_function(self, pin: int, func: int, *settings) -> None:
        """Connect ``pin`` to ``func``."""
        _pin_map()[int(pin)] = int(func)

    def get_Pin_num(self, func: int) -> int | None:
        """Pin connected to ``func``, or None."""
        return next((pin for pin, used in _pin_map().items() if used == func), None)


for _name, _number in {**_HIGH_SPEED, **_LOW_SPEED}.items():
    setattr(FPIOA, _name, _number)
for _number, _name in enumerate(("UART1_RX", "UART1_TX", "UART2_RX", "UART2_TX", "TIMER0_TOGGLE1", "TIMER0_TOGGLE2",
                                 "TIMER1_TOGGLE1", "I2C0_SCLK", "I2C0_SDA", "I2S0_IN_D0", "I2S0_OUT_D1"), 64):
    setattr(FPIOA, _name, _number)


def _pin_map() -> dict[int, int]:
    return current_board().pins


class FpioaManager:
    """``fpioa_manager.fm``: the firmware's register of pin functions."""

    fpioa = FPIOA()

    def register(self, pin: int, func: int, force: bool = True) -> None:
        """Connect ``pin`` to ``func``."""
        self.fpioa.set_function(pin, func)

    def unregister(self, pin: int) -> None:
        """Forget the pin's function."""
        _pin_map().pop(int(pin), None)


class GPIO:
    """A pin. Inputs read 1; the one connected to the boot key (pin 16) follows ``--key`` events.

    Parameters
    ----------
    id : one of the ``GPIOHS...``/``GPIO...`` constants.
    mode : ``IN`` or ``OUT``; a pull constant is taken as an input, since one vendor script passes it there.
    """

    IN, OUT = 0, 1
    PULL_NONE, PULL_UP, PULL_DOWN = 2, 3, 4
    IRQ_RISING, IRQ_FALLING, IRQ_BOTH = 1, 2, 3
    WAKEUP_NOT_SUPPORT = 0

    def __init__(self, id: int, mode: int = 0, pull: int = 2, value: int | None = None):
        self._id, self._mode, self._pull = int(id), mode, pull
        self._level = 1 if value is None else int(bool(value))
        self._handler = None
        self._trigger = 0
        self._board = current_board()

    def _is_boot_key(self) -> bool:
        return self._board.pins.get(BOOT_PIN) == self._id

    def value(self, level: int | None = None) -> int | None:
        """Set an output, or read the pin."""
        if level is not None:
            self._level = int(bool(level))
            return None
        if self._mode == GPIO.OUT:
            return self._level
        self._board.on_poll()
        return self._board.boot_key.level() if self._is_boot_key() else 1

    def irq(self, handler, trigger: int = 3, wake: int = 0, priority: int = 7) -> None:
        """Call ``handler(pin)`` on the chosen edges, between frames."""
        self.disirq()
        self._handler, self._trigger = handler, trigger
        self._board.boot_key.listeners.append(self._edge)

    def disirq(self) -> None:
        """No more calls."""
        if self._edge in self._board.boot_key.listeners:
            self._board.boot_key.listeners.remove(self._edge)
        self._handler = None

    def _edge(self, level: int) -> None:
        wanted = GPIO.IRQ_RISING if level else GPIO.IRQ_FALLING
        if self._handler is not None and self._is_boot_key() and self._trigger & wanted:
            self._handler(self)

    def mode(self, mode: int | None = None) -> int:
        """Set and return the mode."""
        if mode is not None:
            self._mode = mode
        return self._mode


for _name, _number in {**_HIGH_SPEED, **_LOW_SPEED}.items():
    setattr(GPIO, _name, _number)

fm = FpioaManager()
board_info = SimpleNamespace(
    BOOT_KEY=BOOT_PIN, LED_R=13, LED_G=12, LED_B=14, WIFI_TX=6, WIFI_RX=7, WIFI_EN=8, MIC0_WS=30, MIC0_DATA=20,
    MIC0_BCK=18, I2S_WS=33, I2S_DA=34, I2S_BCK=35, PIN15=15, PIN17=17, PIN9=9, PIN10=10,
)
