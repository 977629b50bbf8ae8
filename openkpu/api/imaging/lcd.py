# SPDX-License-Identifier: Apache-2.0
"""Module ``lcd``: the screen, written as PNG frames (spec/driver-api.md section 3.4)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PillowImage

from openkpu.api.board.board import Board, current_board
from openkpu.api.board.boards import current_kind
from openkpu.api.imaging import font, image, pixels
from openkpu.errors import OpenKPUError
from openkpu.files import write_file

if TYPE_CHECKING:
    from openkpu.api.imaging.window import Window

BLACK, NAVY, DARKGREEN, DARKCYAN = 0x0000, 0x0F00, 0xE003, 0xEF03
MAROON, PURPLE, OLIVE, LIGHTGREY = 0x0078, 0x0F78, 0xE07B, 0x18C6
DARKGREY, BLUE, GREEN, CYAN = 0xEF7B, 0x1F00, 0xE007, 0xFF07
RED, MAGENTA, YELLOW, WHITE = 0x00F8, 0x1FF8, 0xE0FF, 0xFFFF
ORANGE, GREENYELLOW, PINK = 0x20FD, 0xE5AF, 0x1FF8

XY_RLUD, YX_RLUD, XY_LRUD, YX_LRUD, XY_RLDU, YX_RLDU, XY_LRDU, YX_LRDU = range(0x00, 0x100, 0x20)


class _Screen:
    """The panel's pixels in the script's orientation.

    The written picture is what the user sees: a script that turns the screen does so because the board is mounted
    turned, so ``rotation`` does not turn the picture; ``mirror`` does mirror it.
    """

    def __init__(self, owner: Board, kind: int, size: tuple[int, int], color):
        self.owner, self.kind, self.size = owner, kind, size
        self.rotation, self.mirrored, self.frequency = 0, False, 20_000_000
        self.frame = -1
        self.dirty = False
        self.window: Window | None = None
        self.canvas = image.Image(size=size)
        self.fill(color)
        owner.closers.append(self.finish)

    def fill(self, color) -> None:
        self.canvas.pixels[:] = self.canvas._color(color)
        self.dirty = True

    def set_rotation(self, quarter_turns: int) -> None:
        if (self.rotation ^ quarter_turns) & 1:
            self.canvas = image.Image(size=(self.canvas.height(), self.canvas.width()))
        self.rotation = quarter_turns

    def next_frame(self) -> None:
        self.frame += 1
        self.write()

    def update(self) -> None:
        """Bring the current frame up to date after drawing directly on the screen."""
        self.dirty = True
        if self.frame >= 0:
            self.write()

    def write(self) -> None:
        if self.kind == 0:
            return
        rgb = pixels.rgb_from_565(self.canvas.pixels)
        picture = PillowImage.fromarray(np.ascontiguousarray(rgb[:, ::-1] if self.mirrored else rgb))
        settings = self.owner.settings
        if settings.lcd is not None:
            number = 0 if settings.lcd_last else max(self.frame, 0)
            file = Path(settings.lcd) / f"frame_{number:06d}.png"
            encoded = io.BytesIO()
            picture.save(encoded, "PNG", compress_level=1)
            try:
                write_file(file, encoded.getvalue())
            except OSError as error:
                raise OpenKPUError(f"cannot write the screen to {file}: {error.strerror or error}; free some space or "
                                   "choose another folder with --lcd") from error
        if settings.window:
            if self.window is None:
                from openkpu.api.imaging.window import Window

                self.window = Window(self.owner)
            self.window.show(picture)
        self.dirty = False

    def finish(self) -> None:
        """Write what was drawn without any ``display``, and close the window."""
        if self.frame < 0 and self.dirty:
            self.write()
        if self.window is not None:
            self.window.close()


_screen: _Screen | None = None


def _initialised() -> _Screen:
    if _screen is None or _screen.owner is not current_board():
        raise ValueError("not init -- call lcd.init() first")
    return _screen


def _made() -> _Screen:
    """The screen; one that was turned or mirrored before ``init`` is made here."""
    if _screen is None or _screen.owner is not current_board():
        init()
    return _initialised()


def init(type=1, freq=20_000_000, color=BLACK, width=None, height=None, invert=0, **other) -> None:
    """Clear the screen to ``color``. ``type=0``: no display, nothing is written. Other keywords have no effect.

    Without ``width`` and ``height`` the screen has the size of the chosen board's.
    """
    global _screen
    board = current_board()
    before = -1
    if _screen is not None and _screen.owner is board:
        before = _screen.frame
        board.closers.remove(_screen.finish)
    usual = current_kind().screen
    size = (int(usual[0] if width is None else width), int(usual[1] if height is None else height))
    _screen = _Screen(board, type, size, color)
    _screen.frequency, _screen.frame = freq, before


def deinit() -> None:
    """Forget the screen; the written frames stay."""
    global _screen
    if _screen is not None:
        _screen.finish()
        if _screen.finish in _screen.owner.closers:
            _screen.owner.closers.remove(_screen.finish)
    _screen = None


def width() -> int:
    """Columns in the script's orientation; 0 before ``init``."""
    return _screen.canvas.width() if _screen is not None and _screen.owner is current_board() else 0


