# SPDX-License-Identifier: Apache-2.0
"""``image``: formats, conversions, geometry, drawing (spec/driver-api.md section 3.2)."""

import math

import numpy as np
import pytest
from PIL import Image as PillowImage

from openkpu.api.imaging import image, pixels, sensor
from openkpu.api.imaging.image import Image

RED = 0x00F8


def rgb_image(rgb):
    return Image.from_rgb(np.asarray(rgb, np.uint8))


def gray_image(values):
    return Image.from_pixels(np.asarray(values, np.uint8))


@pytest.fixture(autouse=True)
def _fresh(board):
    pass


# --- formats and conversions ----------------------------------------


def test_red_is_the_byte_swapped_word():
    assert rgb_image([[[255, 0, 0]]])[0] == RED


def test_word_bits_are_r_3_to_7_g_0_to_2_and_13_to_15_b_8_to_12():
    word = np.array([(0b10110 << 3) | 0b101 | (0b011 << 13) | (0b01001 << 8)], np.uint16)
    red, green, blue = pixels.split565(word)
    assert (red[0], green[0], blue[0]) == (0b10110, 0b101011, 0b01001)
    assert pixels.join565(red, green, blue)[0] == word[0]


def test_memory_has_the_high_byte_first():
    assert bytes(rgb_image([[[255, 0, 0]]]).to_bytes()) == b"\xf8\x00"


@pytest.mark.parametrize("table, top", [(pixels.FIVE_TO_EIGHT, 31), (pixels.SIX_TO_EIGHT, 63)])
def test_expansion_to_8_bits_rounds(table, top):
    assert table.tolist() == [math.floor(v * 255 / top + 0.5) for v in range(top + 1)]


def test_expansion_of_5_bits_begins_0_8_16_25_33():
    assert pixels.FIVE_TO_EIGHT[:5].tolist() == [0, 8, 16, 25, 33]


@pytest.mark.parametrize("table, top", [(pixels.EIGHT_TO_FIVE, 31), (pixels.EIGHT_TO_SIX, 63)])
def test_reduction_from_8_bits_rounds(table, top):
    assert table.tolist() == [math.floor(v * top / 255 + 0.5) for v in range(256)]


