"""Parts of the board that the simulation does not have: they say so when a script uses them."""

from __future__ import annotations

from openkpu.errors import UsageError


class NotSimulatedError(UsageError, NotImplementedError):
    """The script uses a peripheral outside the simulation."""


def _part(name: str) -> type:
    def refuse(self, *args, **keywords):
        raise NotSimulatedError(f"{name} is not simulated: only the KPU, camera, screen, flash and GPIO are")

    return type(name.rpartition(".")[2], (), {"__init__": refuse, "__doc__": f"``{name}``: raises NotSimulatedError."})


def _machine_class(name: str, **constants) -> type:
    cls = _part(f"machine.{name}")
    for constant, value in constants.items():
        setattr(cls, constant, value)
    return cls


Timer = _machine_class("Timer", TIMER0=0, TIMER1=1, TIMER2=2, CHANNEL0=0, CHANNEL1=1, CHANNEL2=2, CHANNEL3=3,
                       MODE_ONE_SHOT=0, MODE_PERIODIC=1, MODE_PWM=2, UNIT_S=0, UNIT_MS=1, UNIT_US=2, UNIT_NS=3)
PWM = _machine_class("PWM")
UART = _machine_class("UART", UART1=0, UART2=1, UART3=2, UARTHS=3)
I2C = _machine_class("I2C", I2C0=0, I2C1=1, I2C2=2, MODE_MASTER=0, MODE_SLAVE=1)
SPI = _machine_class("SPI", SPI0=0, SPI1=1, MODE_MASTER=0)
WDT = _machine_class("WDT")
FFT = _part("Maix.FFT")
I2S = _part("Maix.I2S")
Audio = _part("Maix.Audio")
MIC_ARRAY = _part("Maix.MIC_ARRAY")


def reset() -> None:
    """``machine.reset``: ends the script."""
    raise SystemExit(0)
