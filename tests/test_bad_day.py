# SPDX-License-Identifier: Apache-2.0
"""A bad day: strange files, full disks, closed streams, signals at the wrong moment, threads (docs/robustness.md)."""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openkpu import files, pictures
from openkpu.api.imaging import feed
from openkpu.cli import interruption
from openkpu.cli.main import run_cli
from openkpu.cli.terminal import printable
from openkpu.devices import build, guard
from openkpu.devices.backends import open_device
from openkpu.errors import DeviceError, InputError
from openkpu.files import read_file, write_file
from openkpu.flash import FLASH_BYTES, Flash
from openkpu.inputs import prepare_inputs
from openkpu.kmodel import load
from openkpu.runtime import Session

ROOT = Path(__file__).resolve().parents[1]
SMALL = ROOT / "tests" / "data" / "nncase_small"
MNIST = SMALL / "139_mini_mnist.kmodel"
DEMO = ROOT / "examples" / "demo"
SHAPES, PHOTO = DEMO / "shapes.kmodel", DEMO / "pictures" / "heldout_005.png"
ANSWER_SECONDS = 2.0


def openkpu(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "openkpu", *map(str, arguments)], text=True, timeout=120, check=False,
                          **{"capture_output": "stdout" not in options, **options})


def one_sentence(capsys) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("openkpu: "), lines
    return lines[0]


@pytest.fixture
def hurry(monkeypatch):
    """Pipes without anybody at the other end are given up sooner."""
    monkeypatch.setattr(files, "IDLE_SECONDS", 0.3)


# Outputs


def test_output_goes_through_a_symbolic_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("folder/new")
    for name in ("link", "dangling"):
        write_file(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink() and (tmp_path / name).read_bytes() == b"new"
    assert (tmp_path / "real").read_bytes() == (tmp_path / "folder" / "new").read_bytes() == b"new"


def test_output_goes_into_pipes_and_devices_and_leaves_them_there(tmp_path, hurry):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = random.Random(1).randbytes(300_000)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, data)
    reader.join()
    assert got == [data] and stat.S_ISFIFO(pipe.stat().st_mode)
    write_file(os.devnull, data)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with pytest.raises(OSError, match="nothing reads"):
        write_file(pipe, data)
    idle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="takes the data"):
        write_file(pipe, data)
    os.close(idle)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_device_is_an_error_and_stays_a_device(capsys, tmp_path):
    assert run_cli(["run", str(SHAPES), str(PHOTO), "--out", str(tmp_path), "--json", "/dev/full"]) == 5
    assert "No space left" in one_sentence(capsys)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_what_is_there_survives_a_failed_write(tmp_path, monkeypatch):
    file = tmp_path / "x"
    file.write_text("old")
    file.chmod(0o640)
    write_file(file, b"newer")
    assert file.read_bytes() == b"newer" and stat.S_IMODE(file.stat().st_mode) == 0o640
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError):
            write_file(file, b"newest")
    assert file.read_bytes() == b"newer" and os.listdir(tmp_path) == ["x"]
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path, b"")


def test_longest_file_name_can_be_written(tmp_path):
    write_file(tmp_path / ("n" * 255), b"1")
    assert len(os.listdir(tmp_path)) == 1


def test_output_into_the_redirected_standard_output_keeps_both(tmp_path):
    target = tmp_path / "all.txt"
    with target.open("w") as output:
        done = openkpu("run", SHAPES, PHOTO, "--out", tmp_path, "--json", "/dev/stdout", stdout=output,
                       stderr=subprocess.PIPE)
    assert done.returncode == 0
    text = target.read_text()
    assert text.startswith("{") and "M MAC" in text.partition("\n}\n")[2]


# Pictures


