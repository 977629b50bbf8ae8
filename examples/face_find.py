# SPDX-License-Identifier: Apache-2.0
# Find faces (or whatever the model knows) and frame them.        API: MaixPy KPU
#
#   openkpu script examples/face_find.py --camera examples/demo/pictures
#   openkpu script examples/face_find.py --camera PHOTOS --flash face_model_at_0x300000.kfpkg
#
# If the flash holds a model at 0x300000 it is taken for the vendor's face model, else the demo detector is used.

import gc
import time

import KPU as kpu
import lcd
import sensor

FACE_ANCHORS = (1.889, 2.5245, 2.9465, 3.94056, 3.99987, 5.3658, 5.155437, 6.92275, 6.718375, 9.01025)


def load_detector():
    try:
        return kpu.load(0x300000), FACE_ANCHORS, ("face",)
    except ValueError as error:
        print("no face model:", error)
    with open("/sd/demo/anchors.txt") as f:
        anchors = tuple(float(v) for v in f.read().split(","))
    with open("/sd/demo/labels.txt") as f:
        labels = f.read().split()
    return kpu.load("/sd/demo/shapes_v3.kmodel"), anchors, labels


lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)
sensor.run(1)

net, anchors, labels = load_detector()
kpu.init_yolo2(net, 0.5, 0.3, len(anchors) // 2, anchors)
clock = time.clock()
try:
    while True:
        clock.tick()
        img = sensor.snapshot()
        for found in kpu.run_yolo2(net, img) or ():
            print(labels[found.classid()], found)
            img.draw_rectangle(found.rect(), color=(0, 255, 0), thickness=2)
            text = "%s %.2f" % (labels[found.classid()], found.value())
            top = max(0, found.y() - 14)
            img.draw_rectangle(found.x(), top, 8 * len(text) + 4, 14, color=(0, 0, 0), fill=True)
            img.draw_string(found.x() + 2, top + 1, text, color=(255, 255, 0), mono_space=True)
        img.draw_string(2, 226, "%.1f fps" % clock.fps(), color=(255, 255, 255))
        lcd.display(img)
finally:
    kpu.deinit(net)
    gc.collect()
