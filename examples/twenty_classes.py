# SPDX-License-Identifier: Apache-2.0
# Detect objects of many classes and name them.        API: CanMV maix.KPU, released firmware
#
#   openkpu script examples/twenty_classes.py --camera examples/demo/pictures
#   openkpu script examples/twenty_classes.py --camera PHOTOS --sd FOLDER
#
# FOLDER then holds the user's own detector.kmodel, anchors.txt (w,h pairs in grid cells) and labels.txt, for instance
# the twenty classes of VOC. The grid follows from the output's length, since old firmware does not tell it.

import gc
import os
import time

import image
import lcd
import sensor
from maix import KPU

COLOURS = ((255, 64, 64), (64, 255, 64), (96, 128, 255), (255, 255, 64), (255, 64, 255), (64, 255, 255))

folder = "/sd" if "detector.kmodel" in os.listdir("/sd") else "/sd/demo"
model = folder + ("/detector.kmodel" if folder == "/sd" else "/shapes_v3.kmodel")
with open(folder + "/anchors.txt") as f:
    anchors = tuple(float(v) for v in f.read().replace("\n", "").split(",") if v)
with open(folder + "/labels.txt") as f:
    labels = f.read().split()

lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)
sensor.skip_frames(time=300)

kpu = KPU()
kpu.load_kmodel(model)
width, height = 320, 240
count = len(anchors) // 2
blank = image.Image(size=(width, height))
blank.pix_to_ai()
cells = len(kpu.run_with_output(blank, getlist=True)) // (count * (5 + len(labels)))
stride = int((width * height / cells) ** 0.5)
kpu.init_yolo2(anchors, anchor_num=count, img_w=width, img_h=height, net_w=width, net_h=height, layer_w=width // stride,
               layer_h=height // stride, threshold=0.5, nms_value=0.3, classes=len(labels))

clock = time.clock()
while True:
    gc.collect()
    clock.tick()
    img = sensor.snapshot()
    kpu.run_with_output(img)
    found = kpu.regionlayer_yolo2()
    legend = image.Image(size=(320, 14))
    for x, y, w, h, kind, probability in found:
        colour = COLOURS[kind % len(COLOURS)]
        img.draw_rectangle(x, y, w, h, color=colour, thickness=2)
        img.draw_rectangle(x, y, 8 * len(labels[kind]) + 4, 14, color=(0, 0, 0), fill=True)
        img.draw_string(x + 2, y + 1, labels[kind], color=colour, mono_space=True)
        print("%-12s %.2f at %d,%d size %dx%d" % (labels[kind], probability, x, y, w, h))
    legend.draw_string(2, 1, "%d objects, %.1f fps" % (len(found), clock.fps()))
    img.draw_image(legend, 0, 226)
    lcd.display(img)
