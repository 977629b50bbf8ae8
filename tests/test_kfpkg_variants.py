# SPDX-License-Identifier: Apache-2.0
"""Packages as people make them: what either of the two flashers takes is taken (spec/kmodel-format.md section 8)."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from openkpu.errors import ModelError, UsageError
from openkpu.flash import Flash
from openkpu.kmodel import load, load_kfpkg

MODEL = (Path(__file__).parent / "data" / "nncase_small" / "000_w4_k3.kmodel").read_bytes()
FACE = "\u4eba\u8138.kmodel"
ITEM = {"address": 0x300000, "bin": "m.kmodel", "sha256Prefix": False}


def package(listing, members=None, method=zipfile.ZIP_DEFLATED, folder=""):
    """``listing``: the list, or its bytes or text."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(folder + "flash-list.json", json.dumps(listing) if isinstance(listing, dict) else listing)
        for name, data in (members or {"m.kmodel": MODEL}).items():
            archive.writestr(folder + name, data)
    return out.getvalue()


def listed(version="0.1.0", **changes):
    return {"version": version, "files": [ITEM | changes]}


def text(item='"address":0x00300000,"bin":"m.kmodel","sha256Prefix":false', before="", behind=""):
    return f'{{"version":"0.1.0",{before}"files":[{{{item}}}{behind}]}}'


FIRMWARE = {"address": 0, "bin": "fw.bin", "sha256Prefix": True}
NO_VERSION = {"files": [ITEM]}
NO_PREFIX = {"version": "0.1.0", "files": [{k: v for k, v in ITEM.items() if k != "sha256Prefix"}]}
SPELT_WITH_CAPITALS = {"Version": "0.1.0", "Files": [{"Address": 0x300000, "Bin": "m.kmodel", "SHA256Prefix": False}]}
ACCEPTED = {
    "deflate": package(listed()), "stored": package(listed(), method=zipfile.ZIP_STORED),
    "bzip2": package(listed(), method=zipfile.ZIP_BZIP2), "lzma": package(listed(), method=zipfile.ZIP_LZMA),
    "no version": package(NO_VERSION), "no prefix": package(NO_PREFIX), "prefix 0": package(listed(sha256Prefix=0)),
    "address as hexadecimal string": package(listed(address="0x300000")),
    "address as decimal string": package(listed(address="3145728")),
    "address as float": package(listed(address=3145728.0)),
    "hexadecimal literal": package(text()), "trailing comma": package(text(behind=",")),
    "comment": package(text(before="/* model, with a \" */")), "line comment": package(text(before="// model\n")),
    "byte order mark": package(b"\xef\xbb\xbf" + json.dumps(listed()).encode()),
    "keys in capitals": package(SPELT_WITH_CAPITALS),
    "list in GBK": package(json.dumps(listed(bin=FACE), ensure_ascii=False).encode("gbk"), {FACE: MODEL}),
    "name beyond ASCII": package(listed(bin=FACE), {FACE: MODEL}),
    "subfolder": package(listed(bin="bin/m.kmodel"), {"bin/m.kmodel": MODEL}),
    "subfolder of Windows": package(listed(bin="bin\\m.kmodel"), {"bin/m.kmodel": MODEL}),
    "model called .bin": package(listed(bin="model.bin"), {"model.bin": MODEL}),
    "model with the header of firmware": package(listed(sha256Prefix=True)),
    "firmware and model": package({"files": [FIRMWARE, ITEM]}, {"fw.bin": bytes(range(256)), "m.kmodel": MODEL}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_package_gives_its_model(name):
    found = load_kfpkg(ACCEPTED[name])
    assert [(e.address, e.data) for e in found.models] == [(0x300000, MODEL)] and found.warnings == ()
    assert load(ACCEPTED[name]).image == MODEL


@pytest.mark.parametrize("key", ["reverse4Bytes", "Reverse4Bytes"])
def test_reversed_words_are_reversed_in_the_flash_but_not_in_the_package(key, tmp_path):
    data = package(listed("0.1.1", **{key: True}))
    (entry,) = load_kfpkg(data).entries
    assert entry.reverse_words and entry.data == MODEL and load(data).image == MODEL
    (tmp_path / "p.kfpkg").write_bytes(data)
    flash = Flash()
    flash.burn_argument(str(tmp_path / "p.kfpkg"))
    assert flash.read(0x300000, len(MODEL)) == np.frombuffer(MODEL, ">u4").astype("<u4").tobytes()


def test_incomplete_last_word_is_filled_with_zeros(tmp_path):
    (tmp_path / "p.kfpkg").write_bytes(package(listed("0.1.1", reverse4Bytes=1), {"m.kmodel": b"abcdef"}))
    flash = Flash()
    flash.burn_argument(str(tmp_path / "p.kfpkg"))
    assert flash.read(0x300000, 9) == b"dcba\0\0fe\xff"


def test_unknown_version_is_read_with_a_warning():
    assert "version '9.9.9'" in load_kfpkg(package(listed("9.9.9"))).warnings[0]


def test_package_of_firmware_alone_holds_no_model():
    data = package({"files": [FIRMWARE]}, {"fw.bin": bytes(range(256))})
    assert load_kfpkg(data).models == ()
    with pytest.raises(ModelError, match="holds no model"):
        load(data)


def test_overlapping_files_are_read_with_a_warning_but_not_burnt(tmp_path):
    files = [ITEM, {"address": 0x300100, "bin": "n.kmodel", "sha256Prefix": False}]
    data = package({"version": "0.1.0", "files": files}, {"m.kmodel": MODEL, "n.kmodel": MODEL})
    assert "overlap" in load_kfpkg(data).warnings[-1] and load(data, member="n.kmodel").image == MODEL
    (tmp_path / "p.kfpkg").write_bytes(data)
    with pytest.raises(UsageError, match="overlaps"):
        Flash().burn_argument(str(tmp_path / "p.kfpkg"))


@pytest.mark.parametrize(("data", "said"), [
    (package(listed(), folder="pkg/"), "at its root, where kflash wants it, but 'pkg/flash-list.json'; pack the files"),
    (package(listed(address=0x1000000)), "not within 0..0xffffff"),
    (package(listed(address=0.5)), "address = 0.5 is not within"),
    (package(listed(address="here")), "is no number"),
    (package(text(before="/* open ")), "is no JSON"),
    (package(text(before="/*" * 30000)), "is no JSON"),
    (package(listed(reverse4Bytes="yes")), "reverse4Bytes = 'yes' is neither true nor false"),
])
def test_package_that_no_flasher_takes_is_refused(data, said):
    with pytest.raises(ModelError) as error:
        load_kfpkg(data)
    assert said in str(error.value)
