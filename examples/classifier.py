# SPDX-License-Identifier: Apache-2.0
# Say what is in the picture, the three best guesses with their probabilities.        API: MaixPy KPU
#
#   openkpu script examples/classifier.py --camera examples/demo/pictures
#   openkpu script examples/classifier.py --camera PHOTOS --sd FOLDER
#
# FOLDER holds the user's classifier.kmodel and labels.txt, for instance MobileNet with its 1000 classes. Without it the
# demo detector's map is read as a classifier: a class is as probable as its best cell.

import math
import os

import KPU as kpu
import lcd
import sensor

own = "classifier.kmodel" in os.listdir("/sd")
net = kpu.load("/sd/classifier.kmodel" if own else "/sd/demo/shapes_v3.kmodel")
with open("labels.txt" if own else "/sd/demo/labels.txt") as f:
    labels = [line.strip() for line in f if line.strip()]

lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)
first = kpu.netinfo(net)[0]
if own and (first.wi(), first.hi()) != (320, 240):
    sensor.set_windowing((first.wi(), first.hi()))


def best_cells(values, anchors=5, cells=300):
    """Probability of every class at its best cell of a YOLO map: objectness times softmax."""
    best = [0.0] * len(labels)
    entries = 5 + len(labels)
    for anchor in range(anchors):
        base = anchor * entries * cells
        for cell in range(cells):
            objectness = 1 / (1 + math.exp(-values[base + 4 * cells + cell]))
            if objectness < 0.05:
                continue
            scores = [math.exp(values[base + (5 + c) * cells + cell]) for c in range(len(labels))]
            total = sum(scores)
            for c, score in enumerate(scores):
                best[c] = max(best[c], objectness * score / total)
    return best


while True:
    img = sensor.snapshot()
    fmap = kpu.forward(net, img)
    values = fmap[:]
    probabilities = list(values) if own else best_cells(values)
    order = sorted(range(len(labels)), key=lambda c: -probabilities[c])[:3]
    img.draw_rectangle(0, 0, 150, 46, color=(0, 0, 96), fill=True)
    for place, c in enumerate(order):
        print("%-10s %.3f" % (labels[c], probabilities[c]), end="   ")
        img.draw_string(4, 4 + 14 * place, "%-10s %5.1f %%" % (labels[c], 100 * probabilities[c]), mono_space=True,
                        color=(255, 255, 0) if place == 0 else (200, 200, 200))
    print()
    lcd.display(img)
    kpu.fmap_free(fmap)
