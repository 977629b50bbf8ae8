# SPDX-License-Identifier: Apache-2.0
# The CanMV document's own lines, without parentheses.
# options: --frames 2 --camera demo
# rtl: --frames 1
# prints: \[\[\d+, \d+, \d+, \d+, \d+, 0\.\d+
import lcd
import maix
import sensor

kpu = maix.KPU
kpu.load_kmodel("/sd/demo.kmodel")
anchors = [float(v) for v in open("/sd/anchors.txt").read().split(",")]
kpu.init_yolo2(anchors, anchor_num=5, img_w=320, img_h=240, net_w=320, net_h=240, layer_w=20, layer_h=15, threshold=0.5,
               nms_value=0.3, classes=6)
lcd.init()
sensor.reset()
sensor.set_framesize(sensor.QVGA)
while True:
    img = sensor.snapshot()
    kpu.run_with_output(img)
    print(kpu.regionlayer_yolo2())
    lcd.display(img)
