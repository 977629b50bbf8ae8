# SPDX-License-Identifier: Apache-2.0
"""``board.board_info`` and the screen size of the common boards, chosen with ``--board``.

The tables are the vendors' own board configurations (``config_maix_*.py``, the M5StickV's ``board.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openkpu.api.board.board import current_board

_WIFI = {"WIFI_TX": 6, "WIFI_RX": 7, "WIFI_EN": 8}
_I2S_DAC = {"I2S_WS": 33, "I2S_DA": 34, "I2S_BCK": 35}
_MIC_19 = {"MIC0_WS": 19, "MIC0_DATA": 20, "MIC0_BCK": 18}
_HEADER = {f"PIN{n}": n for n in range(48)}


@dataclass(frozen=True)
class BoardKind:
    """Pins by name, screen (width, height) and the pins whose level ``--key`` changes."""

    pins: dict[str, int]
    screen: tuple[int, int] = (320, 240)
    keys: tuple[str, ...] = field(default=("BOOT_KEY",))


BOARDS: dict[str, BoardKind] = {
    "bit": BoardKind({**_HEADER, "BOOT_KEY": 16, "LED_R": 13, "LED_G": 12, "LED_B": 14, **_MIC_19}),
    "dock": BoardKind({**_HEADER, "BOOT_KEY": 16, "LED_R": 14, "LED_G": 13, "LED_B": 12, **_WIFI, **_I2S_DAC,
                       "MIC0_WS": 30, "MIC0_DATA": 31, "MIC0_BCK": 32}),
    "go": BoardKind({**_HEADER, "BOOT_KEY": 16, "LED_R": 14, "LED_G": 12, "LED_B": 13, **_WIFI, **_I2S_DAC,
                     **_MIC_19}),
    "maixduino": BoardKind({
        "BOOT_KEY": 16, "LED_R": 13, "LED_G": 12, "LED_B": 14, **_WIFI, **_I2S_DAC, **_MIC_19, "ESP32_CS": 25,
        "ESP32_RST": 8, "ESP32_RDY": 9, "ESP32_MOSI": 28, "ESP32_MISO": 26, "ESP32_SCLK": 27, "PIN0": 4, "PIN1": 5,
        "PIN2": 21, "PIN3": 22, "PIN4": 23, "PIN5": 24, "PIN6": 32, "PIN7": 16, "PIN8": 14, "PIN9": 13, "PIN10": 12,
        "PIN11": 11, "PIN12": 10, "PIN13": 3}),
    "cube": BoardKind({
        "BOOT_KEY": 16, "LED_R": 13, "LED_G": 12, "LED_B": 14, "LED_W": 32, "BACK": 11, "ENTER": 10, "NEXT": 16,
        **_WIFI, "I2S0_MCLK": 19, "I2S0_SCLK": 35, "I2S0_WS": 33, "I2S0_IN_D0": 34, "I2S0_OUT_D2": 18, "I2C_SDA": 31,
        "I2C_SCL": 30, "SPI_SCLK": 21, "SPI_MOSI": 8, "SPI_MISO": 15, "SPI_CS": 20}, (240, 240)),
    "amigo": BoardKind({
        "BOOT_KEY": 23, "LED_R": 14, "LED_G": 15, "LED_B": 17, "LED_W": 32, "BACK": 31, "ENTER": 23, "NEXT": 20,
        **_WIFI, "I2S0_MCLK": 13, "I2S0_SCLK": 21, "I2S0_WS": 18, "I2S0_IN_D0": 35, "I2S0_OUT_D2": 34, "I2C_SDA": 27,
        "I2C_SCL": 24, "SPI_SCLK": 11, "SPI_MOSI": 10, "SPI_MISO": 6, "SPI_CS": 12}, (480, 320)),
    "m5stickv": BoardKind({
        "ISP_RX": 4, "ISP_TX": 5, "WIFI_TX": 39, "WIFI_RX": 38, "CONNEXT_A": 35, "CONNEXT_B": 34, "MPU_SDA": 29,
        "MPU_SCL": 28, "MPU_INT": 23, "SPK_LRCLK": 14, "SPK_BCLK": 15, "SPK_DIN": 17, "SPK_SD": 25, "MIC_LRCLK": 10,
        "MIC_DAT": 12, "MIC_CLK": 13, "LED_W": 7, "LED_R": 6, "LED_G": 9, "LED_B": 8, "BUTTON_A": 36,
        "BUTTON_B": 37}, (240, 135), ("BUTTON_A",)),
}

_GENERIC = {name: pin for kind in reversed(BOARDS.values()) for name, pin in kind.pins.items()}
BOARDS["generic"] = BoardKind({**_GENERIC, **BOARDS["bit"].pins, "MIC0_WS": 30}, keys=("BOOT_KEY", "BUTTON_A"))


def current_kind() -> BoardKind:
    """The table of the chosen board."""
    return BOARDS[current_board().settings.board]


class BoardInfo:
    """``board.board_info``: pin numbers as attributes of the chosen board.

    ``generic`` knows the names of all boards; where they differ, the Maix Bit's number holds. Calling it gives itself,
    since older firmware had a class here.
    """

    def __call__(self) -> BoardInfo:
        return self

    def __getattr__(self, name: str) -> int:
        if name.startswith("__"):
            raise AttributeError(name)
        pins = {**current_kind().pins, **current_board().pin_names}
        if name not in pins:
            others = [kind for kind, table in BOARDS.items() if name in table.pins and kind != "generic"]
            known = f"it is a pin of {', '.join(others)}: choose with --board" if others else (
                f"its pins are {', '.join(sorted(pins))}")
            raise AttributeError(f"the board {current_board().settings.board} has no pin {name}; {known}")
        return pins[name]

    def __setattr__(self, name: str, value: int) -> None:
        current_board().pin_names[name] = value

    def __dir__(self) -> list[str]:
        return sorted(current_kind().pins)

    def pin_map(self, *args) -> None:
        """Print the pins."""
        for name, pin in current_kind().pins.items():
            print(f"{name}: {pin}")

    load = pin_map


board_info = BoardInfo()


def key_pins() -> set[int]:
    """Numbers of the pins that ``--key`` presses."""
    kind = current_kind()
    return {kind.pins[name] for name in kind.keys}
