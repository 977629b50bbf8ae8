# SPDX-License-Identifier: Apache-2.0
# A script for a camera mounted upside down: the feed is turned for it.
# options: --frames 1 --camera {here}/card/corner.png --camera-rotation 180
# prints: \(255, 255, 255\) \(0, 0, 0\)
import sensor

sensor.reset()
sensor.set_framesize(sensor.QVGA)
img = sensor.snapshot()
print(img.get_pixel(315, 235), img.get_pixel(4, 4))
