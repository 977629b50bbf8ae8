# Codes of all kinds in one picture.
# needs: cv2
# prints: \['OpenKPU 42'\]
# prints: \[\] \[\]
import image

img = image.Image("/sd/code.png")
print([code.payload() for code in img.find_qrcodes()])
print(img.find_barcodes(), img.find_apriltags())
