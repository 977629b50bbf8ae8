# SPDX-License-Identifier: Apache-2.0
# Read licence plates.        API: CanMV maix.KPU, lp_recog
#
#   python examples/demo/fit_plates.py out/plates
#   openkpu script examples/licence_plate.py --camera "out/plates/*.png" --sd out/plates --fs examples
#   openkpu script examples/licence_plate.py --camera PHOTOS --sd FOLDER
#
# FOLDER holds the vendor's lp_detect.kmodel, lp_recog.kmodel and lp_weight.bin. Without them the demo network reads
# plates that fill the picture, with heads that fit_plates.py fitted to it.

import os

import lcd
import sensor
from maix import KPU

ANCHORS = (8.308915, 2.756310, 5.186099, 1.786376, 6.914805, 3.825772, 10.218568, 3.694767, 6.408820, 2.388135)
CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
VENDOR = ("Wan", "Hu", "Jin", "Yu^", "Ji", "Sx", "Meng", "Liao", "Jl", "Hei", "Su", "Zhe", "Jing", "Min", "Gan", "Lu",
          "Yu", "E^", "Xiang", "Yue", "Gui^", "Qiong", "Cuan", "Gui", "Yun", "Zang", "Shan", "Gan^", "Qing", "Ning",
          "Xin")
DRAWN = ("AH", "SH", "TJ", "CQ", "HE", "SX", "NM", "LN", "JL", "HL", "JS", "ZJ", "BJ", "FJ", "JX", "SD", "HA", "HB",
         "HN", "GD", "GX", "HI", "SC", "GZ", "YN", "XZ", "SN", "GS", "QH", "NX", "XJ")

lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)

vendor = "lp_detect.kmodel" in os.listdir("/sd")
finder, reader = KPU(), KPU()
if vendor:
    finder.load_kmodel("/sd/lp_detect.kmodel")
    finder.init_yolo2(ANCHORS, anchor_num=5, layer_w=20, layer_h=15, threshold=0.7, nms_value=0.3, classes=0)
reader.load_kmodel("/sd/lp_recog.kmodel" if vendor else "/flash/demo/shapes_v3.kmodel")
reader.lp_recog_load_weight_data("/sd/lp_weight.bin")


def boxes(img):
    if not vendor:
        return [(0, 0, 320, 240)]
    finder.run_with_output(img)
    grown = []
    for x, y, w, h, _, _ in finder.regionlayer_yolo2():
        left, top = max(1, int(x - 0.16 * w)), max(1, int(y - 0.16 * h))
        right, bottom = min(319, int(x + 1.16 * w)), min(239, int(y + 1.16 * h))
        grown.append((left, top, right - left + 1, bottom - top + 1))
    return grown


while True:
    img = sensor.snapshot()
    for x, y, w, h in boxes(img):
        plate = img.cut(x, y, w, h)
        if vendor:
            plate = plate.resize(208, 64)
            plate.replace(vflip=0, hmirror=1)
        plate.pix_to_ai()
        reader.run_with_output(plate)
        best = [max(range(len(head)), key=head.__getitem__) for head in reader.lp_recog()]
        text = "%s %s-%s" % ((VENDOR if vendor else DRAWN)[best[0]], CHARACTERS[best[1]],
                             "".join(CHARACTERS[i] for i in best[2:]))
        print(text)
        img.draw_rectangle(x, y, w, h, color=(255, 0, 0), thickness=2)
        img.draw_rectangle(x, max(0, y + h - 30), 16 * len(text) + 8, 28, color=(0, 0, 0), fill=True)
        img.draw_string(x + 4, max(0, y + h - 28), text, color=(255, 160, 0), scale=2, mono_space=True)
    lcd.display(img)