def grey16(bits: int = 16) -> np.ndarray:
    return (np.arange(28 * 28).reshape(28, 28) * ((1 << bits) - 1) // 783).astype(np.uint16)


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.pgm"])
def test_16_bit_grey_is_scaled(tmp_path, name):
    values = grey16()
    if name.endswith("pgm"):
        (tmp_path / name).write_bytes(b"P5 28 28 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / name)
    (prepared,) = prepare_inputs(load(MNIST), (tmp_path / name,), "stretch")
    np.testing.assert_array_equal(prepared.array[0, 0], (values >> 8).astype(np.uint8))
    taken = feed.Feed(str(tmp_path / name)).next()
    np.testing.assert_array_equal(np.asarray(taken.convert("L")), (values >> 8).astype(np.uint8))


@pytest.mark.parametrize("values", [np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8),
                                    np.arange(64, dtype=np.int32).reshape(8, 8)])
def test_values_that_are_no_brightness_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match="no brightness"):
        prepare_inputs(load(MNIST), (tmp_path / "x.tif",), "stretch")
    with pytest.raises(InputError, match="no brightness"):
        feed.Feed(str(tmp_path / "x.tif")).next()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_transparent_pictures_lie_on_white(mode):
    if mode in ("RGBA", "LA"):
        picture = Image.new(mode, (4, 4), (10, 20, 30, 0) if mode == "RGBA" else (10, 0))
        picture.putpixel((1, 1), (10, 20, 30, 255) if mode == "RGBA" else (10, 255))
        options = {}
    else:
        picture = Image.new(mode, (4, 4), {"P": 0, "RGB": (1, 2, 3), "L": 7}[mode])
        picture.putpixel((1, 1), {"P": 1, "RGB": (9, 9, 9), "L": 9}[mode])
        options = {"transparency": {"P": 0, "RGB": (1, 2, 3), "L": 7}[mode]}
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    decoded = np.asarray(pictures.decode(file.getvalue()).convert("RGB"))
    assert (decoded[0, 0] == 255).all() and not (decoded[1, 1] == 255).any()


@pytest.mark.parametrize("fit", ["stretch", "fit", "crop"])
@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (30_000, 2)])
def test_thin_picture_takes_little_memory(tmp_path, fit, size):
    Image.new("L", size, 200).save(tmp_path / "thin.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (prepared,) = prepare_inputs(load(SHAPES), (tmp_path / "thin.png",), fit)
    assert feed.fit(Image.open(tmp_path / "thin.png"), (320, 240), fit).size == (320, 240)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    if fit == "crop":
        assert (prepared.array == 200).all()
    left, top = prepared.to_picture(0, 0)
    right, bottom = prepared.to_picture(*prepared.array.shape[:1:-1])
    if fit != "fit":
        assert left >= -1e-6 and top >= -1e-6 and right <= size[0] + 1e-6 and bottom <= size[1] + 1e-6


def test_crop_takes_the_middle():
    picture = Image.new("L", (90, 30))
    picture.paste(255, (30, 0, 60, 30))
    result, scale, shift = pictures.fitted(picture, (15, 15), "crop")
    assert np.asarray(result)[:, 1:-1].min() == 255
    assert [(0 + s) * k for s, k in zip(shift, scale, strict=True)] == [30, 0]
    assert [(15 + s) * k for s, k in zip(shift, scale, strict=True)] == [60, 30]


def test_pixel_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1000)
    Image.new("1", (100, 11)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match="pixels"):
        prepare_inputs(load(MNIST), (tmp_path / "bomb.png",), "stretch")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError, match="pixels"):
        feed.Feed(str(tmp_path / "bomb.png")).next()


# Inputs


@pytest.mark.parametrize("arguments, code", [
    (["run", SHAPES, "{}"], 4), (["info", "{}"], 3), (["flash", "ls", "{}"], 2),
    (["flash", "build", "o.bin", "{}@0"], 2),
    (["run", SHAPES, PHOTO, "--labels", "{}"], 2), (["run", SHAPES, PHOTO, "--yolo2", "{}"], 2),
    (["script", "{}"], 2)])
@pytest.mark.parametrize("kind", ["pipe.png", "pipe.npy", "socket", "folder", "zeros"])
def test_what_is_no_file_ends_in_an_error_soon(tmp_path, monkeypatch, capsys, hurry, arguments, code, kind):
    monkeypatch.chdir(tmp_path)
    name = str(tmp_path / kind)
    if kind.startswith("pipe"):
        os.mkfifo(name)
    elif kind == "folder":
        os.mkdir(name)
    elif kind == "zeros":
        name = "/dev/zero"
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("socket")
    begin = time.monotonic()
    assert run_cli([str(a).format(name) for a in arguments]) == code
    assert time.monotonic() - begin < 30
    error = capsys.readouterr().err
    assert "Traceback" not in error and "fault in OpenKPU" not in error


