# SPDX-License-Identifier: Apache-2.0
"""The code of the two public API documents, taken from the documents themselves, under ``openkpu script``'s runner.

The documents, the vendors' face models and the pictures are third-party data in the shared folder; without it these
tests are skipped. Every script runs on every back end, and the results must be those of the functional one.
"""

import re

import numpy as np
import pytest
from PIL import Image as PillowImage

from openkpu.api.board.board import Board, use_board
from openkpu.api.canmv.kpu import KPU
from openkpu.api.imaging.image import Image
from openkpu.api.runner import run_script

from .conftest import backends, shared_file

FACE = "kmodels/face_model_at_0x300000.kfpkg"
FACE_27, FACE_37 = "images/face_27.jpg", "images/face_37.jpg"
FACE_ANCHORS = "(1.889, 2.5245, 2.9465, 3.94056, 3.99987, 5.3658, 5.155437, 6.92275, 6.718375, 9.01025)"

pytestmark = pytest.mark.parametrize("backend", backends())


def maixpy_document() -> str:
    return shared_file("documents/maixpy-kpu.txt").read_text()


def feature_map_routine() -> str:
    """The document's routine; its last two lines lack the loop's indentation."""
    text = maixpy_document()
    begin = text.index("import sensor\nimport image")
    end = text.index("kpu.fmap_free(fmap)", begin) + len("kpu.fmap_free(fmap)")
    *body, display, free = text[begin:end].split("\n")
    assert display == "lcd.display(img_lcd)" and free == "   kpu.fmap_free(fmap)"
    return "\n".join([*body, "    " + display, "    " + free.strip()])


def snippets() -> list[str]:
    """The document's code blocks that begin with ``import KPU as kpu``, without the routine."""
    statement = r"(?:import|task|anchor|kpu|del|gc|img|fmap|\.\.\.).*\n?"
    blocks = re.findall(rf"^import KPU as kpu\n(?:{statement})+", maixpy_document(), re.M)
    return [b for b in blocks if "index=3" not in b]


@pytest.fixture
def run(make_board, tmp_path, capsys):
    """Function that runs a script text on a back end; gives (board, stdout, frames as arrays)."""
    def run(text, backend, camera=(), **settings):
        script = tmp_path / "main.py"
        script.write_text(text)
        folder = tmp_path / f"lcd_{backend}"
        pictures = [str(shared_file(name)) for name in camera]

        def feed(i):
            return PillowImage.open(pictures[i]).convert("RGB") if i < len(pictures) else None

        board = make_board(shared_file(FACE), backend=backend, lcd=folder,
                           camera=feed if pictures else None, **settings)
        capsys.readouterr()
        outcome = run_script(script, board)
        assert outcome.exit_code == 0, outcome.reason
        frames = [np.asarray(PillowImage.open(p)) for p in sorted(folder.glob("frame_*.png"))]
        board.close()
        assert not board.nets
        return board, capsys.readouterr().out, frames

    yield run
    use_board(Board())


def test_feature_map_routine_shows_a_mosaic_of_sixteen_maps(run, backend):
    board, out, (frame,) = run(feature_map_routine(), backend, [FACE_37])
    assert board.counters.snapshots == 1 and "layer[23]: KL_DEQUANTIZE, 24 bytes" in out
    tiles = frame.reshape(4, 60, 4, 80, 3).swapaxes(1, 2).reshape(16, 60, 80, 3)
    assert np.ptp(frame.astype(int), axis=2).max() <= 8, "a gray map is drawn gray"
    assert sum(np.ptp(tile.astype(int)) > 50 for tile in tiles) >= 10
    assert len({tile.tobytes() for tile in tiles}) > 10
    if backend != "functional":
        assert np.array_equal(frame, run(feature_map_routine(), "functional", [FACE_37])[2][0])


def test_feature_map_routine_as_printed_is_an_indentation_error(backend):
    text = maixpy_document()
    begin = text.index("import sensor\nimport image")
    with pytest.raises(IndentationError):
        compile(text[begin:text.index("Module method")], "document", "exec")


def test_the_document_has_five_snippets(backend):
    assert len(snippets()) == 5


def test_init_yolo2_snippet(run, backend):
    (text,) = [s for s in snippets() if "init_yolo2" in s and "run_yolo2" not in s]
    _, out, _ = run(text + "\nprint(task.net_arg())", backend)
    assert out.startswith('{"threshold":0.500000, "nms_value":0.300000, "anchor_number":5, "anchor":"(1.889000, ')


def test_deinit_snippets(run, backend):
    first, second = [s for s in snippets() if "gc.collect()" in s]
    assert "kpu.deinit(task)" in first and "deinit" not in second
    for text in (first, second):
        _, out, _ = run("import KPU\nKPU.memtest()\n" + text + "\nKPU.memtest()", backend)
        assert out.split("\r\n")[1] == out.split("\r\n")[3] == "###free sys heap memory: 6144 KB"


def test_run_yolo2_snippet_with_a_blank_image(run, backend):
    """The document calls it wrong: a blank image has no AI plane. Here it is made, and nothing is found in black."""
    (text,) = [s for s in snippets() if "run_yolo2" in s]
    _, out, _ = run("offset = 0x300000\n" + text.replace("kpu.run_yolo2", "print(kpu.run_yolo2").replace(
        "(task, img) #", "(task, img)) #"), backend)
    assert out == "None\n"


