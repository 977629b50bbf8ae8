# SPDX-License-Identifier: Apache-2.0
# A detector that reports over a serial port and moves a servo: the commonest KPU script.
# options: --frames 2 --camera demo
# rtl: --frames 1
# prints: boxes [1-9]
# wrote: uart1.log: box \d+,\d+
# wrote: peripherals.log: pwm pin 10: duty
import KPU as kpu
import lcd
import sensor
from fpioa_manager import fm
from machine import PWM, UART, Timer

fm.register(9, fm.fpioa.UART1_TX, force=True)
fm.register(10, fm.fpioa.UART1_RX)
uart = UART(UART.UART1, 115200, 8, None, 1, timeout=1000, read_buf_len=4096)
servo = PWM(Timer(Timer.TIMER0, Timer.CHANNEL0, mode=Timer.MODE_PWM), freq=50, duty=7.5, pin=10)
lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)
sensor.run(1)
net = kpu.load("/sd/demo.kmodel")
kpu.init_yolo2(net, 0.5, 0.3, 5, tuple(float(v) for v in open("anchors.txt").read().split(",")))
while True:
    img = sensor.snapshot()
    found = kpu.run_yolo2(net, img)
    print("boxes", len(found or []))
    for box in found or []:
        img.draw_rectangle(box.rect())
        uart.write("box %d,%d\n" % (box.x(), box.y()))
        servo.duty(2.5 + box.x() / 320 * 10)
    lcd.display(img)
