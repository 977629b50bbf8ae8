# SPDX-License-Identifier: Apache-2.0
# Another board: its pins, its screen, its button.
# options: --board m5stickv --frames 3 --key 1:1000
# prints: 36 7 240 135
# prints: pressed
# pictures: 240x135
import lcd
import sensor
from board import board_info
from fpioa_manager import fm
from Maix import GPIO

fm.register(board_info.BUTTON_A, fm.fpioa.GPIO1)
button = GPIO(GPIO.GPIO1, GPIO.IN, GPIO.PULL_UP)
lcd.init()
lcd.rotation(2)
print(board_info.BUTTON_A, board_info.LED_W, lcd.width(), lcd.height())
sensor.reset()
sensor.set_framesize(sensor.QVGA)
while True:
    img = sensor.snapshot()
    if button.value() == 0:
        print("pressed")
    lcd.display(img)