def test_forward_snippet(run, backend):
    (text,) = [s for s in snippets() if "fmap=kpu.forward(task,img, 3)" in s]
    prepared = text.replace("...", "import sensor\nsensor.reset()\nsensor.set_framesize(sensor.QVGA)\n"
                                   "img = sensor.snapshot()")
    script = "offset = 0x300000\n" + prepared + "\nimport zlib\nprint(fmap.w(), fmap.h(), fmap.ch(), zlib.crc32(fmap))"
    _, out, _ = run(script, backend, [FACE_37])
    assert out.startswith("80 60 32 ")
    if backend != "functional":
        assert out == run(script, "functional", [FACE_37])[1]


FACE_FIND = f"""
import sensor, image, lcd
import KPU as kpu
lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)
sensor.run(1)
task = kpu.load(0x300000)
anchor = {FACE_ANCHORS}
a = kpu.init_yolo2(task, 0.5, 0.3, 5, anchor)
while True:
    img = sensor.snapshot()
    code = kpu.run_yolo2(task, img)
    if code:
        for i in code:
            print(i)
            a = img.draw_rectangle(i.rect())
    lcd.display(img)
"""


def test_face_detection_finds_one_face_in_each_portrait(run, backend):
    board, out, frames = run(FACE_FIND, backend, [FACE_27, FACE_37])
    assert board.counters.detections == 2 and len(frames) == 2
    boxes = [tuple(int(v) for v in re.findall(r'"[xywh]":(\d+)', line)) for line in out.splitlines()]
    for box, expected in zip(boxes, [(65, 69, 82, 111), (192, 65, 83, 111)], strict=True):
        assert np.abs(np.subtract(box, expected)).max() <= 1
    x, y, w, h = boxes[0]
    assert (frames[0][y, x:x + w] == 255).all() and (frames[0][y:y + h, x] == 255).all()
    if backend != "functional":
        assert out == run(FACE_FIND, "functional", [FACE_27, FACE_37])[1]


# --- the CanMV document ----------------------------------------------------


def canmv_signature(method: str) -> str:
    """A call as the CanMV document writes it."""
    text = shared_file("documents/canmv-kpu.txt").read_text()
    return re.search(rf"kpu\.{method}\([^)]*\)", text)[0]


@pytest.fixture
def detector(make_board, backend, tmp_path):
    """(KPU object, image): the vendor's face detector for 320x256, run through the documented calls."""
    make_board(backend=backend)
    kpu = KPU()
    kpu.load_kmodel(str(shared_file("kmodels/v3_yolo_face_detect.kmodel")))
    canvas = Image(size=(320, 256))
    canvas.draw_image(Image(str(shared_file(FACE_37))).resize(320, 240), 0, 0)
    canvas.pix_to_ai()
    return kpu, canvas


CANMV_ANCHORS = (0.893, 1.463, 0.245, 0.389, 1.55, 2.58, 0.375, 0.594, 3.099, 5.038, 0.057, 0.090, 0.567, 0.904, 0.101,
                 0.160, 0.159, 0.255)


def test_canmv_constructor_without_parentheses_as_documented(backend, make_board):
    make_board(backend=backend)
    text = shared_file("documents/canmv-kpu.txt").read_text()
    path = shared_file("kmodels/v3_yolo_face_detect.kmodel")
    names = {"maix": type("maix", (), {"KPU": KPU}), "file_path": str(path)}
    exec(re.search(r"kpu = maix\.KPU", text)[0], names)
    exec(canmv_signature("load_kmodel"), names)
    assert names["kpu"].attr()["shape"]["input"] == [3, 256, 320]


def test_canmv_load_kmodel_calls(make_board, backend):
    path = shared_file("kmodels/v3_yolo_face_detect.kmodel")
    make_board(f"{path}@0x300000", backend=backend)
    text = shared_file("documents/canmv-kpu.txt").read_text()
    by_path, by_offset, *_ = re.findall(r"kpu\.load_kmodel\([^)]*\)", text)
    assert (by_path, by_offset) == ("kpu.load_kmodel(file_path)", "kpu.load_kmodel(flash_offset, size)")
    names = {"kpu": KPU(), "file_path": str(path), "flash_offset": 0x300000, "size": path.stat().st_size}
    exec(by_path, names)
    exec(by_offset, names)
    exec(canmv_signature("deinit"), names)


def test_canmv_init_run_and_region_layer_calls(detector, backend):
    kpu, canvas = detector
    call = canmv_signature("init_yolo2").replace("anchor_num=5", "anchor_num=9").replace("net_h=240", "net_h=256")
    names = {"kpu": kpu, "anchor": CANMV_ANCHORS, "img": canvas}
    exec(call, names)
    exec("kpu.run_with_output(img)", names)
    found = eval(canmv_signature("regionlayer_yolo2"), names)
    assert len(found) == 1
    assert np.abs(np.subtract(found[0][:4], (190, 45, 85, 128))).max() <= 1 and found[0][5] > 0.9
    assert eval(canmv_signature("deinit"), names) is True


def test_canmv_run_with_output_lists(detector, backend):
    kpu, canvas = detector
    values = kpu.run_with_output(canvas, getlist=True)
    assert len(values) == 10 * 8 * 54 and all(type(v) is float for v in values)
    if backend != "functional":
        with_golden = KPU()
        use_board(Board())
        with_golden.load_kmodel(str(shared_file("kmodels/v3_yolo_face_detect.kmodel")))
        assert with_golden.run_with_output(canvas, getlist=True) == values
