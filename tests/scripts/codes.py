# SPDX-License-Identifier: Apache-2.0
# A QR code and a bar code are read.
# needs: cv2
# prints: \['OpenKPU 42'\]
# prints: 5901234123457 True
# prints: \[\] \[\]
import image

img = image.Image("/sd/code.png")
print([code.payload() for code in img.find_qrcodes()])
print(img.find_barcodes(), img.find_apriltags())
code = image.Image("/sd/ean.png").find_barcodes()[0]
print(code.payload(), code.type() == image.EAN13 == code[5])