def test_gray_is_the_floor_of_the_weighted_sum():
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (200, 3), dtype=np.uint8)
    expected = [math.floor(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in rgb.astype(float)]
    assert pixels.gray_from_rgb(rgb).tolist() == expected


def test_format_constants_are_the_sensors():
    assert Image().format() == sensor.RGB565 != sensor.GRAYSCALE == gray_image([[1]]).format()


# --- construction ----------------------------------------


def test_image_default_is_a_black_320x240_rgb565_canvas_without_ai_plane():
    img = Image()
    assert (img.width(), img.height(), img.size()) == (320, 240, 153600)
    assert img.format() == sensor.RGB565 and img.pix_ai is None and not img.pixels.any()


def test_image_size():
    img = Image(size=(28, 14), copy_to_fb=False)
    assert (img.width(), img.height()) == (28, 14)


def test_image_print():
    assert repr(Image(size=(4, 3))) == '{"w":4, "h":3, "type"="rgb565", "size":24}'
    assert str(gray_image([[0, 0]])) == '{"w":2, "h":1, "type"="grayscale", "size":2}'


def test_image_from_a_colour_file_and_from_its_bytes(tmp_path):
    rgb = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    PillowImage.fromarray(rgb).save(tmp_path / "a.bmp")
    expected = pixels.rgb_to_565(rgb)
    assert np.array_equal(Image("/sd/a.bmp").pixels, expected)
    assert np.array_equal(Image((tmp_path / "a.bmp").read_bytes(), from_bytes=True).pixels, expected)


def test_image_from_a_gray_file_is_grayscale(tmp_path):
    PillowImage.fromarray(np.full((3, 4), 77, np.uint8)).save(tmp_path / "g.bmp")
    img = Image(str(tmp_path / "g.bmp"))
    assert img.format() == sensor.GRAYSCALE and (img.pixels == 77).all()


def test_image_of_a_missing_file_names_it():
    with pytest.raises(OSError, match="/sd/nothing.jpg"):
        Image("/sd/nothing.jpg")


def test_image_of_a_file_that_is_no_picture(tmp_path):
    (tmp_path / "a.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match="^format not supported"):
        Image("/sd/a.jpg")


def test_image_of_an_odd_argument():
    with pytest.raises(TypeError, match="Image"):
        Image(3.5)


def test_pixel_access():
    img = Image(size=(4, 2))
    img[5] = 0x1234
    assert (img[5], img[-3], img.pixels[1, 1], len(img)) == (0x1234, 0x1234, 0x1234, 8)
    img[0] = 0x12345
    assert img[0] == 0x2345


def test_get_and_set_pixel():
    img = Image(size=(4, 2))
    assert img.set_pixel(1, 1, (255, 0, 0)) is img
    img.set_pixel((2, 1), RED)
    assert img.get_pixel(1, 1) == (255, 0, 0) == img.get_pixel((2, 1))
    assert img.get_pixel(1, 1, rgbtuple=False) == RED and img.get_pixel(9, 9) is None


# --- AI plane ----------------------------------------


def test_pix_to_ai_of_rgb565_is_r_g_b_planes():
    img = rgb_image([[[255, 0, 8], [0, 255, 0]]])
    assert img.pix_to_ai() is None
    assert img.pix_ai.tolist() == [[[255, 0]], [[0, 255]], [[8, 0]]]


def test_pix_to_ai_of_grayscale_is_one_plane_and_a_copy():
    img = gray_image([[1, 2]])
    img.pix_to_ai()
    img[0] = 9
    assert img.pix_ai.tolist() == [[[1, 2]]]


def test_ai_to_pix_inverts_pix_to_ai():
    img = rgb_image(np.random.default_rng(3).integers(0, 256, (4, 6, 3)))
    before = img.pixels.copy()
    img.pix_to_ai()
    img.clear()
    img.ai_to_pix()
    assert np.array_equal(img.pixels, before)


def test_ai_to_pix_without_plane_has_no_effect():
    img = rgb_image([[[255, 0, 0]]])
    img.ai_to_pix()
    assert img[0] == RED


def test_drawing_does_not_touch_the_ai_plane():
    img = Image(size=(8, 8))
    img.pix_to_ai()
    img.draw_rectangle(0, 0, 8, 8, fill=True)
    assert not img.pix_ai.any()


def test_to_grayscale_in_place_keeps_the_rgb_ai_plane():
    img = rgb_image([[[255, 0, 0]]])
    img.pix_to_ai()
    assert img.to_grayscale() is img
    assert img.format() == sensor.GRAYSCALE and img[0] == 76 and img.pix_ai.shape[0] == 3


def test_to_grayscale_copy_has_no_ai_plane():
    img = rgb_image([[[255, 0, 0]]])
    img.pix_to_ai()
    copy = img.to_grayscale(1)
    assert (copy[0], copy.pix_ai, img.format()) == (76, None, sensor.RGB565)


def test_to_rgb565_and_to_rainbow():
    img = gray_image([[0, 255]])
    assert img.to_rgb565(copy=True).get_pixel(1, 0) == (255, 255, 255)
    rainbow = img.to_rainbow(copy=True)
    assert rainbow.get_pixel(0, 0) == (0, 0, 255) and rainbow.get_pixel(1, 0) == (255, 0, 0)


# --- geometry ----------------------------------------


def resize565_reference(words, w, h, strict=False):
    """The spec's rule, pixel by pixel."""
    h0, w0 = words.shape
    f = np.float32
    sx, sy = f(w0) / f(w), f(h0) / f(h)
    out = np.zeros((h, w), np.uint16)
    for y in range(h):
        for x in range(w):
            if w0 >= w or h0 > h:
                out[y, x] = words[min(int(f(y) * sy), h0 - 1), min(int(f(x) * sx), w0 - 1)]
                continue
            xs, ys = (f(x) + f(0.5)) * sx - f(0.5), (f(y) + f(0.5)) * sy - f(0.5)
            if not strict:
                xs, ys = max(xs, f(0)), max(ys, f(0))
            x1, y1 = max(math.floor(xs), 0), max(math.floor(ys), 0)
            if x1 + 1 >= w0 or y1 + 1 >= h0:
                out[y, x] = words[y1, x1]
                continue
            channels = []
            for c, top in zip(pixels.split565(words), (31, 63, 31), strict=True):
                c = c.astype(f)
                upper = c[y1, x1] * (f(x1 + 1) - xs) + c[y1, x1 + 1] * (xs - f(x1))
                lower = c[y1 + 1, x1] * (f(x1 + 1) - xs) + c[y1 + 1, x1 + 1] * (xs - f(x1))
                value = upper * (f(y1 + 1) - ys) + lower * (ys - f(y1))
                channels.append(min(max(int(value), 0), top))
            out[y, x] = pixels.join565(*channels)
    return out


@pytest.mark.parametrize("size", [(7, 5), (4, 3), (3, 9), (14, 3), (14, 5), (20, 13), (21, 10)])
@pytest.mark.parametrize("strict", [False, True])
def test_resize_rgb565(make_board, size, strict):
    make_board(compat="strict" if strict else "friendly")
    words = np.random.default_rng(4).integers(0, 65536, (5, 7), dtype=np.uint16)
    img = Image.from_pixels(words)
    img.pix_to_ai()
    result = img.resize(*size)
    assert np.array_equal(result.pixels, resize565_reference(words, *size, strict))
    assert result.pix_ai is None


def resize_gray_reference(values, w, h, strict=False):
    h0, w0 = values.shape
    f = np.float32
    sx, sy = f(w0) / f(w), f(h0) / f(h)
    out = np.zeros((h, w), np.uint8)
    for y in range(h):
        for x in range(w):
            if w >= w0 or h >= h0:
                xs, ys = (f(x) + f(0.5)) * sx - f(0.5), (f(y) + f(0.5)) * sy - f(0.5)
                if not strict:
                    xs, ys = max(xs, f(0)), max(ys, f(0))
                x1, y1 = max(math.floor(xs), 0), max(math.floor(ys), 0)
                x2, y2 = min(x1 + 1, w0 - 1), min(y1 + 1, h0 - 1)
                v = values.astype(f)
                upper = v[y1, x1] * (f(x1 + 1) - xs) + v[y1, x2] * (xs - f(x1))
                lower = v[y2, x1] * (f(x1 + 1) - xs) + v[y2, x2] * (xs - f(x1))
                out[y, x] = min(max(int(upper * (f(y1 + 1) - ys) + lower * (ys - f(y1))), 0), 255)
                continue
            step = sy if strict else sx
            rows = range(int(f(y) * sy), min(int(f(y + 1) * sy), h0 - 1) + 1)
            left, right = min(int(f(x) * step), w0 - 1), min(int(f(x + 1) * step), w0 - 1)
            box = [int(values[r, c]) for r in rows for c in range(left, right + 1)]
            out[y, x] = sum(box) // len(box)
    return out


@pytest.mark.parametrize("size", [(7, 9), (4, 3), (3, 9), (14, 3), (20, 13), (5, 8)])
@pytest.mark.parametrize("strict", [False, True])
def test_resize_grayscale(make_board, size, strict):
    make_board(compat="strict" if strict else "friendly")
    values = np.random.default_rng(5).integers(0, 256, (9, 7), dtype=np.uint8)
    assert np.array_equal(gray_image(values).resize(*size).pixels, resize_gray_reference(values, *size, strict))


def test_resize_to_nothing_is_refused():
    with pytest.raises(ValueError, match="0x5"):
        Image().resize(0, 5)


def test_cut_zero_fills_outside():
    img = gray_image(np.arange(1, 13).reshape(3, 4))
    assert img.cut(-1, 1, 3, 3).pixels.tolist() == [[0, 5, 6], [0, 9, 10], [0, 0, 0]]
    assert img.cut(10, 10, 2, 2).pixels.tolist() == [[0, 0], [0, 0]]


def test_copy_and_crop():
    img = gray_image(np.arange(16).reshape(4, 4))
    assert img.copy(roi=(1, 1, 2, 2)).pixels.tolist() == [[5, 6], [9, 10]]
    assert img.copy((1, 1, 2, 2), 2, 1).pixels.tolist() == [[5, 5, 6, 6], [9, 9, 10, 10]]
    assert img.crop(roi=(2, 0, 2, 1)) is img and img.pixels.tolist() == [[2, 3]]


def test_replace_mirrors_flips_and_transposes_in_place_and_keeps_the_ai_plane():
    img = gray_image([[1, 2, 3], [4, 5, 6]])
    img.pix_to_ai()
    assert img.replace(vflip=0, hmirror=1) is img
    assert img.pixels.tolist() == [[3, 2, 1], [6, 5, 4]]
    assert img.replace(vflip=True).pixels.tolist() == [[6, 5, 4], [3, 2, 1]]
    assert img.replace(transpose=True).pixels.tolist() == [[6, 3], [5, 2], [4, 1]]
    assert img.pix_ai.tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_rotation_corr_turns_clockwise_about_the_centre():
    img = gray_image(np.arange(9).reshape(3, 3))
    assert img.rotation_corr(z_rotation=90) is img
    assert img.pixels.tolist() == [[6, 3, 0], [7, 4, 1], [8, 5, 2]]


def test_rotation_corr_by_nothing_changes_nothing():
    values = np.arange(12).reshape(3, 4)
    assert gray_image(values).rotation_corr().pixels.tolist() == values.tolist()


def test_rotation_corr_about_y_narrows_the_picture():
    img = gray_image(np.full((20, 20), 200)).rotation_corr(y_rotation=60)
    assert (img.pixels == 0).sum() > 100 and img.pixels[10, 10] == 200


# --- gray values ----------------------------------------


@pytest.mark.parametrize("low, high, interior, expected", [
    (64, 255, [10, 20, 40], [64, 114, 214]),      # (255-64)//30 = 6, at most 5
    (64, 255, [0, 100, 191], [64, 164, 255]),     # factor 1
    (64, 255, [0, 100, 200], [64, 64, 64]),       # range already wider: factor 0
    (0, 255, [7, 7, 7], [7, 7, 7]),               # flat: unchanged
])
def test_stretch(low, high, interior, expected):
    values = np.zeros((3, 5), np.uint8)
    values[1, 1:4] = interior
    img = gray_image(values)
    assert img.stretch(low, high) is None
    assert img.pixels[1, 1:4].tolist() == expected


def test_stretch_ignores_the_border_for_the_range_but_changes_it():
    values = np.full((3, 4), 250, np.uint8)
    values[1, 1:3] = [10, 60]
    img = gray_image(values)
    img.stretch(0, 100)
    assert img.pixels[1, 1:3].tolist() == [0, 100] and img.pixels[0, 0] == ((250 - 10) * 2) % 256


def test_strech_char():
    values = np.array([[10, 20], [30, 100]])
    img = gray_image(values)
    assert img.strech_char(0) is None
    mean = 160 // 2 // 2
    assert img.pixels.tolist() == [[0, 0], [0, int((100 - mean) * 255 / (100 - mean))]]


def test_strech_char_fades_the_corners():
    values = np.full((8, 8), 200)
    values[4, 4] = 100
    img = gray_image(values)
    img.strech_char(1)
    base = int((200 - 12700 // 64) * 255 / (200 - 12700 // 64))
    r2 = 4 ** 2 + 4 ** 2
    assert img.pixels[0, 0] == int(base / (1 + 32 * r2 * r2 / 8 / 8 / 8 / 8))
    assert img.pixels[4, 5] == int(base / (1 + 32 / 4096))


def test_strech_char_of_a_flat_image_changes_nothing():
    img = gray_image(np.full((4, 4), 9))
    img.strech_char(0)
    assert (img.pixels == 9).all()


@pytest.mark.parametrize("call", [lambda i: i.stretch(64, 255), lambda i: i.strech_char(1)])
def test_stretching_needs_grayscale(call):
    with pytest.raises(ValueError, match="GRAYSCALE"):
        call(Image())


def test_invert_is_a_bitwise_not():
    img = gray_image([[0, 200]])
    assert img.invert() is img and img.pixels.tolist() == [[255, 55]]
    assert rgb_image([[[0, 0, 0]]]).invert()[0] == 0xFFFF


# --- drawing ----------------------------------------


def drawn(img):
    return {(x, y) for y, x in np.argwhere(img.pixels)}


def test_draw_rectangle_outline_lies_on_x_to_x_plus_w_minus_1():
    img = Image(size=(10, 10))
    assert img.draw_rectangle(2, 3, 4, 5) is img
    assert drawn(img) == {(x, y) for x in range(2, 6) for y in range(3, 8) if x in (2, 5) or y in (3, 7)}


@pytest.mark.parametrize("arguments", [((2, 3, 4, 5), RED, 2), (2, 3, 4, 5, RED, 2), ([2.9, 3.1, 4, 5], RED, 2)])
def test_draw_rectangle_takes_tuple_or_numbers_then_colour_and_thickness(arguments):
    reference = Image(size=(12, 12)).draw_rectangle(2, 3, 4, 5, color=RED, thickness=2)
    assert np.array_equal(Image(size=(12, 12)).draw_rectangle(*arguments).pixels, reference.pixels)
    assert reference.pixels.max() == RED and len(drawn(reference)) > 14


def test_draw_rectangle_fill_and_clipping():
    img = Image(size=(4, 4)).draw_rectangle(-2, -2, 4, 4, fill=True)
    assert drawn(img) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert not drawn(Image(size=(4, 4)).draw_rectangle(10, 10, 4, 4))
    assert not drawn(Image(size=(4, 4)).draw_rectangle(0, 0, 0, 0))


def test_unknown_keywords_of_drawing_calls_are_ignored():
    assert drawn(Image(size=(9, 9)).draw_rectangle(1, 1, 3, 3, tickness=4)) == drawn(
        Image(size=(9, 9)).draw_rectangle(1, 1, 3, 3))


def test_drawing_without_position_is_refused():
    with pytest.raises(TypeError, match="missing h"):
        Image().draw_rectangle(1, 2, 3)


@pytest.mark.parametrize("color, expected", [(-1, 0xFFFF), (RED, RED), ((255, 0, 0), RED), ([300, -5, 0], RED)])
def test_colours(color, expected):
    assert Image(size=(1, 1)).draw_rectangle(0, 0, 1, 1, color=color)[0] == expected


def test_colours_on_grayscale():
    assert gray_image([[0]]).draw_rectangle(0, 0, 1, 1)[0] == 255
    assert gray_image([[0]]).draw_rectangle(0, 0, 1, 1, color=(255, 0, 0))[0] == 76


def test_draw_line_includes_both_ends():
    assert drawn(Image(size=(6, 6)).draw_line(1, 1, 4, 4)) == {(i, i) for i in range(1, 5)}
    assert drawn(Image(size=(6, 6)).draw_line((0, 2, 5, 2), thickness=1)) == {(x, 2) for x in range(6)}


def test_draw_circle():
    img = Image(size=(21, 21))
    assert img.draw_circle(10, 10, 5) is img
    assert {(15, 10), (5, 10), (10, 5), (10, 15)} <= drawn(img) and (10, 10) not in drawn(img)
    filled = drawn(Image(size=(21, 21)).draw_circle((10, 10, 5), fill=True))
    assert (10, 10) in filled and abs(len(filled) - math.pi * 5.5 ** 2) < 12


def test_draw_cross_defaults():
    assert drawn(Image(size=(21, 21)).draw_cross(10, 10)) == {(x, 10) for x in range(5, 16)} | {
        (10, y) for y in range(5, 16)}


def test_draw_arrow_ends_in_a_head():
    assert len(drawn(Image(size=(50, 50)).draw_arrow(5, 25, 40, 25))) > 45


def test_draw_string_cells_and_lines():
    one = drawn(Image(size=(60, 40)).draw_string(3, 4, "A", mono_space=True))
    assert one and all(3 <= x < 11 and 4 <= y < 16 for x, y in one)
    two = drawn(Image(size=(60, 40)).draw_string(3, 4, "A\nA", mono_space=True))
    assert two == one | {(x, y + 14) for x, y in one}
    wide = drawn(Image(size=(60, 40)).draw_string(3, 4, "AA", mono_space=True, x_spacing=2))
    assert wide == one | {(x + 10, y) for x, y in one}


def test_draw_string_scale_and_proportional_width():
    one = drawn(Image(size=(60, 40)).draw_string(0, 0, "A", mono_space=True))
    big = drawn(Image(size=(60, 40)).draw_string(0, 0, "A", (255, 255, 255), 2.0, mono_space=True))
    assert big == {(2 * x + i, 2 * y + j) for x, y in one for i in (0, 1) for j in (0, 1)}
    mono = max(x for x, _ in drawn(Image(size=(90, 20)).draw_string(0, 0, "iiii", mono_space=True)))
    assert max(x for x, _ in drawn(Image(size=(90, 20)).draw_string(0, 0, "iiii"))) < mono


def test_draw_string_outside_is_clipped():
    assert not drawn(Image(size=(20, 20)).draw_string(50, 50, "hello"))


def test_draw_image_positions():
    tile = rgb_image(np.full((2, 2, 3), 255))
    reference = Image(size=(6, 6)).draw_image(tile, 3, 2)
    assert drawn(reference) == {(3, 2), (4, 2), (3, 3), (4, 3)}
    for other in (Image(size=(6, 6)).draw_image(tile, (3, 2)), Image(size=(6, 6)).draw_image(tile, x=3, y=2)):
        assert np.array_equal(other.pixels, reference.pixels)


def test_draw_image_scale_clipping_alpha_and_mask():
    tile = rgb_image(np.full((2, 2, 3), 255))
    assert len(drawn(Image(size=(9, 9)).draw_image(tile, 0, 0, 3, 2))) == 24
    assert drawn(Image(size=(4, 4)).draw_image(tile, -1, -1)) == {(0, 0)}
    half = Image(size=(2, 2)).draw_image(tile, 0, 0, alpha=128)
    assert abs(half.get_pixel(0, 0)[0] - 127) <= 8
    masked = Image(size=(2, 2)).draw_image(tile, 0, 0, mask=gray_image([[0, 255], [0, 0]]))
    assert drawn(masked) == {(1, 0)}


def test_draw_image_converts_between_formats():
    assert Image(size=(1, 1)).draw_image(gray_image([[128]]), 0, 0).get_pixel(0, 0) == (132, 130, 132)
    assert gray_image([[0]]).draw_image(rgb_image([[[255, 0, 0]]]), 0, 0)[0] == 76


def test_draw_image_strict_stores_raw_values(strict_board):
    assert Image(size=(1, 1)).draw_image(gray_image([[0x80]]), 0, 0)[0] == 0x80
    assert gray_image([[0]]).draw_image(rgb_image([[[255, 0, 255]]]), 0, 0)[0] == 0xF8


def test_draw_image_of_something_else():
    with pytest.raises(TypeError, match="image.Image"):
        Image().draw_image("logo.bmp", 0, 0)


# --- files ----------------------------------------


@pytest.mark.parametrize("name", ["a.bmp", "a.png", "a.jpg"])
def test_save_and_load_again(tmp_path, name):
    img = rgb_image(np.full((16, 16, 3), (200, 100, 50)))
    assert img.save(f"/sd/{name}", quality=95) is img
    again = Image(str(tmp_path / name)).get_pixel(5, 5)
    assert np.abs(np.subtract(again, img.get_pixel(5, 5))).max() <= 8


def test_save_roi(tmp_path):
    Image(size=(20, 10)).save("/sd/r.png", roi=(2, 3, 5, 4))
    assert PillowImage.open(tmp_path / "r.png").size == (5, 4)


def test_save_with_an_unknown_extension():
    with pytest.raises(ValueError, match="gif"):
        Image().save("/sd/a.gif")


def test_to_bytes_is_a_copy():
    img = gray_image([[1, 2]])
    data = img.to_bytes()
    data[0] = 9
    assert isinstance(data, bytearray) and img[0] == 1


# --- affine ----------------------------------------


def apply(matrix, point):
    x, y = point
    return matrix[0] * x + matrix[1] * y + matrix[2], matrix[3] * x + matrix[4] * y + matrix[5]


def test_get_affine_transform_maps_dst_to_src():
    angle, scale, shift = 0.4, 2.5, (60, 40)
    dst = [(38, 52), (74, 52), (56, 72), (42, 92), (71, 92)]
    src = [(round(scale * (x * math.cos(angle) - y * math.sin(angle)) + 200 + shift[0]),
            round(scale * (x * math.sin(angle) + y * math.cos(angle)) + shift[1])) for x, y in dst]
    matrix = image.get_affine_transform(src, dst)
    assert len(matrix) == 9 and matrix[6:] == (0.0, 0.0, 1.0)
    for s, d in zip(src, dst, strict=True):
        assert np.hypot(*np.subtract(apply(matrix, d), s)) < 1
    assert math.hypot(matrix[0], matrix[3]) == pytest.approx(scale, rel=0.01)


def test_get_affine_transform_of_mirrored_points_is_a_reflection():
    dst = [(10, 10), (30, 10), (20, 40)]
    matrix = image.get_affine_transform([(100 - x, y) for x, y in dst], dst)
    assert matrix[0] * matrix[4] - matrix[1] * matrix[3] == pytest.approx(-1, abs=1e-5)


@pytest.mark.parametrize("src, dst", [
    (((1, 2),) * 3, [(1, 2)] * 3), ([(1, 2)], [(1, 2)]), ([(1, 2), (3, 4)], [(1, 2)] * 3),
    ([(1, 2)] * 11, [(1, 2)] * 11), ([(1, 2), (3, 4)], [(5, 5), (5, 5)]),
])
def test_get_affine_transform_wants_two_lists_of_points(src, dst):
    with pytest.raises(OSError, match="get_affine_transform"):
        image.get_affine_transform(src, dst)


def with_plane(img):
    img.pix_to_ai()
    return img


def test_warp_affine_ai_identity_and_shift():
    src = with_plane(rgb_image(np.random.default_rng(6).integers(0, 256, (6, 8, 3))))
    dst = with_plane(Image(size=(8, 6)))
    assert image.warp_affine_ai(src, dst, (1, 0, 0, 0, 1, 0, 0, 0, 1)) is None
    assert np.array_equal(dst.pix_ai, src.pix_ai)
    image.warp_affine_ai(src, dst, (1, 0, 2, 0, 1, -1, 0, 0, 1))
    assert np.array_equal(dst.pix_ai[:, 1:, :6], src.pix_ai[:, :5, 2:]) and not dst.pix_ai[:, 0].any()
    assert not dst.pix_ai[:, :, 6:].any()


def test_warp_affine_ai_is_bilinear_with_8_bit_weights():
    src = with_plane(gray_image([[10, 20], [30, 50]]))
    dst = with_plane(gray_image([[0, 0], [0, 0]]))
    image.warp_affine_ai(src, dst, (1, 0, 0.25, 0, 1, 0.5, 0, 0, 1))
    fx, fy = 64, 128
    expected = (10 * (256 - fx) * (256 - fy) + 20 * fx * (256 - fy) + 30 * (256 - fx) * fy + 50 * fx * fy) >> 16
    assert dst.pix_ai[0, 0, 0] == expected


def test_warp_affine_ai_errors():
    identity = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    with pytest.raises(ValueError, match="src_img->bpp != dst_img->bpp"):
        image.warp_affine_ai(with_plane(gray_image([[1]])), with_plane(Image()), identity)
    with pytest.raises(ValueError, match="only support ai image affine"):
        image.warp_affine_ai(Image(), with_plane(Image()), identity)


def test_font_load_and_font_free_draw_wide_cells():
    image.font_load(image.UTF8, 16, 16, 0xA00000)
    try:
        marks = drawn(Image(size=(40, 40)).draw_string(0, 0, "\u4eac", mono_space=True))
        assert marks and max(x for x, _ in marks) > 8
    finally:
        image.font_free()
