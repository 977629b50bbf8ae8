# SPDX-License-Identifier: Apache-2.0
# Every module a script may import is there, and importing one says nothing.
# prints: all there
# silent: stand-in
import audio
import bootloader
import btree
import font
import lvgl
import micropython
import modules
import nes
import network
import pmu
import speech_recognizer
import touchscreen
import ubinascii
import ucollections
import ucryptolib
import uctypes
import uerrno
import uhashlib
import uheapq
import uio
import ujson
import uos
import urandom
import ure
import uselect
import usocket
import ussl
import ustruct
import usys
import utime
import uzlib
import video
from lvgl import btn
from machine import ADC, RTC, Pin, SDCard, unique_id
from Maix import FFT, FPIOA, GPIO, I2S, KPU, MIC_ARRAY, config, freq, utils
from micropython import const, native, viper
from modules import onewire, whatever, ws2812
from pmu import axp173, axp192

SIZE = const(16)


@native
def size():
    return SIZE


assert len(unique_id()) == size()
assert uzlib.decompress(b"x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15") == b"hello"
assert uctypes.sizeof(bytearray(4)) == 4
micropython.mem_info()
print("all there")
