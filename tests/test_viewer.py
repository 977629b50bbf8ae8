# SPDX-License-Identifier: Apache-2.0
"""openkpu view: layers on demand, a page that answers its own computer only."""

import json
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browser import open_page
from PIL import Image

from openkpu.cli.main import run_cli
from openkpu.devices.backends import open_device
from openkpu.errors import InputError
from openkpu.inputs import prepare_inputs
from openkpu.kmodel import load
from openkpu.runtime import Session
from openkpu.viewer.runner import Runner
from openkpu.viewer.server import MARK, Viewer, pictures_of
from rtl import open_rtl

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo"
PICTURES = DEMO / "pictures"
MNIST = Path(__file__).parent / "data" / "nncase_small" / "139_mini_mnist.kmodel"


@contextmanager
def viewer(model=DEMO / "shapes.kmodel", pictures=PICTURES, device=None):
    runner = Runner(load(model), device or open_device("functional"), "stretch")
    with Viewer(runner, pictures_of(pictures) if pictures else [], "functional") as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
            runner.close()


def get(server, path, **headers):
    with urllib.request.urlopen(urllib.request.Request(server.url + path, headers=headers), timeout=30) as reply:
        return reply.read()


def code(server, path, data=None, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, data, headers), timeout=30) as reply:
            return reply.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait(runner, layer, seconds=60):
    end = time.monotonic() + seconds
    while (state := runner.state(layer))["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.01)
    return state


def test_maps_are_those_of_a_run():
    model = load(DEMO / "shapes.kmodel")
    runner = Runner(model, open_device("functional"), "stretch")
    assert runner.state(3) == {"state": "empty"}
    picture = PICTURES / "heldout_006.png"
    runner.show(picture.name, picture.read_bytes())
    assert wait(runner, 4)["state"] == "ready" and runner.map(3, 0) is not None and runner.map(5, 0) is None
    session = Session(model, open_device("functional"))
    session.run([prepare_inputs(model, (picture,), "stretch")[0].array], end_layer=4)
    np.testing.assert_array_equal(runner.map(4, 0), session.layer_output(4))
    runner.show("again.png", picture.read_bytes())
    assert wait(runner, 4)["shown"] == 1 and runner.map(4, 0) is None  # facts and map never are of two pictures
    runner.close()


def test_another_picture_overtakes_the_one_that_runs():
    runner = Runner(load(DEMO / "shapes.kmodel"), open_device("functional"), "stretch")
    for name in ("heldout_005.png", "heldout_006.png", "heldout_011.png"):
        runner.show(name, (PICTURES / name).read_bytes())
        runner.state(17)
    state = wait(runner, 17)
    assert state["state"] == "ready" and state["picture"] == "heldout_011.png"
    runner.close()


def test_layers_run_on_the_rtl_and_tell_their_cycles():
    device = open_rtl("tiny")
    runner = Runner(load(MNIST), device, "stretch")
    runner.show("noise.png", (PICTURES / "heldout_005.png").read_bytes())
    layer = runner.model.kpu_layers[0].index
    assert wait(runner, layer)["cycles"] > 0
    runner.close()
    device.close()


def test_server_answers_its_own_page_only():
    with viewer() as server:
        server.choose(0)
        told = json.loads(get(server, "model.json"))
        assert len(told["layers"]) == len(server.runner.model.layers) and len(told["pictures"]) == 6
        assert code(server, "model.json", Host="evil.example")[0] == 403
        assert code(server, "choose?picture=1", b"")[0] == 403
        assert code(server, "choose?picture=1", b"", **{MARK: "1"})[0] == 200
        assert server.server_address[0] == "127.0.0.1"
        assert code(server, "../../etc/passwd")[0] == 404


@pytest.mark.parametrize("path, expected", [
    ("state.json?layer=99", 400), ("state.json?layer=x", 400), ("state.json", 400), ("map.png?layer=3&shown=0", 204),
    ("map.png?layer=3", 400),
    ("map.png?layer=-1", 400), ("nothing", 404)])
def test_bad_requests_are_refused(path, expected):
    with viewer(MNIST, None) as server:
        assert code(server, path)[0] == expected


def test_a_picture_that_is_none_is_told():
    with viewer(pictures=None) as server:
        status, told = code(server, "picture?name=x.png", b"no picture", **{MARK: "1"})
        assert status == 422 and "x.png" in told


def test_a_folder_without_pictures_and_a_missing_file_are_bad_input(tmp_path, capsys):
    assert run_cli(["view", str(MNIST), str(tmp_path)]) == 4
    assert "holds no picture" in capsys.readouterr().err
    assert run_cli(["view", str(MNIST), str(tmp_path / "gone.png")]) in (4, 5)
    assert "gone.png" in capsys.readouterr().err


def test_several_inputs_are_refused():
    model = load(MNIST)
    object.__setattr__(model, "inputs", model.inputs * 2)
    with pytest.raises(InputError, match="2 inputs"):
        Runner(model, open_device("functional"), "stretch")


def test_page_shows_layers_channels_pictures_and_the_camera(tmp_path):
    with viewer() as server, open_page(server.url, tmp_path, ("--use-fake-device-for-media-stream",
                                                             "--use-fake-ui-for-media-stream")) as watched:
        page = watched.page
        page.wait_for_selector("body[data-ready]")
        watched.until("document.getElementById('map').naturalWidth > 0")
        page.locator("#layers button").nth(8).click()
        watched.until("document.getElementById('facts').textContent.includes('80 channels')")
        watched.until("document.getElementById('map').complete")
        page.locator("#map").click(position={"x": 8, "y": 8})
        watched.until("document.getElementById('facts').textContent.includes('channel 0 of 80')")
        page.keyboard.press("ArrowUp")
        watched.until("document.getElementById('layer').textContent.startsWith('Layer 7')")
        page.keyboard.press("ArrowRight")
        watched.until("document.getElementById('pictures').value === '1'")
        page.locator("#camera").click()
        end = time.monotonic() + 30
        while server.runner.state(0).get("picture") != "camera":
            assert time.monotonic() < end
            page.wait_for_timeout(100)
        page.locator("#camera").click()
        assert watched.overflow(390) == 0
        assert not watched.foreign and not watched.errors


def test_vectors_and_batches_have_maps(tmp_path):
    runner = Runner(load(MNIST), open_device("functional"), "stretch")
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    runner.show("a.png", (tmp_path / "a.png").read_bytes())
    last = len(runner.model.layers) - 1
    assert wait(runner, last)["state"] == "ready"
    with Viewer(runner, [], "functional") as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        assert get(server, f"map.png?layer={last}&shown=0").startswith(b"\x89PNG")
        server.shutdown()
    runner.close()
