# SPDX-License-Identifier: Apache-2.0
"""``openkpu script`` (spec/driver-api.md section 3.1): unmodified scripts, end of feed, summary, exit codes."""

import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image as PillowImage

from openkpu.api import runner
from openkpu.api.board.board import Board, use_board
from openkpu.cli.main import run_cli
from openkpu.cli.script import summary
from openkpu.errors import UsageError

from .conftest import ANCHORS, DEMO, REPO

LOOP = """
import sensor, lcd
lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)
while True:
    lcd.display(sensor.snapshot())
"""


@pytest.fixture
def script(tmp_path, capsys):
    """Function that runs a script text through the command line; gives (exit code, stdout, stderr)."""
    def run(text, *options):
        (tmp_path / "main.py").write_text(text)
        capsys.readouterr()
        code = run_cli(["script", str(tmp_path / "main.py"), "--lcd", str(tmp_path / "lcd"), *map(str, options)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run
    use_board(Board())


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        PillowImage.new("RGB", (320, 240), (i * 100, 0, 0)).save(folder / f"{i}.png")
    return folder


def frames(tmp_path):
    return sorted(p.name for p in (tmp_path / "lcd").glob("*.png"))


# --- feed and summary ------------------------------------------


def test_an_endless_loop_ends_with_the_feed(script, pictures, tmp_path):
    code, _, err = script(LOOP, "--camera", pictures)
    assert code == 0 and frames(tmp_path) == [f"frame_{i:06d}.png" for i in range(3)]
    assert "ended by:         end of the camera feed" in err and "frames:           3 taken, 3 shown" in err
    assert f"3 in {tmp_path / 'lcd'} (frame_000000.png ... frame_000002.png)" in err


def test_frames_option_repeats_the_feed(script, pictures, tmp_path):
    code, _, err = script(LOOP, "--camera", pictures, "--frames", 5)
    assert code == 0 and len(frames(tmp_path)) == 5 and "frame limit of 5 reached" in err


def test_without_camera_a_synthetic_scene_of_ten_frames(script, tmp_path):
    assert script(LOOP)[0] == 0 and len(frames(tmp_path)) == 10


def test_old_frames_are_removed_and_other_files_kept(script, pictures, tmp_path):
    script(LOOP, "--frames", 5)
    (tmp_path / "lcd" / "frame_notes.png").write_bytes(b"mine")
    script(LOOP, "--camera", pictures)
    assert frames(tmp_path) == [f"frame_{i:06d}.png" for i in range(3)] + ["frame_notes.png"]


def test_lcd_last_keeps_one_frame(script, pictures, tmp_path):
    script(LOOP, "--camera", pictures, "--lcd-last")
    assert frames(tmp_path) == ["frame_000000.png"]
    assert np.asarray(PillowImage.open(tmp_path / "lcd/frame_000000.png"))[0, 0, 0] > 190


def test_finally_runs_and_except_exception_does_not_catch_the_end(script, pictures):
    code, out, _ = script(LOOP.replace("while True:\n    lcd.display(sensor.snapshot())", """
try:
    while True:
        try:
            lcd.display(sensor.snapshot())
        except Exception:
            print("swallowed")
finally:
    print("finally")
"""), "--camera", pictures)
    assert code == 0 and out == "finally\n"


def test_a_script_that_catches_everything_is_ended_all_the_same(tmp_path, pictures):
    (tmp_path / "main.py").write_text(LOOP.replace("    lcd.display(sensor.snapshot())", """    try:
        lcd.display(sensor.snapshot())
    except:
        pass
"""))
    done = subprocess.run([sys.executable, "-m", "openkpu", "script", "main.py", "--camera", str(pictures)],
                          cwd=tmp_path, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(REPO)})
    assert done.returncode == 0 and "catches SystemExit, or is blocked" in done.stderr and "3 taken" in done.stderr


def test_environment_variables_set_the_defaults(script, monkeypatch):
    monkeypatch.setenv("K210_COMPAT", "strict")
    text = "from maix import KPU\ntry:\n    KPU.Act.softmax([1.0, 2.0])\nexcept ValueError as error:\n    print(error)"
    assert "minimum size" in script(text)[1] and script(text, "--compat", "friendly")[1] == ""


def test_a_loop_that_only_displays_ends(script, monkeypatch):
    monkeypatch.setattr("openkpu.api.board.board.DISPLAY_ONLY_LIMIT", 20)
    code, _, err = script("import lcd, image\nlcd.init()\nwhile True:\n    lcd.display(image.Image())\n")
    assert code == 0 and "without taking a picture" in err
    _, _, err = script("import lcd, image\nlcd.init()\nwhile True: lcd.display(image.Image())", "--frames", 4)
    assert "20 shown" in err  # frames are camera frames


def test_summary_counts_detections_and_inferences(script, demo_v3):
    code, out, err = script(f"""
import KPU as kpu, sensor
sensor.reset()
sensor.set_framesize(sensor.QVGA)
net = kpu.load(0x300000)
kpu.init_yolo2(net, 0.5, 0.3, 5, {ANCHORS})
count = 0
while True:
    count += len(kpu.run_yolo2(net, sensor.snapshot()) or [])
    print(count)
""", "--flash", f"{demo_v3}@0x300000", "--camera", DEMO / "pictures", "--frames", 2)
    assert code == 0 and "inferences:       2" in err
    assert f"detections:       {out.split()[-1]}\n" in err and int(out.split()[-1]) > 0
    assert "not counted by the functional back end" in err


def test_summary_shows_cycles_per_frame_when_counted(make_board):
    board = make_board()
    board.on_snapshot()
    board.on_snapshot()
    board.count_run(1_000_000)
    board.count_run(500_000)
    assert "cycles per frame: 750,000" in summary(board, "end")


# --- environment of the script -----------------------------------------------------------------------------


def test_globals_os_sys_time_are_preset_and_name_is_main(script):
    code, out, _ = script("print(__name__, os.sep, sys.argv[0][-7:], time.ticks_ms() >= 0)")
    assert (code, out) == (0, "__main__ / main.py True\n")


def test_working_folder_is_sd_and_relative_files_are_found(script, tmp_path):
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "labels.txt").write_text("a b")
    (tmp_path / "card" / "helper.py").write_text("value = 42")
    code, out, _ = script("""
import helper
print(open("labels.txt").read(), open("/sd/labels.txt").read(), helper.value)
open("/sd/new.txt", "w").write("x")
""", "--sd", tmp_path / "card")
    assert (code, out) == (0, "a b a b 42\n") and (tmp_path / "card" / "new.txt").read_text() == "x"


