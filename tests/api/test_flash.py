# SPDX-License-Identifier: Apache-2.0
"""The simulated flash, path mapping and settings (spec/driver-api.md sections 5.1-5.5)."""

import hashlib
import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from openkpu import flash
from openkpu.api.board import paths
from openkpu.api.board.board import Settings, from_environment
from openkpu.errors import ModelError, UsageError
from openkpu.flash import FLASH_BYTES, Flash

from .conftest import shared_file


def package(path, *files):
    with zipfile.ZipFile(path, "w") as archive:
        listing = [{"address": address, "bin": name, "sha256Prefix": prefix} for address, name, _, prefix in files]
        archive.writestr("flash-list.json", json.dumps({"version": "0.1.0", "files": listing}))
        for _, name, data, _ in files:
            archive.writestr(name, data)
    return path


def test_flash_is_16_mib_of_ff():
    found = Flash()
    assert FLASH_BYTES == 1 << 24 and found.read(FLASH_BYTES - 4, 4) == b"\xff" * 4 and not found.models()


def test_burn_and_read():
    found = Flash()
    found.burn(0x1000, b"hello", "a")
    assert found.read(0xFFF, 7) == b"\xffhello\xff"


def test_overlapping_files_are_both_named():
    found = Flash()
    found.burn(0x1000, bytes(100), "first.bin")
    with pytest.raises(UsageError, match="second.bin.*first.bin"):
        found.burn(0x1063, b"x", "second.bin")
    found.burn(0x1064, b"x", "third.bin")


@pytest.mark.parametrize("offset", [-1, FLASH_BYTES - 3])
def test_files_beyond_the_flash(offset):
    with pytest.raises(UsageError, match="do not fit"):
        Flash().burn(offset, b"abcd", "x")


def test_reading_beyond_the_flash():
    with pytest.raises(ValueError, match="leaves the flash"):
        Flash().read(FLASH_BYTES - 3, 4)


@pytest.mark.parametrize("form", ["{}@0x300000", "{}@3145728", "0x300000={}"])
def test_argument_forms(demo_v3, form):
    found = Flash()
    found.burn_argument(form.format(demo_v3))
    (model,) = found.models()
    assert (model.offset, model.size) == (0x300000, demo_v3.stat().st_size) and "v3" in model.description


def test_argument_of_a_model_without_offset(demo_v3):
    with pytest.raises(UsageError, match="@0x300000"):
        Flash().burn_argument(str(demo_v3))


def test_argument_of_a_whole_image(tmp_path, demo_v3):
    image = bytearray(b"\xff" * 0x400000)
    image[0x300000:0x300000 + demo_v3.stat().st_size] = demo_v3.read_bytes()
    (tmp_path / "dump.bin").write_bytes(image)
    found = Flash()
    found.burn_argument(str(tmp_path / "dump.bin"))
    assert [m.offset for m in found.models()] == [0x300000]


def test_argument_of_a_missing_file():
    with pytest.raises(UsageError, match="nowhere.bin"):
        Flash().burn_argument("nowhere.bin@0x1000")


def test_argument_of_a_kfpkg(tmp_path, demo_v3):
    path = package(tmp_path / "a.kfpkg", (0x500000, "m.kmodel", demo_v3.read_bytes(), False),
                   (0, "firmware.bin", b"code", True))
    found = Flash()
    found.burn_argument(str(path))
    assert found.read(0x500000, 4) == struct.pack("<I", 3)
    firmware = b"\0" + struct.pack("<I", 4) + b"code"
    assert found.read(0, 41) == firmware + hashlib.sha256(firmware).digest()


def test_argument_of_a_kfpkg_with_an_offset(tmp_path):
    with pytest.raises(UsageError, match="its own addresses"):
        Flash().burn_argument(f"{package(tmp_path / 'a.kfpkg')}@0x1000")


def test_argument_of_a_damaged_kfpkg(tmp_path):
    (tmp_path / "a.kfpkg").write_bytes(b"PK\3\4 damaged")
    with pytest.raises(ModelError, match="a.kfpkg"):
        Flash().burn_argument(str(tmp_path / "a.kfpkg"))


