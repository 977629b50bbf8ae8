# SPDX-License-Identifier: Apache-2.0
"""Module ``sensor``: the camera, fed with pictures (spec/driver-api.md section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageOps

from openkpu.api.board.board import Board, current_board
from openkpu.api.imaging import image, pixels
from openkpu.api.imaging.feed import Feed, fit

RGB565 = image.RGB565
YUV422 = 3
GRAYSCALE = image.GRAYSCALE
JPEG = image.JPEG
BAYER = 6

FRAME_SIZES = {
    "QQCIF": (88, 72), "QCIF": (176, 144), "CIF": (352, 288), "QQSIF": (88, 60), "QSIF": (176, 120), "SIF": (352, 240),
    "QQQQVGA": (40, 30), "QQQVGA": (80, 60), "QQVGA": (160, 120), "QVGA": (320, 240), "VGA": (640, 480),
    "HQQQVGA": (80, 40), "HQQVGA": (160, 80), "HQVGA": (240, 160), "B64X32": (64, 32), "B64X64": (64, 64),
    "B128X64": (128, 64), "B128X128": (128, 128), "B240X240": (240, 240), "LCD": (128, 160), "QQVGA2": (128, 160),
    "WVGA": (720, 480), "WVGA2": (752, 480), "SVGA": (800, 600), "SXGA": (1280, 1024), "UXGA": (1600, 1200),
}
globals().update({name: number for number, name in enumerate(FRAME_SIZES, 1)})
_SIZE_BY_CONSTANT = dict(enumerate(FRAME_SIZES.values(), 1))

OV9650, OV2640, OV7725, OV5640 = 0x96, 0x26, 0x77, 0x56
DEFAULT_FRAMES = 10
"""Frames of the synthetic scene when neither a camera source nor a number of frames is given."""


@dataclass
class _Camera:
    owner: Board
    feed: Feed
    pixformat: int = RGB565
    frame: tuple[int, int] = (320, 240)
    window: tuple[int, int, int, int] | None = None
    hmirror: bool = False
    vflip: bool = False
    running: bool = True
    taken: int = 0
    last: image.Image | None = None


_camera: _Camera | None = None


def _opened() -> _Camera:
    if _camera is None or _camera.owner is not current_board():
        raise TypeError("not found sensor -- call sensor.reset() first")
    return _camera


def reset(*, freq=None, set_regs=True, dual_buff=False, choice=0) -> None:
    """Open the feed. All keywords are accepted and have no effect.

    A second reset keeps the feed's position, so that a script which resets in its loop sees new pictures.
    """
    global _camera
    board = current_board()
    if _camera is None or _camera.owner is not board:
        _camera = _Camera(board, Feed(board.settings.camera, repeat=board.settings.frames is not None))
    else:
        _camera = _Camera(board, _camera.feed, taken=_camera.taken)


def binocular_reset() -> None:
    """As ``reset``."""
    reset()


def set_pixformat(pixformat: int) -> bool:
    """``GRAYSCALE``, ``RGB565`` or ``YUV422`` (whose snapshots are RGB565); anything else: ``OSError``."""
    camera = _opened()
    if pixformat not in (GRAYSCALE, RGB565, YUV422):
        raise OSError("Pixel format is not supported! -- use sensor.RGB565 or sensor.GRAYSCALE")
    camera.pixformat = pixformat
    return True


def set_framesize(size: int) -> None:
    """One of the frame-size constants; removes the window."""
    camera = _opened()
    if size not in _SIZE_BY_CONSTANT:
        raise OSError(f"frame size {size!r} is not one of sensor.{', sensor.'.join(FRAME_SIZES)}")
    camera.frame, camera.window = _SIZE_BY_CONSTANT[size], None


def set_windowing(roi, *more) -> bool:
    """Window (w, h), centred, or (x, y, w, h), of the frame.

    Raises
    ------
    ValueError
        A side is below 8 or not a multiple of 8, or the window leaves the frame.
    """
    camera = _opened()
    values = [int(v) for v in (roi if isinstance(roi, (tuple, list)) else (roi, *more))]
    width, height = camera.frame
    if len(values) == 2:
        values = [(width - values[0]) // 2, (height - values[1]) // 2, *values]
    if len(values) != 4:
        raise ValueError(f"set_windowing takes (w, h) or (x, y, w, h), not {len(values)} numbers")
    x, y, w, h = values
    if w < 8 or h < 8 or w % 8 or h % 8:
        raise ValueError(f"window {w}x{h}: both sides must be multiples of 8 and at least 8")
    if x < 0 or y < 0 or x + w > width or y + h > height:
        raise ValueError(f"window {(x, y, w, h)} leaves the frame of {width}x{height}")
    camera.window = (x, y, w, h)
    return True


def set_hmirror(enable) -> None:
    """Mirror the camera; has an effect only with the runner's ``--mirror``, since feed pictures are upright."""
    _opened().hmirror = bool(enable)


