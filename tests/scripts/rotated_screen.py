# SPDX-License-Identifier: Apache-2.0
# A board mounted upside down: its user sees the picture upright.
# options: --frames 1
# pictures: 320x240 white at 0,0
import image
import lcd
import sensor

lcd.init()
lcd.rotation(2)
sensor.reset()
sensor.snapshot()
img = image.Image()
img.draw_rectangle(0, 0, 20, 20, color=(255, 255, 255), fill=True)
lcd.display(img)
