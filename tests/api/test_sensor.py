# SPDX-License-Identifier: Apache-2.0
"""``sensor`` and its feed (spec/driver-api.md section 3.3)."""

import builtins

import numpy as np
import pytest
from PIL import Image as PillowImage

from openkpu.api.imaging import feed, image, pixels, sensor
from openkpu.errors import InputError

FRAME_SIZES = {
    "QQVGA": (160, 120), "QVGA": (320, 240), "VGA": (640, 480), "QQCIF": (88, 72), "QCIF": (176, 144),
    "CIF": (352, 288), "QQSIF": (88, 60), "QSIF": (176, 120), "SIF": (352, 240), "QQQVGA": (80, 60),
    "QQQQVGA": (40, 30), "HQQQVGA": (80, 40), "HQQVGA": (160, 80), "HQVGA": (240, 160), "B64X32": (64, 32),
    "B64X64": (64, 64), "B128X64": (128, 64), "B128X128": (128, 128), "B240X240": (240, 240), "LCD": (128, 160),
    "QQVGA2": (128, 160), "WVGA": (720, 480), "WVGA2": (752, 480), "SVGA": (800, 600), "SXGA": (1280, 1024),
    "UXGA": (1600, 1200),
}


def colour_frame(value, size=(320, 240)):
    return PillowImage.new("RGB", size, value)


@pytest.fixture
def camera(make_board):
    """Function that opens the camera on a list of pictures, 320x240 RGB565."""
    def open_camera(*pictures, **settings):
        board = make_board(camera=lambda i: pictures[i] if i < len(pictures) else None, **settings)
        sensor.reset()
        sensor.set_pixformat(sensor.RGB565)
        sensor.set_framesize(sensor.QVGA)
        return board
    return open_camera


def test_snapshot_before_reset(board):
    with pytest.raises(TypeError, match="^not found sensor"):
        sensor.snapshot()


def test_reset_takes_keywords_only_and_returns_none(board):
    assert sensor.reset(freq=24000000, set_regs=True, dual_buff=True, choice=1) is None
    with pytest.raises(TypeError):
        sensor.reset(24000000)


def test_set_pixformat(camera):
    camera(colour_frame("red"))
    assert sensor.set_pixformat(sensor.GRAYSCALE) is True and sensor.set_pixformat(sensor.YUV422) is True
    with pytest.raises(OSError, match="^Pixel format is not supported!"):
        sensor.set_pixformat(77)
    with pytest.raises(TypeError):
        sensor.set_pixformat()


@pytest.mark.parametrize("name", FRAME_SIZES)
def test_frame_size(camera, name):
    camera(colour_frame("blue"))
    assert sensor.set_framesize(getattr(sensor, name)) is None
    img = sensor.snapshot()
    assert (img.width(), img.height()) == FRAME_SIZES[name] == (sensor.width(), sensor.height())


def test_frame_size_constants_are_distinct():
    assert len({getattr(sensor, name) for name in FRAME_SIZES}) == len(FRAME_SIZES)


def test_set_framesize_of_something_else(camera):
    camera()
    with pytest.raises(OSError, match="QVGA"):
        sensor.set_framesize(999)


