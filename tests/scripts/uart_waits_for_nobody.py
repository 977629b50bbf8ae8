# SPDX-License-Identifier: Apache-2.0
# A loop that waits for a byte which nobody sends ends.
# ended by: UART1 was asked for data \d+ times
from machine import UART

uart = UART(UART.UART1)
while True:
    if uart.read(1):
        break
