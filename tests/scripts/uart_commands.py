# SPDX-License-Identifier: Apache-2.0
# Commands come over a serial port: a file stands for the other end.
# options: --uart {here}/card/commands.txt
# prints: start b'start\\n'
# prints: rest b'7' 1
# prints: filled 3 bytearray\(b'abc'\)
# prints: nothing None
# wrote: uart2.log: ok\x00\x01
from machine import UART

uart = UART(UART.UART2, 9600, timeout=100)
while not uart.any():
    pass
print("start", uart.readline())
print("rest", uart.read(1), len(uart.read(1)))
buffer = bytearray(3)
print("filled", uart.readinto(buffer), buffer)
print("nothing", uart.read())
uart.write("ok")
uart.write(b"\x00\x01")
UART.repl_uart().write("on the console\n")