def set_vflip(enable) -> None:
    """Flip the camera; see ``set_hmirror``."""
    _opened().vflip = bool(enable)


def run(enable) -> bool:
    """1 starts, 0 stops the camera."""
    _opened().running = bool(enable)
    return True


def skip_frames(n=None, time=300) -> None:
    """Returns at once and consumes no picture."""
    _opened()


def snapshot(update_jb=True) -> image.Image:
    """The next picture of the feed at the frame size, cut to the window, with its AI plane.

    Raises
    ------
    SystemExit
        At the end of the feed or after the chosen number of frames, with code 0.
    TypeError
        ``reset`` was not called.
    RuntimeError
        The camera was stopped with ``run(0)``.
    """
    camera = _opened()
    board = camera.owner
    if not camera.running:
        raise RuntimeError("Frame capture has timed out! -- the camera was stopped with sensor.run(0)")
    with board.uninterrupted():
        board.check_frame_limit()
        if camera.feed.endless and board.settings.frames is None and camera.taken == DEFAULT_FRAMES:
            board.end(f"{DEFAULT_FRAMES} frames of the synthetic scene (choose with --camera and --frames)")
        picture = camera.feed.next()
        if picture is None:
            board.end("end of the camera feed")
        taken = camera.last = _exposed(camera, picture)
        camera.taken += 1
        board.count_snapshot()
    # only now: the function of a key or timer may take a picture itself
    board.on_snapshot(counted=True)
    return taken


def _exposed(camera: _Camera, picture) -> image.Image:
    """The picture as the script's camera settings show it."""
    board = camera.owner
    if board.settings.camera_rotation:
        picture = picture.rotate(-board.settings.camera_rotation, expand=True)
    x, y, w, h = camera.window or (0, 0, *camera.frame)
    if picture.size != (w, h):
        picture = fit(picture, camera.frame, board.settings.scaling).crop((x, y, x + w, y + h))
    if board.settings.mirror:
        picture = ImageOps.mirror(picture) if camera.hmirror else picture
        picture = ImageOps.flip(picture) if camera.vflip else picture
    return _captured(np.asarray(picture.convert("RGB")), camera.pixformat, board.settings.ai)


def _captured(rgb: np.ndarray, pixformat: int, ai: str) -> image.Image:
    if pixformat == GRAYSCALE:
        result = image.Image.from_pixels(pixels.gray_from_rgb(rgb))
    else:
        result = image.Image.from_rgb(rgb)
    result.pix_to_ai()
    if ai == "rgb888" and pixformat != GRAYSCALE:
        result.pix_ai = np.ascontiguousarray(np.moveaxis(rgb, -1, 0))
    return result


def width() -> int:
    """Columns of the frame or window."""
    camera = _opened()
    return camera.window[2] if camera.window else camera.frame[0]


def height() -> int:
    """Rows of the frame or window."""
    camera = _opened()
    return camera.window[3] if camera.window else camera.frame[1]


def get_fb() -> image.Image | None:
    """The last snapshot, or None."""
    return _opened().last


def get_id() -> int:
    """0: no physical camera."""
    return 0


def _accepted(name: str):
    def setting(*args, **keywords) -> None:
        pass

    setting.__name__ = setting.__qualname__ = name
    setting.__doc__ = "A setting of the physical camera: accepted, no effect on the feed."
    return setting


_SETTINGS = ("shutdown", "flush", "sleep", "set_contrast", "set_brightness", "set_saturation", "set_gainceiling",
             "set_quality", "set_colorbar", "set_auto_gain", "set_auto_exposure", "set_auto_whitebal", "set_jb_quality",
             "set_lens_correction", "set_special_effect", "set_framerate", "set_sharpness", "set_gain_db", "ioctl",
             "__write_reg")
globals().update({name: _accepted(name) for name in _SETTINGS})


def get_exposure_us() -> int:
    """20000: the feed has no exposure."""
    return 20_000


def get_gain_db() -> float:
    """0.0: the feed has no gain."""
    return 0.0


def get_rgb_gain_db() -> tuple[float, float, float]:
    """(0.0, 0.0, 0.0): the feed has no gain."""
    return 0.0, 0.0, 0.0


def get_pixformat() -> int:
    """What ``set_pixformat`` set."""
    return _opened().pixformat


def get_windowing() -> tuple[int, int, int, int]:
    """(x, y, w, h) of the window."""
    camera = _opened()
    return camera.window or (0, 0, *camera.frame)


def alloc_extra_fb(width: int, height: int, pixformat: int) -> image.Image:
    """A blank image."""
    blank = image.Image(size=(width, height))
    return blank.to_grayscale() if pixformat == GRAYSCALE else blank


def dealloc_extra_fb() -> None:
    """Accepted."""


def __read_reg(address: int) -> int:
    """0: no physical camera."""
    return 0
