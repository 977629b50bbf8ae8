# SPDX-License-Identifier: Apache-2.0
# Look into the network: the channels of one layer as a mosaic, the next layer with every frame.        API: MaixPy KPU
#
#   openkpu script examples/feature_maps.py --camera examples/demo/pictures/heldout_006.png --frames 15
#   openkpu script examples/feature_maps.py --camera PHOTO --flash ANY_V3_MODEL.kmodel@0x300000 --frames 20
#
# The boot key (--key FRAME) holds the layer that is shown.

import image
import KPU as kpu
import lcd
import sensor
from board import board_info
from fpioa_manager import fm
from Maix import GPIO

CONVOLUTION = 10240

fm.register(board_info.BOOT_KEY, fm.fpioa.GPIOHS0)
key = GPIO(GPIO.GPIOHS0, GPIO.IN)

lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)

try:
    net = kpu.load(0x300000)
except ValueError:
    net = kpu.load("/sd/demo/shapes_v3.kmodel")
layers = [layer for layer in kpu.netinfo(net) if layer.type() == CONVOLUTION]
width, height = layers[0].wi(), layers[0].hi()


def mosaic(layer):
    """Columns, tile width and tile height so that all channels fit on the screen, or at least 16 columns."""
    for columns in range(1, 17):
        tile_w = 320 // columns
        tile_h = max(1, tile_w * layer.ho() // layer.wo())
        if 228 // tile_h * columns >= layer.cho():
            break
    return columns, tile_w, tile_h


position = 0
while True:
    img = sensor.snapshot()
    if (img.width(), img.height()) != (width, height):
        img = img.resize(width, height)
    if layers[0].chi() == 1:
        img = img.to_grayscale()
    img.pix_to_ai()
    layer = layers[position]
    fmap = kpu.forward(net, img, layer.index())
    columns, tile_w, tile_h = mosaic(layer)
    canvas = image.Image()
    for channel in range(min(layer.cho(), 228 // tile_h * columns)):
        picture = kpu.fmap(fmap, channel)
        picture.stretch(64, 255)
        canvas.draw_image(picture, (channel % columns * tile_w, channel // columns * tile_h),
                          x_scale=tile_w / layer.wo(), y_scale=tile_h / layer.ho())
    canvas.draw_rectangle(0, 228, 320, 12, color=(0, 0, 96), fill=True)
    canvas.draw_string(2, 228, "layer %d: %dx%dx%d, %s" % (layer.index(), layer.wo(), layer.ho(), layer.cho(),
                                                           "depthwise" if layer.dw() else "convolution"))
    lcd.display(canvas)
    kpu.fmap_free(fmap)
    if key.value():
        position = (position + 1) % len(layers)
