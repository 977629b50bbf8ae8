# SPDX-License-Identifier: Apache-2.0
# Shapes are found where they were drawn.
# needs: cv2
# prints: circle \[\(1[0-9][0-9], [56][0-9], [23][0-9]\)\]
# prints: rect \(2\d\d, 1\d\d, \d+, \d+\) 4
# prints: line 9[0-3]|line 8[7-9]
# prints: regression 9[0-3]|regression 8[7-9]
# prints: template \(40, 30, 20, 20\)
# prints: tag 7
import image

img = image.Image(size=(320, 240)).to_grayscale()
img.draw_circle(120, 60, 30, color=255, fill=True)
print("circle", [c.circle() for c in img.find_circles(threshold=2000, r_min=10, r_max=60)])
img = image.Image(size=(320, 240)).to_grayscale()
img.draw_rectangle(200, 100, 80, 60, color=200, thickness=3)
found = img.find_rects(threshold=10000)[0]
print("rect", found.rect(), len(found.corners()))
img = image.Image(size=(160, 120)).to_grayscale()
img.draw_line(5, 60, 150, 61, color=255, thickness=3)
print("line", img.find_lines(threshold=1000)[0].theta())
print("regression", img.get_regression([(100, 255)]).theta())
img = image.Image(size=(160, 120)).to_grayscale()
img.draw_cross(50, 40, color=255, size=8, thickness=3)
print("template", img.find_template(img.copy(roi=(40, 30, 20, 20)), 0.9))
print("tag", image.Image("/sd/tag.png").find_apriltags()[0].id())