def test_set_windowing_centres_a_pair(camera):
    ramp = np.tile((np.arange(320) // 2).astype(np.uint8), (240, 1))
    camera(ramp)
    assert sensor.set_windowing((224, 224)) is True
    img = sensor.snapshot()
    assert (img.width(), img.height(), sensor.width()) == (224, 224, 224)
    assert np.array_equal(img.pixels, pixels.rgb_to_565(np.repeat(ramp[8:232, 48:272, None], 3, axis=2)))


def test_set_windowing_with_position(camera):
    ramp = np.tile((np.arange(320) // 2).astype(np.uint8), (240, 1))
    camera(ramp)
    sensor.set_windowing((8, 16, 64, 32))
    assert np.array_equal(sensor.snapshot().to_grayscale().pixels[0], image.Image.from_pixels(
        pixels.rgb_to_565(np.repeat(ramp[:1, 8:72, None], 3, axis=2))).to_grayscale().pixels[0])


@pytest.mark.parametrize("window", [(4, 64), (60, 64), (328, 240), (300, 0, 64, 64), (-8, 0, 64, 64), (1, 2, 3)])
def test_set_windowing_refuses(camera, window):
    camera()
    with pytest.raises(ValueError):
        sensor.set_windowing(window)


def test_set_framesize_removes_the_window(camera):
    camera(colour_frame("red"))
    sensor.set_windowing((64, 64))
    sensor.set_framesize(sensor.QVGA)
    assert sensor.snapshot().width() == 320


def test_snapshot_has_pixels_and_the_ai_plane_of_the_pixels(camera):
    camera(np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8))
    img = sensor.snapshot()
    plane = img.pix_ai.copy()
    img.pix_to_ai()
    assert np.array_equal(plane, img.pix_ai) and plane.shape == (3, 240, 320)


def test_snapshot_ai_option_rgb888_keeps_all_bits(camera):
    rgb = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    camera(rgb, ai="rgb888")
    assert np.array_equal(np.moveaxis(sensor.snapshot().pix_ai, 0, -1), rgb)


def test_a_picture_of_the_exact_size_is_used_without_scaling(camera):
    rgb = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    camera(rgb)
    assert np.array_equal(sensor.snapshot().pixels, pixels.rgb_to_565(rgb))


def test_a_picture_of_the_windows_size_is_used_without_scaling(camera):
    rgb = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    camera(rgb)
    sensor.set_windowing((224, 224))
    assert np.array_equal(sensor.snapshot().pixels, pixels.rgb_to_565(rgb))


def test_grayscale_snapshot(camera):
    camera(colour_frame((255, 0, 0)))
    sensor.set_pixformat(sensor.GRAYSCALE)
    img = sensor.snapshot()
    assert img.format() == sensor.GRAYSCALE and img[0] == 76 and img.pix_ai.shape == (1, 240, 320)


@pytest.mark.parametrize("policy, corner, middle", [("stretch", (255, 255, 255), (255, 255, 255)),
                                                    ("fit", (0, 0, 0), (255, 255, 255)),
                                                    ("crop", (255, 255, 255), (255, 255, 255))])
def test_scaling_policies(camera, policy, corner, middle):
    camera(colour_frame("white", (100, 100)), scaling=policy)
    img = sensor.snapshot()
    assert img.get_pixel(0, 0) == corner and img.get_pixel(160, 120) == middle


def test_mirror_and_flip_are_ignored_unless_asked_for(camera):
    left = np.zeros((240, 320, 3), np.uint8)
    left[:120, :160] = 255
    camera(left, left)
    sensor.set_hmirror(1)
    sensor.set_vflip(1)
    assert sensor.snapshot().get_pixel(0, 0) == (255, 255, 255)
    camera(left, mirror=True)
    assert sensor.set_hmirror(1) is None and sensor.set_vflip(1) is None
    img = sensor.snapshot()
    assert img.get_pixel(319, 239) == (255, 255, 255) and img.get_pixel(0, 0) == (0, 0, 0)


def test_run_starts_and_stops(camera):
    camera(colour_frame("red"), colour_frame("red"))
    assert sensor.run(0) is True
    with pytest.raises(RuntimeError, match="timed out"):
        sensor.snapshot()
    sensor.run(1)
    assert sensor.snapshot().width() == 320


def test_skip_frames_consumes_nothing(camera):
    camera(colour_frame("red"))
    assert sensor.skip_frames() is None
    sensor.skip_frames(30)
    sensor.skip_frames(time=2000)
    assert sensor.snapshot().get_pixel(0, 0) == (255, 0, 0)


def test_get_fb_is_the_last_snapshot(camera):
    camera(colour_frame("red"))
    assert sensor.get_fb() is None
    assert sensor.snapshot() is sensor.get_fb()


@pytest.mark.parametrize("name", ["shutdown", "flush", "sleep", "set_contrast", "set_brightness", "set_saturation",
                                  "set_gainceiling", "set_auto_gain", "set_auto_exposure", "set_auto_whitebal",
                                  "set_colorbar", "set_jb_quality", "__write_reg"])
def test_camera_settings_are_accepted(name):
    assert getattr(sensor, name)(1) is None


def test_get_id_and_read_reg():
    assert sensor.get_id() == 0 and getattr(sensor, "__read_reg")(0x12) == 0


def test_end_of_feed_is_a_system_exit_with_code_0(camera):
    board = camera(colour_frame("red"))
    sensor.snapshot()
    with pytest.raises(SystemExit) as stop:
        sensor.snapshot()
    assert stop.value.code == 0 and board.ended == "end of the camera feed" and board.counters.snapshots == 1


def test_frames_repeats_and_limits_the_feed(camera):
    board = camera(colour_frame("red"), colour_frame("blue"), frames=3)
    seen = [sensor.snapshot().get_pixel(0, 0)[0] for _ in range(3)]
    with pytest.raises(SystemExit):
        sensor.snapshot()
    assert seen == [255, 0, 255] and board.ended == "frame limit of 3 reached"


def test_synthetic_scene_is_deterministic_and_ends_by_default(make_board):
    make_board()
    sensor.reset()
    sensor.set_framesize(sensor.QVGA)
    first = [sensor.snapshot().pixels for _ in range(sensor.DEFAULT_FRAMES)]
    with pytest.raises(SystemExit):
        sensor.snapshot()
    make_board(camera="synthetic", frames=2)
    sensor.reset()
    assert np.array_equal(sensor.snapshot().pixels, first[0]) and not np.array_equal(first[0], first[1])


def test_a_second_reset_keeps_the_feeds_position(camera):
    camera(colour_frame("red"), colour_frame("blue"))
    sensor.snapshot()
    sensor.reset()
    assert sensor.snapshot().get_pixel(0, 0) == (0, 0, 255)


# --- feed ----------------------------------------


def numbers(source, **keywords):
    """Gray value of the first pixel of every picture."""
    opened, found = feed.Feed(source, **keywords), []
    while (picture := opened.next()) is not None and len(found) < 10:
        found.append(picture.convert("L").getpixel((0, 0)))
    return found


@pytest.fixture
def folder(tmp_path):
    for name, value in (("b.png", 20), ("a.jpg", 10), ("c.bmp", 30)):
        PillowImage.new("L", (8, 8), value).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_feed_of_a_file(folder):
    assert numbers(str(folder / "b.png")) == [20]


def test_feed_of_a_folder_is_sorted(folder):
    assert numbers(folder) == [10, 20, 30]


def test_feed_of_a_glob(folder):
    assert numbers(str(folder / "*.[bj][mp][pg]")) == [10, 30]


def test_feed_of_a_callable_gets_frame_numbers():
    assert numbers(lambda i: np.full((4, 4), i, np.uint8) if i < 3 else None) == [0, 1, 2]


def test_feed_repeats():
    assert numbers(lambda i: np.full((4, 4), i, np.uint8) if i < 2 else None, repeat=True)[:5] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("value", [np.zeros((4, 4), float), np.zeros((4, 4, 4), np.uint8)])
def test_feed_of_a_bad_array(value):
    with pytest.raises(InputError, match="uint8"):
        feed.Feed(lambda i: value).next()


def test_feed_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        feed.Feed(str(tmp_path / "nowhere"))


def test_feed_of_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no picture"):
        feed.Feed(tmp_path)


def test_feed_of_a_damaged_picture(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(InputError, match="x.png"):
        feed.Feed(tmp_path / "x.png").next()


def test_feed_of_a_video_without_decoder_names_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_bytes(b"0")
    original = builtins.__import__

    def without_av(name, *args, **keywords):
        if name == "av":
            raise ImportError
        return original(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(InputError, match="pip install av"):
        feed.Feed(tmp_path / "film.mp4").next()


def test_feed_of_a_video(tmp_path):
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in (40, 120, 200):
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    assert np.abs(np.subtract(numbers(tmp_path / "film.mp4"), [40, 120, 200])).max() < 12
