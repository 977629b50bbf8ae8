# SPDX-License-Identifier: Apache-2.0
"""Small modules of the firmware: ``touchscreen``, ``pmu``, ``modules``, ``font``, ``bootloader``, and refused ones."""

from __future__ import annotations

from types import ModuleType

from openkpu.api.board.standin import Accepting, AcceptingModule, RefusingModule, accepting, note

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


class _Wifi(Accepting):
    """``network_esp32.wifi``: always connected."""

    _name = "wifi"
    _does = "it is always connected; other computers are reached with --network only"
    answers = {"isconnected": True, "connect": True, "reset": True, "enable": True, "nic": None,
               "ifconfig": ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1", "", "this computer")}

    def __init__(self):
        """The log begins with the first call: the object is made with its module."""

    def __getattr__(self, method: str):
        if method == "_log":
            super().__init__()
            return self._log
        return super().__getattr__(method)


def _thermal(name: str, width: int, height: int) -> type:
    """A thermal camera in front of something even."""
    def picture(*args, **keywords):
        from openkpu.api.imaging.image import Image

        return Image(size=(width, height)).to_grayscale()

    return accepting(f"modules.{name}", "everything it sees has the same temperature", {
        "width": width, "height": height, "temperature": lambda *args: [2500] * (width * height),
        "min_max": (2500, 2500, (0, 0), (0, 0)), "to_image": picture})


def _power(name: str) -> type:
    return accepting(f"pmu.{name}", "the battery is full and buttons are not pressed", _POWER)


def extra_modules() -> dict[str, ModuleType]:
    """The modules by name."""
    font = accepting("font", "its calls are accepted; use image.font_load")
    return {
        "touchscreen": _module("touchscreen", "A screen that nobody touches.", init=_touch_init, read=_touch_read,
                               calibrate=lambda *args, **keywords: (0,) * 7, deinit=_nothing, STATUS_IDLE=0,
                               STATUS_RELEASE=1, STATUS_PRESS=2, STATUS_MOVE=3),
        "pmu": AcceptingModule("pmu", "Power management: the battery is full.",
                       **{name: _power(name) for name in ("axp192", "axp173", "axp202")}),
        "modules": AcceptingModule("modules", "Drivers of the vendors' add-on modules, whatever their names.",
                                   htpa=_thermal("htpa", 32, 32), amg88xx=_thermal("amg88xx", 8, 8),
                                   ws2812=accepting("modules.ws2812", "no LED lights up", _LEDS)),
        **{f"network_{chip}": _module(f"network_{chip}", "The vendor's network helper.", wifi=_Wifi())
           for chip in ("esp32", "esp8285", "wiznet5k")},
        "font": _module("font", "Fonts.", font=font, Font=font, init=_nothing, load=_nothing, UTF8=1, ASCII=0),
        "bootloader": _module("bootloader", "Nothing to boot.", get_boot_section=_nothing),
        **{name: RefusingModule(name, reason) for name, reason in REFUSED.items()},
    }
