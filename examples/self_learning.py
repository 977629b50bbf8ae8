# SPDX-License-Identifier: Apache-2.0
# Learn three classes from one picture each, then name every further picture.        API: MaixPy KPU.classifier
#
#   openkpu script examples/self_learning.py --camera examples/demo/pictures --frames 12 --key 0 --key 1 --key 2
#
# The boot key takes the picture of the next class; here the first three frames. KPU.classifier compares the network's
# output with the pictures taken; any model at flash address 0x300000 is used instead of the demo detector.

import KPU as kpu
import lcd
import sensor
from board import board_info
from fpioa_manager import fm
from Maix import GPIO

CLASSES = 3
NAMES = ("class 1", "class 2", "class 3")

lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)

fm.register(board_info.BOOT_KEY, fm.fpioa.GPIOHS0)
key = GPIO(GPIO.GPIOHS0, GPIO.IN, GPIO.PULL_UP)

try:
    net = kpu.load(0x300000)
except ValueError:
    net = kpu.load("/sd/demo/shapes_v3.kmodel")
learner = kpu.classifier(net, CLASSES, 0)


def banner(img, text, color):
    img.draw_rectangle(0, 0, 320, 16, color=color, fill=True)
    img.draw_string(4, 2, text, color=lcd.WHITE)
    return img


taken = 0
while True:
    img = sensor.snapshot()
    if taken < CLASSES:
        if key.value() == 0:
            taken = learner.add_class_img(img) + 1
            banner(img, "picture of " + NAMES[taken - 1] + " taken", lcd.NAVY)
            if taken == CLASSES:
                learner.train()
        else:
            banner(img, "press the boot key: " + NAMES[taken], lcd.MAROON)
    else:
        index, distance = learner.predict(img)
        print(NAMES[index], "distance %.1f" % distance)
        banner(img, "%s, distance %.1f" % (NAMES[index], distance), lcd.DARKGREEN)
    lcd.display(img)