def test_camera_folder_with_a_pipe_ends_in_an_error(tmp_path, hurry):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="nothing came"):
        feed.Feed(str(tmp_path)).next()


def test_pipe_that_somebody_writes_to_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (time.sleep(0.3), (tmp_path / "pipe").write_bytes(b"x" * 100_000)))
    writer.start()
    assert read_file(tmp_path / "pipe", 100_000) == b"x" * 100_000
    writer.join()
    (tmp_path / "file").write_bytes(bytes(11))
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_file(tmp_path / "file", 10)


def npy(header: str, version: int = 1) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


@pytest.mark.parametrize("content", [
    npy("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 400 + ",)}"),
    npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-5,)}"),
    npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1e3,)}"),
    npy("{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 900 + ")" * 900 + "}"),
    npy("{'descr': " + "[" * 9000 + "}", 2), npy("(" * 60_000, 2), npy("-" * 9000 + "1", 3),
    npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
    npy("{'descr': '|V9999999999', 'fortran_order': False, 'shape': (9,)}"),
    npy("{'descr': 'f4', 'fortran_order': False, 'shape': (1, 1" + ", 1" * 80 + ")}")])
def test_strange_array_header_is_one_sentence(tmp_path, capsys, content):
    (tmp_path / "x.npy").write_bytes(content)
    assert run_cli(["run", str(MNIST), str(tmp_path / "x.npy"), "--out", str(tmp_path)]) == 4
    assert "x.npy" in one_sentence(capsys)


DIGITS = "9" * 5000


@pytest.mark.parametrize("arguments, code", [
    (["info", MNIST, "--address", DIGITS], 3), (["dump", MNIST, "x.png", "--layer", DIGITS], 2),
    (["flash", "build", "o.bin", f"{MNIST}@{DIGITS}"], 2), (["flash", "build", "o.bin", f"{MNIST}@0x{'f' * 5000}"], 2),
    (["flash", "extract", MNIST, DIGITS, "o"], 2), (["flash", "extract", MNIST, "0", "o", "--size", DIGITS], 2),
    (["flash", "extract", MNIST, "0", "o", "--size", "-1"], 2), (["run", MNIST, "x.png", "--yolo2", DIGITS], 2),
    (["script", "x.py", "--key", DIGITS], 2), (["script", "x.py", "--frames", DIGITS], 2),
    *((["run", MNIST, "x.png", option, value], 2) for option in ("--threshold", "--nms")
      for value in ("nan", "NaN", "inf", "-inf", "1e999", "-0.1", "1.1", "", "0,5"))])
def test_impossible_numbers_are_refused(tmp_path, monkeypatch, capsys, arguments, code):
    monkeypatch.chdir(tmp_path)
    assert run_cli([str(a) for a in arguments]) == code
    error = capsys.readouterr().err
    assert "Traceback" not in error and len(error) < 3000


@pytest.mark.parametrize("content, says", [
    (b"x" * 30_000_000, "1 MiB"), (b"ok\n" + b"y" * 5000, "line 2"), (b"caf\xe9", "UTF-8")])
def test_labels_that_are_none_are_refused(tmp_path, capsys, content, says):
    (tmp_path / "l").write_bytes(content)
    assert run_cli(["run", str(SHAPES), str(PHOTO), "--labels", str(tmp_path / "l"), "--out", str(tmp_path)]) == 2
    assert says in one_sentence(capsys)


def test_nothing_printed_can_command_the_terminal(tmp_path, capsys):
    (tmp_path / "l").write_text("\n".join(f"\x1b[31m\x9b1m\x07name{i}\u202e" for i in range(20)))
    bad = tmp_path / "m\x1b]0;x\x07.kmodel"
    bad.write_bytes(SHAPES.read_bytes())
    assert run_cli(["run", str(bad), str(PHOTO), "--yolo2", str(DEMO / "anchors.txt"), "--labels", str(tmp_path / "l"),
                    "--threshold", "0.1", "--out", str(tmp_path)]) == 0
    assert run_cli(["info", str(bad) + "x"]) == 3
    assert run_cli(["info", str(bad), "\x1b[2J"]) == 2
    printed = "".join(capsys.readouterr())
    assert "name" in printed and not set(printed) & set("\x1b\x9b\x07\u202e")
    assert printable("a\tb\udc80\n") == "a\\tb\\udc80\n"