def test_flash_folder(script, tmp_path):
    (tmp_path / "internal").mkdir()
    (tmp_path / "internal" / "a.txt").write_text("internal")
    assert script('print(open("/flash/a.txt").read())', "--fs", tmp_path / "internal")[1] == "internal\n"


def test_device_modules_do_not_stay(script):
    before, folder = set(sys.modules), os.getcwd()
    script("import sensor, image, lcd, KPU, Maix, maix, uos, machine, fpioa_manager\nfrom board import board_info")
    assert not {"sensor", "lcd", "KPU", "Maix", "maix", "board"} & (set(sys.modules) - before)
    assert os.getcwd() == folder and open.__module__ in ("io", "_io")


def test_sockets_fit_the_ssl_that_is_loaded_already(script, monkeypatch):
    import socket
    import ssl
    monkeypatch.delitem(sys.modules, "openkpu.api.peripherals.sockets", raising=False)
    for _ in range(2):
        code, out, _ = script("import usocket, network, ussl, socket\nprint(usocket.socket.__name__, socket.AF_INET)")
        assert (code, out) == (0, "socket 2\n")
    assert sys.modules["socket"] is socket and ssl.SSLSocket.__mro__[1] is socket.socket


def test_camera_path_is_relative_to_the_callers_folder(script, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert script(LOOP, "--camera", "pictures")[0] == 0 and len(frames(tmp_path)) == 3


def test_keys_press_the_boot_key(script):
    code, out, _ = script("""
import sensor
from Maix import GPIO
from fpioa_manager import fm
from board import board_info
fm.register(board_info.BOOT_KEY, fm.fpioa.GPIOHS0)
key = GPIO(GPIO.GPIOHS0, GPIO.IN)
sensor.reset()
while True:
    sensor.snapshot()
    print(key.value(), end="")
""", "--frames", 4, "--key", "2:1")
    assert (code, out[:3]) == (0, "110")


def test_clock_chip_and_no_sleep(script, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    text = "import time\ntime.sleep_ms(60000)\ntime.sleep(60)\nprint(time.ticks_ms())"
    _, out, _ = script(text, "--no-sleep", "--clock", "chip")
    assert out == "120000\n" and not slept  # skipped sleeps move the clock on


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, code, message", [
    ("import KPU\nKPU.load(0x300000)", 3, "main.py, line 2: KPULoadError: .*nothing is burnt"),
    ("import sensor, KPU\nx = 1\nx = 1 / 0", 1, "main.py, line 3: ZeroDivisionError"),
    ("while True:\n    x = 1\n  y = 2", 1, "main.py, line 3: IndentationError"),
    ("from maix import KPU\nKPU().run_with_output(1)", 5, "main.py, line 2: KPURunError: .*load_kmodel"),
    ("import lvgl\nlvgl.init()", 2, "lvgl.init is not simulated"),
    ("import sensor\nsensor.reset()", 4, "camera source /nowhere"),
])
def test_errors_are_one_line_with_the_scripts_line_and_an_exit_code(script, text, code, message):
    found, _, err = script(text, "--camera", "/nowhere") if code == 4 else script(text)
    (line,) = [part for part in err.splitlines() if part.startswith("openkpu:")]
    assert found == code and re.search(message, line), (found, err)
    assert "Traceback" not in err


