# SPDX-License-Identifier: Apache-2.0
"""Region layer against the vectors of the driver specification (appendix B.3)."""

import numpy as np
import pytest

from openkpu.yolo2 import region_layer

ANCHORS = (0.5, 1.0, 1.5, 0.75)
VECTORS = {
    ((64, 64), 0.3): [(8, 0, 16, 32, 0, 0.9073975), (45, 22, 20, 36, 1, 0.8390245), (20, 0, 79, 21, 1, 0.6963875)],
    ((64, 64), 0.9): [(8, 0, 16, 32, 0, 0.9073975), (45, 22, 20, 36, 1, 0.8390245), (7, 1, 19, 32, 0, 0.8970531),
                      (20, 0, 79, 21, 1, 0.6963875)],
    ((64, 48), 0.3): [(8, 0, 16, 24, 0, 0.9073975), (45, 14, 20, 36, 1, 0.8390245), (20, 0, 79, 13, 1, 0.6963875)],
    ((64, 48), 0.9): [(8, 0, 16, 24, 0, 0.9073975), (45, 14, 20, 36, 1, 0.8390245), (7, 0, 19, 25, 0, 0.8970531),
                      (20, 0, 79, 13, 1, 0.6963875)],
}


def head_map() -> np.ndarray:
    x = np.zeros((2, 7, 4), np.float32)
    x[:, 4] = -4
    x[0, :, 0] = 0, 0, 0, 0, 3, 2, -1
    x[0, :, 3] = 1, -1, 0.2, 0.1, 2, 0, 3
    x[1, :, 0] = 0.1, 0.2, -0.9, 0.3, 2.5, 2.5, -1
    x[1, :, 1] = 2, -3, 0.5, 0.5, 1, -2, 1
    return x.reshape(14, 2, 2)


@pytest.mark.parametrize("dialect", "MCN")
@pytest.mark.parametrize("image, nms", VECTORS)
def test_boxes_equal_the_specification(image, nms, dialect):
    found = region_layer(head_map(), ANCHORS, 0.5, nms, (64, 64), image, dialect)
    expected = VECTORS[image, nms]
    assert [(b.x, b.y, b.w, b.h, b.class_id) for b in found] == [e[:5] for e in expected]
    np.testing.assert_allclose([b.probability for b in found], [e[5] for e in expected], rtol=1e-5)


def test_input_map_is_left_unchanged():
    x = head_map()
    region_layer(x, ANCHORS, 0.5, 0.3, (64, 64), (64, 64))
    np.testing.assert_array_equal(x, head_map())


def test_without_classes_the_objectness_is_the_probability():
    x = np.full((5, 1, 2), -9, np.float32)
    x[4, 0, 1] = 2
    (box,) = region_layer(x, (1, 1), 0.5, 0.3, (64, 64), (64, 64), "C", classes=0)
    assert box.class_id == 0 and box.probability == pytest.approx(0.880797, rel=1e-5)


def test_box_with_nan_is_dropped():
    x = head_map()
    x[2, 0, 0] = np.nan
    found = region_layer(x, ANCHORS, 0.5, 0.9, (64, 64), (64, 64))
    assert [b.x for b in found] == [45, 7, 20]


def test_threshold_is_strict():
    x = np.zeros((6, 1, 1), np.float32)
    assert region_layer(x, (1, 1), 0.5, 0.3, (64, 64), (64, 64)) == []
    assert len(region_layer(x, (1, 1), 0.4999, 0.3, (64, 64), (64, 64))) == 1


@pytest.mark.parametrize("anchors", [(), (1.0,), (1, 1, 2, 2, 3, 3)])
def test_wrong_number_of_anchors_is_refused(anchors):
    with pytest.raises(ValueError, match="anchors"):
        region_layer(head_map(), anchors, 0.5, 0.3, (64, 64), (64, 64))