# Flash images


@pytest.mark.parametrize("offset", [0, 0x1000, 0x12345, FLASH_BYTES - SHAPES.stat().st_size])
def test_flash_ls_finds_what_flash_build_has_burnt(tmp_path, capsys, offset):
    image = tmp_path / "i.bin"
    assert run_cli(["flash", "build", str(image), f"{SHAPES}@{offset:#x}", f"{MNIST}@0x700003"]) == 0
    capsys.readouterr()
    assert run_cli(["flash", "ls", str(image)]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert listed == sorted([f"{offset:#x}", "0x700003"], key=lambda text: int(text, 0))
    assert run_cli(["flash", "extract", str(image), "0x700003", str(tmp_path / "m")]) == 0
    assert (tmp_path / "m").read_bytes() == MNIST.read_bytes()


def test_searching_a_flash_full_of_headers_is_quick_and_tells_how_far_it_is():
    flash = Flash()
    words = np.zeros(FLASH_BYTES // 4, "<u4")
    words[::2] = 3
    flash.burn(0, words.tobytes(), "headers")
    seen = []
    begin = time.monotonic()
    flash.models(lambda offset: seen.append(offset) or (len(seen) > 20_000 and (_ for _ in ()).throw(StopIteration)))
    assert seen == sorted(seen) and time.monotonic() - begin < 60


# Streams


@pytest.mark.parametrize("redirection, code", [
    ("info M >&-", 5), ("info M >/dev/full", 5), ("--help >&-", 5), ("info nothing 2>&-", 3),
    ("info nothing 2>/dev/full", 3),
    ("info M <&-", 0), ("run M P --out O >&- 2>&- <&-", 5)])
def test_streams_that_are_closed_or_full_do_no_harm(tmp_path, redirection, code):
    command = f'"{sys.executable}" -m openkpu ' + redirection.replace("M", f"'{SHAPES}'").replace(
        "P", f"'{PHOTO}'").replace("O", f"'{tmp_path / 'o'}'")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code and "Traceback" not in done.stderr and "ignored" not in done.stderr
    if "run" in redirection:
        assert np.load(tmp_path / "o" / "out_0.npy").dtype == np.float32, "nothing printed went into the file"


def test_everything_is_written_although_the_reader_has_gone(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = openkpu("run", SHAPES, PHOTO, "--out", tmp_path, "--yolo2", DEMO / "anchors.txt", stdout=write,
                   stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
    assert sorted(os.listdir(tmp_path)) == ["annotated.png", "out_0.npy"]


def test_labels_that_the_locale_does_not_have_are_no_error(tmp_path):
    (tmp_path / "l").write_text("\n".join(f"caf\u00e9{i}" for i in range(20)), encoding="utf-8")
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = openkpu("run", SHAPES, PHOTO, "--out", tmp_path, "--yolo2", DEMO / "anchors.txt", "--labels", tmp_path / "l",
                   "--threshold", "0.1", env=environment)
    assert (done.returncode, done.stderr) == (0, "") and "caf" in done.stdout


@pytest.mark.parametrize("error, code", [(MemoryError(), 5), (RecursionError("deep"), 1), (KeyError("x"), 1),
                                         (KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 5)])
def test_any_error_is_one_sentence(monkeypatch, capsys, error, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("openkpu.kmodel.load", fail)
    assert run_cli(["info", str(MNIST)]) == code
    one_sentence(capsys)


# Signals


def catches(process: subprocess.Popen, number: int) -> bool:
    """Whether the command has got so far that it handles the signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def interrupt(command: list[str], after, number: int, later: float = 0, **options) -> tuple[int, float, str]:
    """Start a command, send a signal ``later`` seconds after ``after(process)`` is true.

    Gives exit code, seconds to the end, standard error.
    """
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          **options) as process:
        for _ in range(3000):
            if after(process) or process.poll() is not None:
                break
            time.sleep(0.02)
        time.sleep(later)
        begin = time.monotonic()
        process.send_signal(number)
        process.wait(timeout=60)
        seconds = time.monotonic() - begin
        return process.returncode, seconds, process.communicate(timeout=60)[1]


SCRIPTS = {
    "sleeps": "import time\nopen('/sd/ready', 'w').close()\ntime.sleep(100)\n",
    "counts": "open('/sd/ready', 'w').close()\nwhile True:\n    pass\n",
    "swallows": "import time\nopen('/sd/ready', 'w').close()\nwhile True:\n    try:\n        time.sleep(0.1)\n"
                "    except:\n        pass\n",
    "handles": "import time\nopen('/sd/ready', 'w').close()\ntry:\n    time.sleep(100)\nexcept KeyboardInterrupt:\n"
               "    pass\n",
    "computes": "import numpy\nopen('/sd/ready', 'w').close()\nnumpy.linalg.svd(numpy.random.rand(3000, 3000))\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_script_ends_with_130_whatever_it_does(tmp_path, name, number):
    (tmp_path / "main.py").write_text(SCRIPTS[name])
    code, seconds, error = interrupt(["-m", "openkpu", "script", "main.py", "--lcd", "lcd"],
                                     lambda _: (tmp_path / "ready").exists(), number, cwd=tmp_path)
    assert code == 130 and "Traceback" not in error
    assert seconds < ANSWER_SECONDS + 2, "with a busy machine's allowance"


def test_signal_at_any_moment_ends_with_130_and_no_half_file(tmp_path):
    rng = random.Random(7)
    command = ["-m", "openkpu", "run", str(SHAPES), str(PHOTO), "--out", str(tmp_path / "o")]
    for n in range(6):
        code, seconds, error = interrupt(command, lambda process: catches(process, signal.SIGTERM),
                                         (signal.SIGTERM, signal.SIGINT)[n % 2], later=rng.uniform(0, 2))
        assert code in (0, 130) and "Traceback" not in error, error
        assert seconds < ANSWER_SECONDS + 2
        assert not list(tmp_path.glob("o/.*"))


@pytest.mark.slow
def test_twenty_sigterms_in_whatever_command_are_answered_in_time(tmp_path):
    """Functional and simulated runs, a simulator's build, compiling, evaluating, flash images: at random moments."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    annotations, boxes = DEMO / "annotations.json", ["--yolo2", DEMO / "anchors.txt", "--labels", DEMO / "labels.txt"]
    commands = [
        ["run", SHAPES, PHOTO, "--out", tmp_path / "functional"],
        ["run", SHAPES, PHOTO, "--backend", "rtl", "--out", tmp_path / "rtl"],
        ["compare", SHAPES, PHOTO],
        ["profile", SHAPES],
        ["dump", SHAPES, PHOTO, "--layer", "4", "--out", tmp_path / "dump"],
        ["eval", SHAPES, annotations, *boxes, "--jobs", "1", "--results", tmp_path / "eval.csv"],
        ["flash", "build", tmp_path / "flash.bin", f"{DEMO / 'shapes_v3.kmodel'}@0x300000"],
    ]
    answers = []
    for n in range(20):
        command = commands[n % len(commands)]
        # Every second simulator is not there yet.
        empty = {"XDG_CACHE_HOME": str(tmp_path / f"cache{n}")} if n % 2 else {}
        code, seconds, error = interrupt(["-m", "openkpu", *map(str, command)],
                                         lambda process: catches(process, signal.SIGTERM), signal.SIGTERM,
                                         later=rng.uniform(0, 4), cwd=tmp_path, env=os.environ | empty)
        answers.append((command[0], code, round(seconds, 2)))
        assert code in (0, 130) and "Traceback" not in error, (answers, error)
        assert seconds < ANSWER_SECONDS, answers
        assert not [path for path in tmp_path.rglob(".*") if path.is_file()], "half a file is left"
    assert sum(code == 130 for _, code, _ in answers) > 5, answers


def test_code_that_cannot_be_interrupted_is_ended(tmp_path):
    program = ("from openkpu.cli import interruption\ninterruption.install()\nimport ctypes\n"
               "print('ready', flush=True)\nctypes.CDLL(None).system(b'sleep 8')\n")
    code, seconds, error = interrupt(["-c", program], lambda p: p.stdout.readline(), signal.SIGTERM, later=1)
    assert (code, error) == (130, "openkpu: interrupted\n") and seconds < ANSWER_SECONDS + 2
    assert interruption.PATIENCE < ANSWER_SECONDS


def test_guarded_command_does_not_outlive_its_caller_however_that_dies(tmp_path):
    program = ("import os, subprocess, time\nfrom openkpu.devices import guard\n"
               f"command = ['sh', '-c', 'echo $$ > {tmp_path}/pid; sleep 100 & wait']\n"
               "guard.start(command, os.environ, subprocess.DEVNULL)\ntime.sleep(100)\n")
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        (tmp_path / "pid").unlink(missing_ok=True)
        interrupt(["-c", program], lambda _: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), number)
        pid = int((tmp_path / "pid").read_text())
        for _ in range(100):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"the command lives on after signal {number}")


def test_guard_ends_what_it_runs():
    job = guard.start(["sleep", "100"], os.environ, subprocess.DEVNULL)
    begin = time.monotonic()
    guard.end(job)
    assert job.returncode is not None and time.monotonic() - begin < ANSWER_SECONDS
    job = guard.start(["sh", "-c", "exit 3"], os.environ, subprocess.DEVNULL)
    guard.end(job, patience=30)
    assert job.returncode == 3


# The cache of built simulators


@pytest.mark.parametrize("damage", [b"", b"short", b"\x7fELF" + bytes(5000)])
def test_library_that_is_not_as_it_was_built_is_built_again(tmp_path, damage):
    file = tmp_path / "lib.so"
    assert not build.is_sealed(file)
    file.write_bytes(bytes(9000))
    assert not build.is_sealed(file), "the build was killed before it had finished"
    build.seal(file)
    assert build.is_sealed(file)
    file.write_bytes(damage)
    assert not build.is_sealed(file)
    file.write_bytes(bytes(9000))
    assert build.is_sealed(file)
    (tmp_path / "lib.so.sha256").write_bytes(b"\xff\0")
    assert not build.is_sealed(file)


def test_only_one_process_builds_at_a_time(tmp_path):
    program = ("import sys, time\nfrom pathlib import Path\nfrom openkpu.devices.build import only_builder\n"
               "folder = Path(sys.argv[1])\nwith only_builder(folder):\n    assert not (folder / 'busy').exists()\n"
               "    (folder / 'busy').touch()\n    time.sleep(0.5)\n    (folder / 'busy').unlink()\n")
    jobs = [subprocess.Popen([sys.executable, "-c", program, tmp_path]) for _ in range(3)]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0, 0]


def test_cache_that_cannot_be_used_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert run_cli(["run", str(SHAPES), str(PHOTO), "--backend", "rtl", "--out", str(tmp_path)]) == 5
    assert "XDG_CACHE_HOME" in one_sentence(capsys)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(DeviceError, match="XDG_CACHE_HOME"):
        build.cache_folder()


# Threads


def test_threads_may_share_a_session_and_a_device():
    model = load(MNIST)
    data = np.load(SMALL / "139_mini_mnist.npz")["x0"]
    device = open_device("functional")
    sessions = [Session(model, device), Session(load(SMALL / "131_resblock2.kmodel"), device)]
    inputs = [[data], [np.random.default_rng(1).integers(0, 256, (1, 3, 28, 28), np.uint8)]]
    expected = [session.run(x)[0] for session, x in zip(sessions, inputs, strict=True)]
    wrong = []

    def work(n: int) -> None:
        for _ in range(10):
            got = sessions[n % 2].run(inputs[n % 2])[0]
            if not np.array_equal(got, expected[n % 2]):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_interrupted_run_leaves_a_session_that_runs_right():
    session = Session(load(MNIST), open_device("functional"))
    data = np.load(SMALL / "139_mini_mnist.npz")["x0"]
    expected = session.run([data])[0]

    class Stop:
        def layer_started(self, layer):
            pass

        def layer_done(self, result, output):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run([data], hooks=(Stop(),))
    np.testing.assert_array_equal(session.run([data])[0], expected)


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_build_of_the_cocotb_back_end_leaves_nothing_running(tmp_path, number):
    pytest.importorskip("cocotb")

    def building() -> list[str]:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
        return [line for line in listed if str(tmp_path) in line and ("make" in line or "verilator" in line)]

    code, seconds, error = interrupt(["-m", "openkpu", "run", str(SHAPES), str(PHOTO), "--backend", "cocotb", "--out",
                                      str(tmp_path)], lambda _: building(), number,
                                     env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)})
    assert code == 130 and seconds < ANSWER_SECONDS + 2, error
    for _ in range(20):
        if not building():
            return
        time.sleep(0.1)
    raise AssertionError(building())
