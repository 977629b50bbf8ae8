# SPDX-License-Identifier: Apache-2.0
# A picture is prepared for a small classifier.
# needs: cv2
# prints: 28 28
# prints: 3 255
# prints: find_features is not simulated
import image

img = image.Image(size=(84, 84)).to_grayscale()
img.draw_circle(42, 42, 20, color=255, fill=True)
img.gaussian(1).median(1)
img.binary([(img.get_histogram().get_threshold().value() + 1, 255)])
img.erode(1).dilate(1)
img.mode(1).midpoint(1, bias=0.5).median(1, percentile=0.3)
small = img.mean_pooled(3, 3)
print(small.width(), small.height())
img.lens_corr(1.8).rotation_corr(z_rotation=90).invert()
img.flood_fill(42, 42, color=3)
print(img.get_pixel(42, 42), img.get_pixel(1, 1))
try:
    img.find_features(None)
except NotImplementedError as error:
    print(error)
