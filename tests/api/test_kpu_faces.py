# SPDX-License-Identifier: Apache-2.0
"""``KPU.face_encode``, ``face_compare``, ``classifier`` (spec/driver-api.md sections 1.13, 1.14, 1.18; appendix B)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkpu.api.imaging.image import Image
from openkpu.api.maixpy import kpu
from openkpu.api.maixpy.fmap import kpu_fmap

from .conftest import demo_image

B1 = [0.0, 0.001, -0.001, 0.1, -0.1, 0.2499, 0.25, 0.3, -0.25, -0.3, 0.00195312, 0.001953125, -0.0039]


@pytest.fixture(autouse=True)
def _fresh(board):
    pass


# --- face_encode ----------------------------------------


def test_face_encode_vector_b1():
    assert kpu.face_encode(B1).hex() == "00000033cd7f808080800001ff"


def test_face_encode_returns_a_bytearray_of_the_same_length():
    result = kpu.face_encode(features=(0.1, -0.1))
    assert type(result) is bytearray and len(result) == 2 and list(result) == [51, 205]


def test_face_encode_saturate_keeps_the_sign_at_the_upper_end():
    assert list(kpu.face_encode([0.25, 0.3, -0.25, -0.3], saturate=True)) == [127, 127, 128, 128]


def test_face_encode_nan_is_the_lower_limit():
    assert list(kpu.face_encode([math.nan])) == [128]


def test_face_encode_of_nothing():
    assert kpu.face_encode([]) == bytearray()


def test_face_encode_of_a_map():
    assert list(kpu.face_encode(kpu_fmap(np.array([[[0.1, -0.1]]], np.float32), 0)[:])) == [51, 205]


def test_face_encode_limit_is_512():
    assert len(kpu.face_encode([0.0] * 512)) == 512
    with pytest.raises(ValueError, match="^feature dim <=200\r\n"):
        kpu.face_encode([0.0] * 513)


@pytest.mark.parametrize("value", [5, "abc", None])
def test_face_encode_of_another_type(value):
    with pytest.raises(TypeError):
        kpu.face_encode(value)


@given(st.lists(st.floats(width=32), max_size=40))
def test_face_encode_equals_the_formula_step_by_step(values):
    expected = []
    for value in values:
        x = np.float32(value)
        x = np.float32(-0.25) if math.isnan(x) else min(max(x, np.float32(-0.25)), np.float32(0.25))
        expected.append(int(np.float32(x * np.float32(512))) % 256)
    assert list(kpu.face_encode(values)) == expected


# --- face_compare ----------------------------------------

A = [0.1, 0.2, -0.1, 0.05]


@pytest.mark.parametrize("other, stored, expected", [
    (A, [51, 102, 205, 25], 100.0),
    ([0.1, 0.19, -0.12, 0.02], [51, 97, 195, 10], 99.4580307006836),
    ([-0.1, -0.2, 0.1, -0.05], [205, 154, 51, 231], 0.0),
    ([0.2, -0.1, 0, 0], [102, 205, 0, 0], 50.0),
])
def test_face_compare_vectors_b2(other, stored, expected):
    b = kpu.face_encode(other)
    assert list(b) == stored
    score = kpu.face_compare(kpu.face_encode(A), b)
    assert type(score) is float and score == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_face_compare_accepts_buffers_and_lists():
    a = kpu.face_encode(A)
    assert kpu.face_compare(feature0=bytes(a), feature1=memoryview(a)) == 100.0
    assert kpu.face_compare([51, 102, -51, 25], (51, 102, 205, 25)) == 100.0
    assert kpu.face_compare(np.array([51, 102, -51, 25], np.int8), a) == 100.0


def test_face_compare_of_different_lengths():
    with pytest.raises(ValueError, match="^compare feature must in same dim!\r\n"):
        kpu.face_compare(b"ab", b"abc")


def test_face_compare_of_another_type():
    with pytest.raises(TypeError, match="^object with buffer protocol required"):
        kpu.face_compare(5, b"a")


def test_face_compare_list_values_out_of_range():
    with pytest.raises(ValueError, match="-128 to 255"):
        kpu.face_compare([300], [1])


def test_face_compare_with_zeros_is_50_and_warns(capsys):
    assert kpu.face_compare(bytes(4), b"abcd") == 50.0
    assert "all zero" in capsys.readouterr().err


def test_face_compare_with_zeros_is_nan_in_strict_mode(strict_board):
    assert math.isnan(kpu.face_compare(bytes(4), b"abcd"))


@given(st.integers(1, 512).flatmap(lambda n: st.tuples(st.binary(min_size=n, max_size=n),
                                                       st.binary(min_size=n, max_size=n))))
def test_face_compare_is_symmetric_and_within_0_to_100(pair):
    a, b = pair
    score = kpu.face_compare(a, b)
    assert score == kpu.face_compare(b, a) and -1e-4 <= score <= 100.0001


# --- classifier ----------------------------------------


@pytest.fixture
def net(demo_v3):
    return kpu.load(str(demo_v3))


def shade(value):
    img = Image().draw_rectangle(0, 0, 320, 240, color=(value, 255 - value, value // 2), fill=True)
    img.pix_to_ai()
    return img


def trained(net):
    c = kpu.classifier(net, 2, 2, fea_len=200)
    assert [c.add_class_img(shade(20)), c.add_class_img(shade(230), 1)] == [0, 1]
    assert [c.add_sample_img(shade(30)), c.add_sample_img(shade(220))] == [0, 1]
    assert c.train() is None
    return c


def test_classifier_predicts_the_nearest_class(net):
    c = trained(net)
    index, distance = c.predict(shade(25))
    assert index == 0 and distance >= 0 and type(distance) is float
    assert c.predict(shade(225))[0] == 1


def test_classifier_save_and_load(net, tmp_path):
    c = trained(net)
    assert c.save("/sd/two.classifier") is None
    again, classes, samples = kpu.classifier.load(net, "/sd/two.classifier")
    assert (classes, samples) == (2, 2) and again.predict(shade(25)) == c.predict(shade(25))
    with pytest.raises(OSError, match="class_num"):
        kpu.classifier.load(net, "/sd/two.classifier", 3)
    with pytest.raises(OSError):
        kpu.classifier.load(net, "/sd/missing.classifier")
    (tmp_path / "bad.classifier").write_bytes(b"something")
    with pytest.raises(OSError, match="bad.classifier"):
        kpu.classifier.load(net, "/sd/bad.classifier")


def test_classifier_rm(net):
    c = kpu.classifier(net, 1, 1)
    c.add_class_img(demo_image())
    c.add_sample_img(demo_image())
    assert c.rm_class_img() == 0 and c.rm_sample_img() == 0
    for call in (c.rm_class_img, c.rm_sample_img, c.train):
        with pytest.raises(OSError):
            call()


def test_classifier_limits(net):
    c = kpu.classifier(net, 1, 0)
    c.add_class_img(demo_image())
    for call in (lambda: c.add_class_img(demo_image()), lambda: c.add_sample_img(demo_image()),
                 lambda: c.predict(demo_image()), lambda: c.save("/sd/x")):
        with pytest.raises(OSError):
            call()


@pytest.mark.parametrize("arguments", [(), (5, 2, 2)])
def test_classifier_of_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="classifier"):
        kpu.classifier(*arguments)


def test_classifier_needs_three_arguments(net):
    with pytest.raises(ValueError):
        kpu.classifier(net, 2)


def test_classifier_feature_length_is_checked(net):
    with pytest.raises(ValueError, match="16500"):
        kpu.classifier(net, 1, 1, fea_len=20000).add_class_img(demo_image())
