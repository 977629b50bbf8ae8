# SPDX-License-Identifier: Apache-2.0
# Each of these names is there on the board; a script that only needs the KPU dies at the first one missing.
# prints: (?m)^0 missing
LINES = (
    "import audio", "import video", "import network", "import touchscreen", "import ulab", "import ulab.array",
    "from pmu import axp192", "from modules import ws2812", "from modules import onewire", "import lvgl",
    "import nes", "import socket", "import usocket", "import _thread", "import hashlib", "import uerrno",
    "import uheapq", "import uselect", "import uctypes", "import ucryptolib", "import btree",
    "import machine; machine.unique_id", "from machine import Pin", "from machine import RTC",
    "from machine import SDCard", "from fpioa_manager import *; FPIOA", "from fpioa_manager import FPIOA",
    "from fpioa_manager import fm, board_info", "from fpioa_manager import *; board_info.BUTTON_A",
    "from board import board_info; board_info.BUTTON_A", "from board import board_info; board_info.LED_W",
    "from board import board_info; board_info.SPK_SD", "from board import board_info; board_info.PIN9",
    "from board import board_info; board_info.WIFI_TX", "from fpioa_manager import fm; fm.fpioa.I2S0_SCLK",
    "from fpioa_manager import fm; fm.fpioa.I2S0_WS", "from fpioa_manager import fm; fm.fpioa.UARTHS_TX",
    "from fpioa_manager import fm; fm.fpioa.SPI1_D0", "from fpioa_manager import fm; fm.get_gpio_used",
    "from fpioa_manager import fm; fm.get_pin_by_function", "from fpioa_manager import fm; fm.str_function",
    "import Maix; Maix.freq", "from Maix import utils, freq, config", "import os; os.ilistdir",
    "import uos; uos.ilistdir('/')", "import os; os.statvfs", "import os; os.sync", "import gc; gc.mem_free()",
    "import micropython; micropython.mem_info", "import time; time.ticks_add(0,1)", "import time; time.clock()",
    "import utime; utime.ticks_us()", "from time import ticks_cpu", "import sys; sys.print_exception",
    "import image; image.Image('/sd/none.jpg', copy_to_fb=True) if 0 else None", "import lcd; lcd.rotation(2)",
    "import lcd; lcd.set_backlight(50)", "import sensor; sensor.set_jb_quality(80)",
    "import sensor; sensor.set_auto_gain(0)", "import sensor; sensor.shutdown", "import KPU; KPU.init_yolo3",
    "import font", "import speech_recognizer", "import bootloader",
)
missing = []
for line in LINES:
    try:
        exec(line, {})
    except BaseException as e:
        missing.append(line)
        print(line, type(e).__name__, e)
print(len(missing), "missing")
