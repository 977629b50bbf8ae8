# SPDX-License-Identifier: Apache-2.0
# Colours are found and marked.
# needs: cv2
# prints: 1 3 \(40, 30, 50, 40\) 64 49
# prints: 2 blobs merged
# prints: 100 0
import image

img = image.Image(size=(160, 120))
img.draw_rectangle(40, 30, 50, 40, color=(255, 0, 0), fill=True)
red = (30, 70, 40, 127, 20, 127)
blobs = img.find_blobs([(0, 10, -128, -100, -128, -100), red, red], pixels_threshold=100, area_threshold=100)
print(len(set(b.rect() for b in blobs)), sum(b.code() for b in blobs) // 2, blobs[0][0:4], blobs[0].cx(), blobs[0][6])
img.draw_rectangle(95, 30, 20, 40, color=(255, 0, 0), fill=True)
merged = img.find_blobs([red], merge=True, margin=6)
print(merged[0].count(), "blobs merged")
white = img.binary([red])
print(white.get_statistics(roi=(50, 40, 10, 10)).l_mean(), white.get_statistics(roi=(0, 0, 10, 10)).l_mean())
