"""Small modules of the firmware: ``touchscreen``, ``pmu``, ``modules``, ``font``, ``bootloader``, and refused ones."""

from __future__ import annotations

from types import ModuleType

from openkpu.api.board.standin import RefusingModule, accepting, note

REFUSED = {
    "lvgl": "graphical interfaces are not; draw with image and lcd",
    "lvgl_helper": "graphical interfaces are not; draw with image and lcd",
    "nes": "the game console is not",
    "ucryptolib": "ciphers are not",
    "btree": "data bases are not; use files",
}


def _module(name: str, doc: str, **members) -> ModuleType:
    module = ModuleType(name, doc)
    module.__dict__.update(members)
    return module


def _touch_init(*args, **keywords) -> None:
    note("touchscreen", "it is never touched")


def _touch_read() -> tuple[int, int, int]:
    note("touchscreen", "it is never touched")
    return 0, 0, 0


def _nothing(*args, **keywords) -> int:
    return 0


_POWER = {"getBattPercentage": 100, "getVbatVoltage": 4100.0, "getVbusVoltage": 5000.0, "getTempature": 25.0,
          "getTemperature": 25.0, "getKeyStuatus": 0, "is_charging": 1, "is_usb_plugged_in": 1}
_LEDS = {"set_led": None, "display": None}


def _power(name: str) -> type:
    return accepting(f"pmu.{name}", "the battery is full and buttons are not pressed", _POWER)


def extra_modules() -> dict[str, ModuleType]:
    """The modules by name."""
    font = accepting("font", "its calls are accepted; use image.font_load")
    parts = {name: accepting(f"modules.{name}") for name in ("onewire", "ultrasonic", "SPI_OLED", "amg88xx", "htpa",
                                                             "gm_motor", "spmod", "ws2812b")}
    return {
        "touchscreen": _module("touchscreen", "A screen that nobody touches.", init=_touch_init, read=_touch_read,
                               calibrate=lambda *args, **keywords: (0,) * 7, deinit=_nothing, STATUS_IDLE=0,
                               STATUS_RELEASE=1, STATUS_PRESS=2, STATUS_MOVE=3),
        "pmu": _module("pmu", "Power management: the battery is full.",
                       **{name: _power(name) for name in ("axp192", "axp173", "axp202")}),
        "modules": _module("modules", "Drivers of the vendor's add-on modules.", **parts,
                           ws2812=accepting("modules.ws2812", "no LED lights up", _LEDS)),
        "font": _module("font", "Fonts.", font=font, Font=font, init=_nothing, load=_nothing, UTF8=1, ASCII=0),
        "bootloader": _module("bootloader", "Nothing to boot.", get_boot_section=_nothing),
        **{name: RefusingModule(name, reason) for name, reason in REFUSED.items()},
    }
