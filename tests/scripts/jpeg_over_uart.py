# SPDX-License-Identifier: Apache-2.0
# A picture is sent as a JPEG file.
# options: --frames 1
# wrote: uart1.log: \xff\xd8\xff.*\xff\xd9
import sensor
from machine import UART

sensor.reset()
sensor.set_framesize(sensor.QQVGA)
uart = UART(UART.UART1, 1500000)
img = sensor.snapshot()
data = img.compress(quality=40).to_bytes()
for start in range(0, len(data), 1024):
    uart.write(data[start:start + 1024])