def test_wrong_image_size_is_exit_code_4(script, demo_v3):
    code, _, err = script("""
import KPU as kpu, image
net = kpu.load(0x300000)
img = image.Image(size=(10, 10))
img.pix_to_ai()
kpu.forward(net, img)
""", "--flash", f"{demo_v3}@0x300000")
    assert code == 4 and "10x10" in err and "320x240" in err


def test_debug_prints_the_trace(script):
    assert "Traceback" in script("1 / 0", "--debug")[2]


def test_sys_exit_of_the_script_is_its_exit_code(script):
    assert script("import sys\nsys.exit(7)")[0] == 7 and script("raise SystemExit")[0] == 0


@pytest.mark.parametrize("options", [["--key", "soon"], ["--flash", "/nowhere.bin@0"], ["--sd", "/nowhere"],
                                     ["--frames", "0"], ["--scaling", "zoom"]])
def test_wrong_options_are_exit_code_2(script, options):
    assert script("pass", *options)[0] == 2


def test_missing_script_is_exit_code_2():
    assert run_cli(["script", "/nowhere/main.py"]) == 2


def test_window_without_a_display_is_a_clear_error(script, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    code, _, err = script("import lcd, image\nlcd.init()\nlcd.display(image.Image())", "--window")
    assert code == 2 and "without" in err and ("display" in err or "tkinter" in err)


def test_run_script_of_a_library_user_keeps_the_board_open(make_board, demo_v3, tmp_path):
    board = make_board(f"{demo_v3}@0x300000")
    (tmp_path / "a.py").write_text("import KPU\nnet = KPU.load(0x300000)\nprint(net)")
    outcome = runner.run_script(tmp_path / "a.py", board)
    assert outcome.exit_code == 0 and outcome.reason == "end of the script"
    with pytest.raises(UsageError):
        runner.run_script(tmp_path / "missing.py", board)


def test_scripts_are_read_as_micropython_reads_them(tmp_path, capsys):
    text = ('# \u4e2d\u6587\nimport _thread, other\ndate = (2024, 01, 05)\nif date:\n\tfirst = "tab"\n'
            '        second = "eight"\nprint(date, first, second, other.both, bytearray("s") == b"s")\n'
            '_thread.stack_size(4 * 1024)\n_thread.start_new_thread(print, ["worker"])\ntime.sleep_ms(200)\n')
    (tmp_path / "other.py").write_bytes("both = 007\n# \u4e2d\u6587\n".encode("gb18030"))
    (tmp_path / "main.py").write_bytes(text.encode("gb18030"))
    assert run_cli(["script", str(tmp_path / "main.py"), "--lcd", str(tmp_path / "lcd")]) == 0
    out = capsys.readouterr().out
    assert "(2024, 1, 5) tab eight 7 True\n" in out and "worker" in out
    use_board(Board())


def test_a_real_mistake_keeps_its_line(script):
    code, _, err = script("if 1:\n\tx = 1\n        y = 01\nz = (\n")
    assert code == 1 and "main.py, line 4: SyntaxError" in err
