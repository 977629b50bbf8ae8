# SPDX-License-Identifier: Apache-2.0
"""Image methods that find things: blobs, codes, tags, circles, lines, rectangles, templates; and statistics."""

from __future__ import annotations

import math

import numpy as np

from openkpu.api.imaging import colour, pixels
from openkpu.api.imaging.opencv import opencv
from openkpu.api.imaging.picture import Picture
from openkpu.api.imaging.records import BarCode, Blob, Circle, Code, Line, Rect, Tag
from openkpu.api.imaging.statistics import Histogram, Statistics

TAG36H11 = 16
EAN2, EAN5, EAN8, UPCE, ISBN10, UPCA, EAN13, ISBN13, I25 = range(9)
DATABAR, DATABAR_EXP, CODABAR, CODE39, PDF417, CODE93, CODE128 = range(9, 16)
_BARCODES = {"EAN_13": EAN13, "EAN_8": EAN8, "UPC_A": UPCA, "UPC_E": UPCE, "CODE_39": CODE39, "CODE_93": CODE93,
             "CODE_128": CODE128, "CODABAR": CODABAR, "ITF": I25}


class Finders(Picture):
    """Mixed into ``Image``. A ``roi`` is (x, y, w, h); found places are those of the whole image."""

    def _part(self, roi) -> tuple[np.ndarray, int, int]:
        """Pixels of the roi and its origin."""
        rows, columns = self._roi(roi)
        return self.pixels[rows, columns], columns.start or 0, rows.start or 0

    def _gray_part(self, roi) -> tuple[np.ndarray, int, int]:
        part, x, y = self._part(roi)
        gray = part if part.dtype == np.uint8 else pixels.gray_from_rgb(pixels.rgb_from_565(part))
        return np.ascontiguousarray(gray), x, y

    # --- statistics -----------------------------------------------------------------------------------------------

    def get_histogram(self, thresholds=None, invert=False, roi=None, bins=None, **other) -> Histogram:
        """Histogram of the gray values, or of L, A and B."""
        part = self._part(roi)[0]
        mask = colour.any_within(part, thresholds, bool(invert)) if thresholds else None
        return Histogram.of(part, mask, bins)

    histogram = get_hist = get_histogram

    def get_statistics(self, thresholds=None, invert=False, roi=None, **other) -> Statistics:
        """Statistics of the gray values, or of L, A and B."""
        return self.get_histogram(thresholds, invert, roi).get_statistics()

    statistics = get_stats = get_statistics

    # --- blobs and lines of a colour ------------------------------------------------------------------------------

    def find_blobs(self, thresholds, invert=False, roi=None, x_stride=2, y_stride=1, area_threshold=10,
                   pixels_threshold=10, merge=False, margin=0, threshold_cb=None, merge_cb=None, **other) -> list[Blob]:
        """Connected patches that fit a threshold, from top to bottom.

        Parameters
        ----------
        thresholds : (L low, high, A low, high, B low, high) or (gray low, high) each; bit i of a blob's code is
            threshold i.
        area_threshold, pixels_threshold : least bounding box and least number of pixels.
        merge : join blobs whose boxes, widened by ``margin``, meet.
        threshold_cb, merge_cb : functions that may refuse a blob, or a merge of two.
        """
        cv = opencv("find_blobs")
        part, left, top = self._part(roi)
        found = []
        for bit, threshold in enumerate(colour.normalised(thresholds)):
            inside = colour.within(part, threshold, bool(invert)).astype(np.uint8)
            count, labels, stats, centres = cv.connectedComponentsWithStats(inside, connectivity=4)
            for i in range(1, count):
                x, y, w, h, area = (int(v) for v in stats[i])
                if area >= pixels_threshold and w * h >= area_threshold:
                    moments = _moments(labels[y:y + h, x:x + w] == i)
                    blob = _blob((x + left, y + top, w, h), area, centres[i] + (left, top), moments, 1 << bit, 1)
                    if threshold_cb is None or threshold_cb(blob):
                        found.append(blob)
        found.sort(key=lambda b: (b[1], b[0]))
        return _merged(found, int(margin), merge_cb) if merge else found

    def get_regression(self, thresholds, invert=False, roi=None, x_stride=2, y_stride=1, area_threshold=10,
                       pixels_threshold=10, robust=False, **other) -> Line | None:
        """The line of least squares through all pixels that fit a threshold, or None."""
        part, left, top = self._part(roi)
        y, x = np.nonzero(colour.any_within(part, thresholds, bool(invert)))
        if len(x) < max(2, pixels_threshold):
            return None
        moments = _covariance(x, y)
        angle = 0.5 * math.atan2(2 * moments[2], moments[0] - moments[1])
        return _line_through(float(x.mean()) + left, float(y.mean()) + top, angle,
                             (left, top, part.shape[1], part.shape[0]), len(x))

    # --- codes ----------------------------------------------------------------------------------------------------

    def find_qrcodes(self, roi=None, **other) -> list[Code]:
        """QR codes whose text can be read."""
        cv = opencv("find_qrcodes")
        gray, left, top = self._gray_part(roi)
        found, texts, corners, _ = cv.QRCodeDetector().detectAndDecodeMulti(gray)
        if not found:
            return []
        return [_code(text, points, left, top) for text, points in zip(texts, corners, strict=True) if text]

    def find_barcodes(self, roi=None, **other) -> list[BarCode]:
        """Bar codes of the kinds OpenCV reads (EAN-8, EAN-13, UPC-A, UPC-E)."""
        cv = opencv("find_barcodes")
        gray, left, top = self._gray_part(roi)
        found, texts, kinds, corners = cv.barcode.BarcodeDetector().detectAndDecodeWithType(gray)
        if not found:
            return []
        codes = []
        for text, kind, points in zip(texts, kinds, corners, strict=True):
            if text:
                box, places = _bounds(points, left, top)
                codes.append(BarCode(*box, text, _BARCODES.get(kind, EAN13), 0.0, 1, corners=places))
        return codes

    def find_apriltags(self, roi=None, families=TAG36H11, **other) -> list[Tag]:
        """AprilTags of family TAG36H11; other families raise ``ValueError``."""
        if families != TAG36H11:
            raise ValueError("find_apriltags: only the family image.TAG36H11 is simulated")
        cv = opencv("find_apriltags")
        gray, left, top = self._gray_part(roi)
        dictionary = cv.aruco.getPredefinedDictionary(cv.aruco.DICT_APRILTAG_36h11)
        corners, numbers, _ = cv.aruco.ArucoDetector(dictionary).detectMarkers(gray)
        return [_tag(points, int(number), left, top)
                for points, number in zip(corners, np.ravel(numbers) if len(corners) else (), strict=True)]

    # --- shapes ---------------------------------------------------------------------------------------------------

    def find_circles(self, roi=None, x_stride=2, y_stride=1, threshold=2000, x_margin=10, y_margin=10,
                     r_margin=10, r_min=2, r_max=None, r_step=2, **other) -> list[Circle]:
        """Circles by the Hough transform; a higher threshold asks for rounder ones. Magnitudes differ from OpenMV's."""
        cv = opencv("find_circles")
        gray, left, top = self._gray_part(roi)
        largest = int(r_max) if r_max else min(gray.shape) // 2
        roundness = min(0.95, 0.7 + int(threshold) / 20_000)
        found = cv.HoughCircles(cv.GaussianBlur(gray, (5, 5), 0), cv.HOUGH_GRADIENT_ALT, 1.5, max(1, int(x_margin)),
                                param1=200, param2=roundness, minRadius=int(r_min), maxRadius=largest)
        return [] if found is None else [Circle(int(x) + left, int(y) + top, int(r), int(threshold))
                                         for x, y, r in np.asarray(found).reshape(-1, np.shape(found)[-1])[:, :3]]

    def find_lines(self, roi=None, x_stride=2, y_stride=1, threshold=1000, theta_margin=25, rho_margin=25,
                   **other) -> list[Line]:
        """Lines through the whole image by the Hough transform; magnitudes differ from OpenMV's."""
        cv = opencv("find_lines")
        gray, left, top = self._gray_part(roi)
        found = cv.HoughLines(cv.Canny(gray, 50, 150), 1, np.pi / 180, max(10, int(threshold) // 20))
        lines: list[Line] = []
        for rho, theta in [] if found is None else np.asarray(found).reshape(-1, np.shape(found)[-1])[:, :2]:
            angle, distance = math.degrees(theta), float(rho)
            if any(abs(angle - line[6]) < theta_margin and abs(distance - line[7]) < rho_margin for line in lines):
                continue
            x, y = distance * math.cos(theta) + left, distance * math.sin(theta) + top
            lines.append(_line_through(x, y, theta + math.pi / 2, (left, top, gray.shape[1], gray.shape[0]), threshold))
        return lines

    def find_line_segments(self, roi=None, merge_distance=0, max_theta_difference=15, **other) -> list[Line]:
        """Line segments."""
        cv = opencv("find_line_segments")
        gray, left, top = self._gray_part(roi)
        found = cv.HoughLinesP(cv.Canny(gray, 50, 150), 1, np.pi / 180, 30, minLineLength=20,
                               maxLineGap=max(1, int(merge_distance)))
        return [_segment(int(x1), int(y1), int(x2), int(y2), left, top)
                for x1, y1, x2, y2 in ([] if found is None else np.asarray(found).reshape(-1, 4))]

    def find_rects(self, roi=None, threshold=10000, **other) -> list[Rect]:
        """Quadrangles whose outline is an edge; magnitudes differ from OpenMV's."""
        cv = opencv("find_rects")
        gray, left, top = self._gray_part(roi)
        edges = cv.dilate(cv.Canny(gray, 50, 150), np.ones((3, 3), np.uint8))
        outlines = cv.findContours(edges, cv.RETR_LIST, cv.CHAIN_APPROX_SIMPLE)[0]
        found: list[Rect] = []
        for outline in outlines:
            corners = cv.approxPolyDP(outline, 0.04 * cv.arcLength(outline, True), True)
            if len(corners) != 4 or not cv.isContourConvex(corners) or cv.contourArea(corners) < 100:
                continue
            x, y, w, h = cv.boundingRect(corners)
            box = (x + left, y + top, w, h)
            if not any(max(abs(a - b) for a, b in zip(box, r[:4], strict=True)) < 6 for r in found):
                points = tuple((int(px) + left, int(py) + top) for px, py in np.asarray(corners).reshape(-1, 2))
                found.append(Rect(*box, int(cv.contourArea(corners)) * 8, corners=points))
        return found

    def find_template(self, template, threshold=0.7, roi=None, step=2, search=0) -> tuple[int, int, int, int] | None:
        """(x, y, w, h) where a smaller gray image fits best, if its correlation is at least ``threshold``."""
        cv = opencv("find_template")
        gray, left, top = self._gray_part(roi)
        pattern = template._gray_part(None)[0]
        if pattern.shape[0] > gray.shape[0] or pattern.shape[1] > gray.shape[1]:
            raise ValueError("find_template: the template is larger than the image")
        _, best, _, (x, y) = cv.minMaxLoc(cv.matchTemplate(gray, pattern, cv.TM_CCOEFF_NORMED))
        return (x + left, y + top, pattern.shape[1], pattern.shape[0]) if best >= threshold else None


def _covariance(x, y) -> tuple[float, float, float]:
    return float(np.var(x)), float(np.var(y)), float(np.mean((x - x.mean()) * (y - y.mean())))


def _moments(inside: np.ndarray) -> tuple[float, float, float]:
    y, x = np.nonzero(inside)
    return _covariance(x, y)


def _blob(box, area, centre, moments, code, count) -> Blob:
    xx, yy, xy = moments
    angle = 0.5 * math.atan2(2 * xy, xx - yy) % math.pi
    spread = math.hypot(xx - yy, 2 * xy)
    large, small = (xx + yy + spread) / 2, (xx + yy - spread) / 2
    elongation = 0.0 if large <= 0 else 1 - math.sqrt(max(0.0, small) / large)
    cx, cy = (float(v) for v in centre)
    return Blob(*box, area, int(cx), int(cy), angle, code, count, centre=(cx, cy), moments=moments,
                elongation=elongation)


def _merged(blobs: list[Blob], margin: int, allowed) -> list[Blob]:
    """Join blobs whose widened boxes meet, until none do."""
    done: list[Blob] = []
    waiting = list(blobs)
    while waiting:
        blob = waiting.pop(0)
        partner = next((other for other in waiting if _meet(blob, other, margin)
                        and (allowed is None or allowed(blob, other))), None)
        if partner is None:
            done.append(blob)
            continue
        waiting.remove(partner)
        waiting.insert(0, _joined(blob, partner))
    return done


def _meet(a: Blob, b: Blob, margin: int) -> bool:
    return (a[0] - margin < b[0] + b[2] + margin and b[0] - margin < a[0] + a[2] + margin
            and a[1] - margin < b[1] + b[3] + margin and b[1] - margin < a[1] + a[3] + margin)


def _joined(a: Blob, b: Blob) -> Blob:
    x, y = min(a[0], b[0]), min(a[1], b[1])
    right, bottom = max(a[0] + a[2], b[0] + b[2]), max(a[1] + a[3], b[1] + b[3])
    count = a[4] + b[4]
    centre = np.array([(a._centre[i] * a[4] + b._centre[i] * b[4]) / count for i in (0, 1)])
    apart = [np.subtract(blob._centre, centre) for blob in (a, b)]
    weights = (a[4] / count, b[4] / count)
    moments = tuple(
        sum(w * (blob._moments[k] + d[i] * d[j]) for w, blob, d in zip(weights, (a, b), apart, strict=True))
        for k, (i, j) in enumerate(((0, 0), (1, 1), (0, 1))))
    return _blob((x, y, right - x, bottom - y), count, centre, moments, a[8] | b[8], a[9] + b[9])


def _bounds(points: np.ndarray, left: int, top: int) -> tuple[tuple, tuple]:
    points = np.asarray(points).reshape(-1, 2) + (left, top)
    low, high = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    box = (int(low[0]), int(low[1]), int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1)
    return box, tuple((int(x), int(y)) for x, y in points)


def _code(text: str, points, left: int, top: int) -> Code:
    box, corners = _bounds(points, left, top)
    return Code(*box, text, 1, 0, 0, 4, 0, corners=corners)


def _tag(points, number: int, left: int, top: int) -> Tag:
    box, corners = _bounds(points, left, top)
    points = np.asarray(points).reshape(-1, 2)
    centre, along = points.mean(axis=0), points[1] - points[0]
    return Tag(*box, number, TAG36H11, int(centre[0]) + left, int(centre[1]) + top,
               math.atan2(along[1], along[0]) % (2 * math.pi), 1.0, 0, 1.0, *(0.0,) * 6, corners=corners)


def _segment(x1, y1, x2, y2, left, top) -> Line:
    theta = (math.degrees(math.atan2(y2 - y1, x2 - x1)) + 90) % 180
    rho = x1 * math.cos(math.radians(theta)) + y1 * math.sin(math.radians(theta))
    length = int(math.hypot(x2 - x1, y2 - y1))
    return Line(x1 + left, y1 + top, x2 + left, y2 + top, length, length, int(theta), int(rho))


def _line_through(x: float, y: float, angle: float, box, magnitude: int) -> Line:
    """The line through a point with direction ``angle``, clipped to the box."""
    left, top, w, h = box
    dx, dy = math.cos(angle), math.sin(angle)
    spans = [((low - p) / d, (low + size - 1 - p) / d)
             for p, d, low, size in ((x, dx, left, w), (y, dy, top, h)) if abs(d) > 1e-9]
    start, stop = max(min(s) for s in spans), min(max(s) for s in spans)
    stop = max(start, stop)
    x1, y1, x2, y2 = (int(round(v)) for v in (x + start * dx, y + start * dy, x + stop * dx, y + stop * dy))
    theta = (math.degrees(angle) + 90) % 180
    rho = x * math.cos(math.radians(theta)) + y * math.sin(math.radians(theta))
    return Line(x1, y1, x2, y2, int(math.hypot(x2 - x1, y2 - y1)), int(magnitude), int(theta), int(rho))
