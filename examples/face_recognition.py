# SPDX-License-Identifier: Apache-2.0
# Recognise what was seen before: find, cut out, encode, compare.        API: MaixPy face_encode, face_compare
#
#   openkpu script examples/face_recognition.py --camera examples/demo/pictures --frames 12
#   openkpu script examples/face_recognition.py --camera PHOTOS --flash face_model_at_0x300000.kfpkg \
#       --flash FEATURES.kmodel@0x500000
#
# Without models in flash the demo detector does both jobs: it finds the objects, and the 40 channels of its layer 5,
# shrunk to 4x3 pixels, are their features. Every object that resembles none seen before gets a new number.

import KPU as kpu
import lcd
import sensor

THRESHOLD = 90
FACE_ANCHORS = (1.889, 2.5245, 2.9465, 3.94056, 3.99987, 5.3658, 5.155437, 6.92275, 6.718375, 9.01025)

lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)

try:
    finder, encoder = kpu.load(0x300000), kpu.load(0x500000)
    anchors, layer, THRESHOLD = FACE_ANCHORS, None, 85
except ValueError:
    finder = encoder = kpu.load("/sd/demo/shapes_v3.kmodel")
    with open("/sd/demo/anchors.txt") as f:
        anchors = tuple(float(v) for v in f.read().split(","))
    layer = 5
layers = kpu.netinfo(encoder)
first = layers[0]
kpu.init_yolo2(finder, 0.5, 0.3, len(anchors) // 2, anchors)


def features(picture):
    """Numbers within -0.25...0.25 that describe a picture."""
    if layer is None:
        return kpu.forward(encoder, picture)[:]
    fmap = kpu.forward(encoder, picture, layer)
    values = []
    for channel in range(fmap.ch()):
        means = kpu.fmap(fmap, channel).resize(4, 3)[:]
        middle = sum(means) / len(means)
        values += [m - middle for m in means]
    largest = max(abs(v) for v in values) or 1
    return [0.24 * v / largest for v in values]


known = []
while True:
    img = sensor.snapshot()
    boxes = kpu.run_yolo2(finder, img) or []
    marks = []
    for box in boxes:
        face = img.cut(*box.rect()).resize(first.wi(), first.hi())
        face.pix_to_ai()
        code = kpu.face_encode(features(face))
        scores = [kpu.face_compare(old, code) for old in known]
        best = max(scores) if scores else 0
        if best > THRESHOLD:
            text, color = "no. %d: %.1f" % (scores.index(best) + 1, best), (0, 255, 0)
        else:
            known.append(code)
            text, color = "no. %d is new" % len(known), (255, 128, 0)
        marks.append((box, text, color))
    for box, text, color in marks:
        print(text)
        img.draw_rectangle(box.rect(), color=color, thickness=2)
        top = max(0, box.y() - 14)
        img.draw_rectangle(box.x(), top, 8 * len(text) + 4, 14, color=(0, 0, 0), fill=True)
        img.draw_string(box.x() + 2, top + 1, text, color=color, mono_space=True)
    img.draw_string(2, 226, "%d known" % len(known))
    lcd.display(img)