def height() -> int:
    """Rows in the script's orientation; 0 before ``init``."""
    return _screen.canvas.height() if _screen is not None and _screen.owner is current_board() else 0


def type() -> int:
    """The ``type`` given to ``init``; 0 before."""
    return _screen.kind if _screen is not None and _screen.owner is current_board() else 0


def freq(frequency=None) -> int:
    """Set and return the bus clock, Hz; no effect."""
    screen = _initialised()
    if frequency is not None:
        screen.frequency = int(frequency)
    return screen.frequency


def display(img, roi=None, oft=None) -> None:
    """Show an image and write the whole screen as ``frame_<number>.png``.

    Without ``oft`` a larger image is cut to its centre and a smaller one is centred on black; with ``oft=(x, y)`` it is
    placed there and the rest stays.
    """
    screen = _initialised()
    if not isinstance(img, image.Image):
        raise TypeError(f"lcd.display needs an image.Image, not {img.__class__.__name__}")
    part = img if roi is None else image.Image.from_pixels(img.pixels[img._roi(roi)])
    canvas = screen.canvas
    if oft is None:
        # floor division pads left with the floor and cuts a larger image to its central part
        x, y = _centre(canvas.width(), part.width()), _centre(canvas.height(), part.height())
        canvas.clear()
    else:
        x, y = oft
    canvas.draw_image(part, int(x), int(y))
    screen.owner.on_display()
    with screen.owner.uninterrupted():
        screen.next_frame()


def _centre(screen: int, picture: int) -> int:
    return (screen - picture) // 2 if picture <= screen else -((picture - screen) // 2)


def clear(color=BLACK, *rest) -> None:
    """Fill the screen with an RGB565 word, (R, G, B), or three numbers."""
    screen = _initialised()
    screen.fill((color, *rest) if len(rest) == 2 else color)
    screen.update()


def rotation(quarter_turns=None) -> int:
    """Set (0...3) and return the rotation; 1 and 3 swap width and height."""
    screen = _made()
    if quarter_turns is not None:
        if quarter_turns not in (0, 1, 2, 3):
            raise ValueError("value:[0,3]")
        screen.set_rotation(int(quarter_turns))
    return screen.rotation


def mirror(enable=None) -> int:
    """Set and return (0 or 1) whether the panel mirrors."""
    screen = _made()
    if enable is not None:
        screen.mirrored = bool(enable)
    return int(screen.mirrored)


def draw_string(x, y, text, fg=RED, bg=BLACK, /) -> None:
    """One line in 8x12 cells on ``bg``, cut at the right edge; a start outside the screen draws nothing."""
    screen = _initialised()
    canvas = screen.canvas
    if not (0 <= x < canvas.width() and 0 <= y < canvas.height()):
        return
    text = str(text)
    canvas.draw_rectangle(x, y, len(text) * font.CELL_WIDTH, font.CELL_HEIGHT, color=bg, fill=True)
    canvas.draw_string(x, y, text.replace("\n", " "), color=fg, mono_space=True)
    screen.update()


def fill_rectangle(x, y, w, h, color=BLACK) -> None:
    """Fill a rectangle of the screen."""
    screen = _initialised()
    screen.canvas.draw_rectangle(x, y, w, h, color=color, fill=True)
    screen.update()


_backlight = [100]


def set_backlight(level) -> None:
    """Remember the level; the pictures do not change."""
    _backlight[0] = int(level)


def get_backlight() -> int:
    """The level given to ``set_backlight``."""
    return _backlight[0]


def bgr_to_rgb(enable) -> None:
    """Accepted; the written pictures always have the right colours."""


def direction(value) -> None:
    """Accepted; use ``rotation``."""


def register(command, data) -> None:
    """Accepted; there is no panel controller."""
