# SPDX-License-Identifier: Apache-2.0
"""Flash images: build, list, extract, and what they refuse."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from openkpu.cli.main import run_cli
from openkpu.flash import FLASH_BYTES, Flash

MNIST = Path(__file__).parent / "data" / "nncase_small" / "139_mini_mnist.kmodel"
FIRMWARE = bytes(range(256)) * 9


@pytest.fixture
def package(tmp_path):
    """A kfpkg with firmware and a model."""
    path = tmp_path / "p.kfpkg"
    files = [{"address": 0, "bin": "fw.bin", "sha256Prefix": True},
             {"address": 0x300000, "bin": "m.kmodel", "sha256Prefix": False}]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("flash-list.json", json.dumps({"version": "0.1.0", "files": files}))
        archive.writestr("fw.bin", FIRMWARE)
        archive.write(MNIST, "m.kmodel")
    return path


def refused(capsys, *arguments: object, codes: tuple[int, ...] = (2, 3)) -> str:
    """The one sentence a wrong command line gets."""
    assert run_cli([str(a) for a in arguments]) in codes
    return capsys.readouterr().err


def test_an_image_holds_every_file_at_its_offset_and_nothing_else(tmp_path, capsys):
    out, other = tmp_path / "f.bin", tmp_path / "o.dat"
    other.write_bytes(b"hello")
    assert run_cli(["flash", "build", str(out), f"{MNIST}@0x300000", f"{other}@0x10003"]) == 0
    image = out.read_bytes()
    model = MNIST.read_bytes()
    assert len(image) % 4096 == 0 and len(image) - 0x300000 - len(model) < 4096
    assert image[0x300000:0x300000 + len(model)] == model and image[0x10003:0x10008] == b"hello"
    assert set(image[:0x10003] + image[0x10008:0x300000] + image[0x300000 + len(model):]) == {0xFF}
    table = capsys.readouterr().out
    assert "0x300000" in table and f"{len(model):,}" in table and "0x10008" in table
    assert run_cli(["flash", "build", str(out), f"{MNIST}@0x300000", "--full"]) == 0
    assert out.stat().st_size == FLASH_BYTES


def test_a_package_is_burnt_as_kflash_does_and_its_digest_is_checked(package, tmp_path, capsys):
    out = tmp_path / "f.bin"
    assert run_cli(["flash", "build", str(out), str(package)]) == 0
    image = bytearray(out.read_bytes())
    head = b"\0" + len(FIRMWARE).to_bytes(4, "little") + FIRMWARE
    assert image.startswith(head + hashlib.sha256(head).digest())
    capsys.readouterr()
    for source in (out, package):
        assert run_cli(["flash", "ls", str(source)]) == 0
        listing = capsys.readouterr().out
        assert "firmware, SHA-256 correct" in listing and "0x300000" in listing and "kmodel v5" in listing
    image[77] ^= 1
    out.write_bytes(image)
    assert run_cli(["flash", "ls", str(out)]) == 0
    assert "SHA-256 WRONG" in capsys.readouterr().out


def test_extract_gives_back_the_file(package, tmp_path, capsys):
    out, taken = tmp_path / "f.bin", tmp_path / "m.kmodel"
    assert run_cli(["flash", "build", str(out), str(package)]) == 0
    for source in (out, package):
        assert run_cli(["flash", "extract", str(source), "0x300000", str(taken)]) == 0
        model = MNIST.read_bytes()
        assert taken.read_bytes() == model[:taken.stat().st_size] and taken.stat().st_size >= len(model) - 8
    assert run_cli(["flash", "extract", str(out), "5", str(taken), "--size", "16"]) == 0
    assert taken.read_bytes() == FIRMWARE[:16]
    error = refused(capsys, "flash", "extract", out, "0x1000", taken)
    assert "neither a model nor firmware begins at 0x1000" in error and "0x300000" in error
    assert "no number" in refused(capsys, "flash", "extract", out, "abc", taken)
    assert "leave the flash" in refused(capsys, "flash", "extract", out, "0xFFFFFF", taken, "--size", "2")


def test_overlaps_sizes_and_missing_offsets_are_named(package, tmp_path, capsys):
    out, big = tmp_path / "f.bin", tmp_path / "big.dat"
    error = refused(capsys, "flash", "build", out, package, f"{MNIST}@0x300010")
    assert "overlaps" in error and "m.kmodel" in error and "0x300010" in error
    big.write_bytes(bytes(FLASH_BYTES + 1))
    assert "do not fit" in refused(capsys, "flash", "build", out, f"{big}@0")
    assert "needs an address" in refused(capsys, "flash", "build", out, MNIST)
    assert "cannot be read" in refused(capsys, "flash", "build", out, "none.bin@0")
    assert "kfpkg holds its own addresses" in refused(capsys, "flash", "build", out, f"{package}@0")
    assert "cannot write" in refused(capsys, "flash", "build", tmp_path, package, codes=(5,))
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}*"))


def test_an_empty_flash_has_no_contents(tmp_path, capsys):
    blank = tmp_path / "blank.bin"
    blank.write_bytes(b"\xff" * 8192)
    assert run_cli(["flash", "ls", str(blank)]) == 0
    assert "no firmware and no model" in capsys.readouterr().out
    assert Flash().image() == b"" and Flash().firmware() is None


def test_a_damaged_package_is_refused(package, tmp_path, capsys):
    damaged = tmp_path / "d.kfpkg"
    data = bytearray(package.read_bytes())
    data[data.index(FIRMWARE[:64]) + 100] ^= 1
    damaged.write_bytes(data)
    error = refused(capsys, "flash", "build", tmp_path / "f.bin", damaged)
    assert "d.kfpkg" in error and "CRC" in error
