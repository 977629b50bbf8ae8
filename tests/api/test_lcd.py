# SPDX-License-Identifier: Apache-2.0
"""``lcd``: the screen as PNG frames (spec/driver-api.md section 3.4)."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from openkpu.api.imaging import lcd
from openkpu.api.imaging.image import Image

COLOURS = {
    "BLACK": 0x0000, "NAVY": 0x0F00, "DARKGREEN": 0xE003, "DARKCYAN": 0xEF03, "MAROON": 0x0078, "PURPLE": 0x0F78,
    "OLIVE": 0xE07B, "LIGHTGREY": 0x18C6, "DARKGREY": 0xEF7B, "BLUE": 0x1F00, "GREEN": 0xE007, "CYAN": 0xFF07,
    "RED": 0x00F8, "MAGENTA": 0x1FF8, "YELLOW": 0xE0FF, "WHITE": 0xFFFF, "ORANGE": 0x20FD, "GREENYELLOW": 0xE5AF,
    "PINK": 0x1FF8,
}


@pytest.fixture
def screen(board):
    """Function that reads frame n as an array."""
    def frame(number):
        return np.asarray(PillowImage.open(board.settings.lcd / f"frame_{number:06d}.png"))
    frame.board = board
    return frame


def white(width, height):
    return Image(size=(width, height)).draw_rectangle(0, 0, width, height, fill=True)


@pytest.mark.parametrize("name", COLOURS)
def test_colour_words(name):
    assert getattr(lcd, name) == COLOURS[name]


def test_calls_before_init_say_so(board):
    for call in (lambda: lcd.display(Image()), lambda: lcd.clear(), lambda: lcd.draw_string(0, 0, "x"),
                 lambda: lcd.freq(1)):
        with pytest.raises(ValueError, match="^not init"):
            call()


def test_init_defaults(board):
    assert lcd.init() is None
    assert (lcd.width(), lcd.height(), lcd.type()) == (320, 240, 1)


@pytest.mark.parametrize("keywords", [
    {"freq": 15000000}, {"type": 2}, {"invert": 1, "lcd_type": 3, "rst": 37, "dcx": 38},
    {"offset_w0": 1, "offset_h1": 2, "ss": 3, "clk": 4}, {"something": 5},
])
def test_init_accepts_board_settings(board, keywords):
    lcd.init(**keywords)
    assert lcd.width() == 320


def test_init_clears_to_the_colour(screen):
    lcd.init(color=lcd.RED, width=16, height=8)
    lcd.display(Image(size=(2, 2)), oft=(0, 0))
    assert screen(0).shape == (8, 16, 3) and screen(0)[7, 15].tolist() == [255, 0, 0]


def test_type_0_writes_nothing(board):
    lcd.init(type=0)
    lcd.display(Image())
    assert not board.settings.lcd.exists() and board.counters.displays == 1


def test_display_writes_numbered_frames_of_the_whole_screen(screen):
    lcd.init()
    assert lcd.display(white(320, 240)) is None
    lcd.display(Image())
    assert screen(0).shape == (240, 320, 3) and screen(0).min() == 255 and screen(1).max() == 0


def test_display_centres_a_smaller_image_left_floor_right_ceil(screen):
    lcd.init(width=9, height=8)
    lcd.display(white(4, 4))
    lit = np.argwhere(screen(0)[..., 0])
    assert lit.min(0).tolist() == [2, 2] and lit.max(0).tolist() == [5, 5]


def test_display_cuts_a_larger_image_to_its_centre(screen):
    lcd.init(width=8, height=8)
    img = Image(size=(12, 8))
    img.draw_rectangle(2, 0, 1, 8, fill=True)
    lcd.display(img)
    assert screen(0)[:, 0].min() == 255 and screen(0)[:, 1:].max() == 0


def test_display_blanks_the_rest_without_oft(screen):
    lcd.init(color=lcd.WHITE, width=8, height=8)
    lcd.display(Image(size=(4, 4)))
    assert screen(0).max() == 0


def test_display_with_oft_leaves_the_rest(screen):
    lcd.init(color=lcd.WHITE, width=8, height=8)
    lcd.display(Image(size=(4, 4)), oft=(3, 2))
    assert (screen(0)[..., 0] == 0).sum() == 16 and screen(0)[2, 3, 0] == 0


def test_display_roi(screen):
    lcd.init(width=8, height=8)
    lcd.display(white(20, 20), roi=(5, 5, 2, 4))
    assert (screen(0)[..., 0] == 255).sum() == 8


def test_display_grayscale_is_gray(screen):
    lcd.init(width=4, height=4)
    lcd.display(Image.from_pixels(np.full((4, 4), 128, np.uint8)))
    assert screen(0)[0, 0].tolist() == [132, 130, 132]


def test_display_of_something_else(board):
    lcd.init()
    with pytest.raises(TypeError, match="image.Image"):
        lcd.display("picture.bmp")


@pytest.mark.parametrize("color", [lcd.RED, (255, 0, 0)])
def test_clear(screen, color):
    lcd.init(width=4, height=4)
    lcd.display(Image(size=(4, 4)))
    assert lcd.clear(color) is None
    lcd.clear(color=color)
    assert (screen(0) == (255, 0, 0)).all()


def test_draw_string_updates_the_same_frame(screen):
    lcd.init()
    lcd.display(Image())
    assert lcd.draw_string(10, 20, "hi", lcd.GREEN, lcd.WHITE) is None
    cells = screen(0)[20:32, 10:26]
    assert {tuple(c) for c in cells.reshape(-1, 3).tolist()} == {(0, 255, 0), (255, 255, 255)}
    assert len(list(screen.board.settings.lcd.iterdir())) == 1


def test_draw_string_defaults_are_red_on_black_and_positional_only(screen):
    lcd.init()
    lcd.display(white(320, 240))
    lcd.draw_string(0, 0, "X")
    assert {tuple(c) for c in screen(0)[:12, :8].reshape(-1, 3).tolist()} == {(255, 0, 0), (0, 0, 0)}
    with pytest.raises(TypeError):
        lcd.draw_string(0, 0, text="X")


@pytest.mark.parametrize("x, y", [(-1, 0), (0, -1), (320, 0), (0, 240)])
def test_draw_string_outside_draws_nothing(screen, x, y):
    lcd.init()
    lcd.display(white(320, 240))
    lcd.draw_string(x, y, "hello")
    assert screen(0).min() == 255


def test_draw_string_is_cut_at_the_right_edge(screen):
    lcd.init()
    lcd.display(Image())
    lcd.draw_string(312, 0, "XXXX")
    assert screen(0)[:, :312].max() == 0 and screen(0)[:, 312:].max() == 255


def test_what_is_only_drawn_is_written_at_the_end(screen):
    lcd.init()
    lcd.clear(lcd.BLUE)
    screen.board.close()
    assert (screen(0) == (0, 0, 255)).all()


def test_rotation_swaps_the_size_and_the_picture_is_as_the_user_sees_it(screen):
    lcd.init(width=8, height=4)
    assert lcd.rotation() == 0 and lcd.rotation(1) == 1
    assert (lcd.width(), lcd.height()) == (4, 8)
    img = Image(size=(4, 8)).set_pixel(0, 0)
    lcd.display(img)
    assert screen(0).shape == (8, 4, 3) and np.argwhere(screen(0)[..., 0]).tolist() == [[0, 0]]


def test_rotation_2_is_for_a_board_mounted_upside_down_whose_user_sees_it_upright(screen):
    lcd.init(width=8, height=4)
    lcd.rotation(2)
    lcd.display(Image(size=(8, 4)).set_pixel(0, 0))
    assert np.argwhere(screen(0)[..., 0]).tolist() == [[0, 0]] and (lcd.width(), lcd.height()) == (8, 4)


def test_rotation_out_of_range(board):
    lcd.init()
    with pytest.raises(ValueError, match=r"value:\[0,3\]"):
        lcd.rotation(4)


def test_mirror(screen):
    lcd.init(width=8, height=4)
    assert lcd.mirror() == 0 and lcd.mirror(True) == 1
    lcd.display(Image(size=(8, 4)).set_pixel(0, 0))
    assert np.argwhere(screen(0)[..., 0]).tolist() == [[0, 7]]


def test_fill_rectangle(screen):
    lcd.init(width=8, height=4)
    lcd.display(Image(size=(8, 4)))
    lcd.fill_rectangle(1, 1, 2, 2, lcd.WHITE)
    assert (screen(0)[..., 0] == 255).sum() == 4


def test_freq_backlight_and_other_settings(board):
    lcd.init(freq=15_000_000)
    assert lcd.freq() == 15_000_000 and lcd.freq(20_000_000) == 20_000_000
    lcd.set_backlight(40)
    assert lcd.get_backlight() == 40
    assert lcd.bgr_to_rgb(1) is None and lcd.direction(lcd.YX_LRUD) is None and lcd.register(0x36, 0x60) is None


def test_deinit(board):
    lcd.init()
    assert lcd.deinit() is None and lcd.width() == 0


def test_only_the_last_frame_is_kept_on_request(make_board):
    board = make_board(lcd_last=True)
    lcd.init(width=4, height=4)
    lcd.display(Image(size=(4, 4)))
    lcd.display(white(4, 4))
    (path,) = board.settings.lcd.iterdir()
    assert np.asarray(PillowImage.open(path)).min() == 255


def test_a_second_init_continues_the_numbering(screen):
    lcd.init(width=4, height=4)
    lcd.display(Image(size=(4, 4)))
    lcd.init(width=4, height=4)
    lcd.display(white(4, 4))
    assert screen(0).max() == 0 and screen(1).min() == 255
