# SPDX-License-Identifier: Apache-2.0
# A timer goes off during an inference: its function runs after it.
# options: --frames 3 --camera demo
# rtl: --frames 1
# prints: ticked
import KPU as kpu
import sensor
from machine import Timer

net = kpu.load("/sd/demo.kmodel")
ticks = []
timer = Timer(Timer.TIMER1, Timer.CHANNEL2, mode=Timer.MODE_PERIODIC, period=1, callback=lambda t: ticks.append(1))
sensor.reset()
sensor.set_framesize(sensor.QVGA)
try:
    while True:
        kpu.forward(net, sensor.snapshot())
        while not ticks:
            pass
finally:
    if ticks:
        print("ticked")