def test_models_are_found_also_byte_swapped_and_off_the_sectors(demo_v3, demo_v5):
    found = Flash()
    found.burn(0x300010, demo_v3.read_bytes(), "a")
    found.burn(0x500000, np.frombuffer(demo_v3.read_bytes(), "<u4").byteswap().tobytes(), "b")
    found.burn(0x700000, demo_v5.read_bytes(), "c")
    found.burn(0x900000, struct.pack("<I", 3) + bytes(100), "no model")
    assert [(m.offset, m.size > 1000) for m in found.models()] == [(0x300010, True), (0x500000, True), (0x700000, True)]
    assert "reversed" in flash.describe(found)


def test_vendor_package():
    found = Flash()
    found.burn_argument(str(shared_file("kmodels/face_model_at_0x300000.kfpkg")))
    assert [(m.offset, m.size) for m in found.models()] == [(0x300000, 388776)]


# --- paths ----------------------------------------


def test_device_paths_map_to_folders(make_board, tmp_path):
    make_board(sd=tmp_path / "card", fs=tmp_path / "internal")
    assert paths.map_path("/sd/KPU/m.kmodel") == str(tmp_path / "card/KPU/m.kmodel")
    assert paths.map_path("/flash/a.txt") == str(tmp_path / "internal/a.txt")
    assert paths.map_path("/sd") == str(tmp_path / "card")


@pytest.mark.parametrize("path", ["/sdcard/a", "labels.txt", "/home/x", "sd/a", 5, None, Path("/sd/a")])
def test_other_paths_stay(board, path):
    assert paths.map_path(path) == path


def test_default_folders_are_sd_and_flash_here(make_board, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sd").mkdir()
    make_board(sd=None, fs=None)
    assert paths.map_path("/sd/a") == str(tmp_path / "sd/a") and paths.map_path("/flash/a") == str(tmp_path / "a")


def test_file_functions_are_mapped_and_restored(board, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    original, here = open, os.getcwd()
    try:
        with paths.mapped_file_functions():
            with open("/sd/a.txt") as file:
                assert file.read() == "hello"
            assert "a.txt" in os.listdir("/sd") and os.stat("/flash/a.txt").st_size == 5
            os.rename("/sd/a.txt", "/sd/b.txt")
            os.mkdir("/sd/folder")
            os.chdir("/sd/folder")
            assert os.path.samefile(os.getcwd(), tmp_path / "folder") and isinstance(os.listdir(), list)
            os.remove("/sd/b.txt")
    finally:
        os.chdir(here)
    assert open is original and not (tmp_path / "b.txt").exists()


def test_reading_a_missing_device_file_names_both_paths(board, tmp_path):
    with pytest.raises(OSError) as caught:
        paths.read_file("/sd/x")
    assert "/sd/x" in str(caught.value) and str(tmp_path) in str(caught.value)


# --- settings ----------------------------------------


@pytest.mark.parametrize("name, value", [("compat", "loose"), ("forward3", "layer"), ("scaling", "zoom"), ("ai", "x"),
                                         ("clock", "sun")])
def test_settings_choices(name, value):
    with pytest.raises(UsageError, match=name):
        Settings(**{name: value})


def test_settings_frames():
    with pytest.raises(UsageError, match="frames"):
        Settings(frames=0)


def test_settings_from_the_environment(tmp_path, demo_v3):
    found = from_environment({
        "K210_COMPAT": "strict", "K210_FORWARD3": "out_index", "K210_CAMERA": "x.png", "K210_SD": str(tmp_path),
        "K210_FLASH": f"{demo_v3}@0x300000"})
    assert found.strict and found.settings.forward3 == "out_index" and found.settings.sd == tmp_path
    assert [m.offset for m in found.flash.models()] == [0x300000]


def test_unknown_backend_is_a_usage_error(make_board, demo_v3):
    board = make_board(backend="quantum")
    with pytest.raises(UsageError, match="quantum"):
        board.device  # noqa: B018 - opening is the effect
