# SPDX-License-Identifier: Apache-2.0
"""Files that are no loadable model: each is refused with a sentence that says what it is and what to do."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest
from kmodel_writer import v3_fc, v3_file
from synthetic_models import package

from openkpu.errors import ModelError
from openkpu.kmodel import identify, load, load_kfpkg, model_size

V3 = v3_file([v3_fc()])
KMDL = b"LDMK"

REFUSED = [
    ("v1", struct.pack("<5I", 1, 1, 23, 0, 500) + bytes(100), "kmodel v1", "nncase 0.1 to 1.9"),
    ("v5-prerelease", KMDL + struct.pack("<5I", 5, 0, 256, 2, 0), "pre-release layout", "nncase 1.0 to 1.9"),
    ("v6+", KMDL + struct.pack("<2I", 6, 0), "kmodel v6", "nncase 1.9 for the target k210"),
    ("v6+", KMDL + struct.pack("<2I", 7, 0), "kmodel v7", "K230"),
    ("erased", b"\xff" * 4096, "erased flash", "check the address"),
    ("zeros", bytes(4096), "zero bytes", "check the address"),
    ("empty", b"", "empty file", "again"),
    ("html", b"<!DOCTYPE html><html><head><title>404</title>", "web page", "download the model file itself"),
    ("html", b"\n  <html lang=en>\xc3\xa9", "web page", "download the model file itself"),
    ("text", b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "text file",
     "download the model file itself"),
    ("foreign", b"\x1c\0\0\0TFL3" + bytes(20), "TensorFlow Lite", "nncase"),
    ("foreign", b"\x1f\x8b\x08\0" + bytes(20), "gzip", "unpack"),
    ("foreign", b"\x89HDF\r\n\x1a\n", "Keras", "nncase"),
    ("foreign", b"\x89PNG\r\n\x1a\n", "PNG", ".kmodel"),
    ("unknown", bytes(range(100, 200)), "64 65 66", ".kmodel"),
    ("unknown", b"\3\0\0", "no kmodel", ".kmodel"),
    ("unknown", KMDL + struct.pack("<2I", 3, 0), "no kmodel", ".kmodel"),
]


@pytest.mark.parametrize(("kind", "data", "what", "advice"), REFUSED,
 ids=[f"{r[0]}-{i}" for i, r in enumerate(REFUSED)])
def test_file_that_is_no_loadable_model_is_named(kind, data, what, advice):
    assert identify(data).kind == kind and not identify(data).loadable
    for call in (load, model_size):
        with pytest.raises(ModelError) as error:
            call(data, source="thing.kmodel")
        text = str(error.value)
        assert text.startswith("thing.kmodel: ") and what in text and advice in text and "\n" not in text
        assert error.value.exit_code == 3 and error.value.source == "thing.kmodel"


@pytest.mark.parametrize("name", ["face.smodel", "FACE.EMODEL"])
def test_encrypted_model_is_named(name):
    data = bytes(range(128, 250))
    assert identify(data, name).kind == "encrypted"
    with pytest.raises(ModelError, match="encrypted for one chip"):
        load(data, source=name)


def test_plain_model_with_the_extension_of_an_encrypted_one_loads():
    assert load(V3, source="face.smodel").version == 3


@pytest.mark.parametrize(("data", "kind"), [
    (V3, "v3"), (np.frombuffer(V3, "<u4").byteswap().tobytes(), "v3-swapped"), (KMDL + b"\4\0\0\0", "v4"),
    (b"KMDL\0\0\0\4", "v4-swapped"), (KMDL + b"\5\0\0\0\x20\0\0\0", "v5"), (b"PK\3\4" + bytes(30), "zip"),
])
def test_models_are_identified_by_their_first_words(data, kind):
    assert identify(data).kind == kind and identify(data).loadable


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="No such file.*check the path"):
        load(tmp_path / "none.kmodel")
    with pytest.raises(ModelError, match="directory.*check the path"):
        load(tmp_path)


def test_file_larger_than_any_flash_is_refused(tmp_path):
    path = tmp_path / "huge.kmodel"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(ModelError, match="more than 64 MiB"):
        load(path)


def test_error_names_format_field_and_offset():
    data = bytearray(V3)
    struct.pack_into("<I", data, 8, 5)
    with pytest.raises(ModelError) as error:
        load(bytes(data), source="a.kmodel")
    e = error.value
    assert (e.source, e.version, e.field, e.offset) == ("a.kmodel", "kmodel v3", "arch", 8)


# Packages ----------------------------------------------------------------------------------------

MODEL = {"address": 0x300000, "bin": "m.kmodel", "sha256Prefix": False}
MEMBERS = {"m.kmodel": V3}


def kfpkg(files=(MODEL,), members=MEMBERS, *, text: str | bytes | None = None) -> bytes:
    listing = text if text is not None else json.dumps({"version": "0.1.0", "files": list(files)})
    raw = listing if isinstance(listing, bytes) else listing.encode()
    return package({"flash-list.json": raw, **members})


@pytest.mark.parametrize("text", [
    '{"version": "0.1.0", "files": [{"address": 3145728, "bin": "m.kmodel", "sha256Prefix": false}]}',
    '{"version": "0.1.0", "files": [{"address": 0x00300000, "bin": "m.kmodel", "sha256Prefix": false}]}',
    '{"version": "0.1.0", "files": [{"bin": "m.kmodel", "sha256Prefix": false, "address": 0x300000}]}',
    '{"": "0.1.0", "files": [{"address": "0x300000", "bin": "m.kmodel", "sha256Prefix": false, "more": [1]}]}',
    '{"files": [{"address": "3145728", "bin": "m.kmodel"}]}',
])
def test_address_may_be_decimal_hexadecimal_or_quoted(text):
    entry = load_kfpkg(kfpkg(text=text)).models[0]
    assert (entry.address, entry.name, entry.data, entry.sha256_prefix) == (0x300000, "m.kmodel", V3, False)
    assert load(kfpkg(text=text)).version == 3


def test_models_are_found_among_other_binaries():
    files = [{"address": 0, "bin": "firmware.bin", "sha256Prefix": True}, MODEL]
    contents = load_kfpkg(kfpkg(files, {"firmware.bin": b"\x13\0\0\0" * 99, "unlisted": b"x", **MEMBERS}))
    assert [e.name for e in contents.entries] == ["firmware.bin", "m.kmodel"]
    assert [e.name for e in contents.models] == ["m.kmodel"] and contents.entries[0].sha256_prefix


TWO = [MODEL, {"address": 0x500000, "bin": "n.kmodel"}]


def test_package_with_several_models_asks_which():
    data = kfpkg(TWO, {**MEMBERS, "n.kmodel": V3})
    with pytest.raises(ModelError, match="2 models; choose one of m.kmodel at 0x300000, n.kmodel at 0x500000"):
        load(data)
    assert load(data, source="p.kfpkg", member="n.kmodel").source == "p.kfpkg!n.kmodel"
    assert load(data, source="p.kfpkg", member="0x500000").source == "p.kfpkg!n.kmodel"
    with pytest.raises(ModelError, match="no model 'o.kmodel'"):
        load(data, member="o.kmodel")
    with pytest.raises(ModelError, match="no package"):
        load(V3, member="m.kmodel")


def test_overlaps_and_odd_addresses_are_warned_about():
    data = kfpkg([MODEL, {"address": 0x300010, "bin": "n.kmodel"}], {**MEMBERS, "n.kmodel": V3})
    assert ["multiple of 4096" in w or "overlap" in w for w in load_kfpkg(data).warnings] == [True, True]


def encrypted_flag(data: bytes) -> bytes:
    """Set the encryption bit of every member, in local and central headers."""
    out = bytearray(data)
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            out[at + offset] |= 1
    return bytes(out)


def duplicate_names() -> bytes:
    out = io.BytesIO(kfpkg())
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("m.kmodel", V3)
    return out.getvalue()


def bomb() -> bytes:
    return kfpkg(members={"m.kmodel": bytes((16 << 20) + 1)})


@pytest.mark.parametrize(("make", "text"), [
    (lambda: package({"a": b"b"}), "no flash-list.json"), (lambda: b"PK\3\4" + bytes(60), "cannot be read"),
    (lambda: kfpkg()[:-30], "cannot be read"), (lambda: kfpkg(text="{"), "no JSON"),
    (lambda: kfpkg(text=b"\xff{}"), "no JSON"),
    (lambda: kfpkg(text="[" * 60000), "no JSON"), (lambda: kfpkg(text="[]"), "no list"),
    (lambda: kfpkg(text='{"files": 3}'), "no list"), (lambda: kfpkg(text='{"files": [3]}'), "no object"),
    (lambda: kfpkg([MODEL] * 257), "no list"), (lambda: kfpkg(text=" " * 70000), "more than 65536"),
    (lambda: kfpkg([MODEL | {"address": -1}]), "address"), (lambda: kfpkg([MODEL | {"address": 16 << 20}]), "address"),
    (lambda: kfpkg([MODEL | {"address": True}]), "address"), (lambda: kfpkg([MODEL | {"address": 1.5}]), "address"),
    (lambda: kfpkg([MODEL | {"address": "x"}]), "no number"), (lambda: kfpkg([MODEL | {"address": None}]), "address"),
    (lambda: kfpkg([MODEL | {"address": (16 << 20) - 8}]), "behind the flash"),
    (lambda: kfpkg([MODEL | {"bin": "../m.kmodel"}]), "no name of a file inside"),
    (lambda: kfpkg([MODEL | {"bin": "/m"}]), "no name"),
    (lambda: kfpkg([MODEL | {"bin": "a\\..\\m"}]), "no name"), (lambda: kfpkg([MODEL | {"bin": ".."}]), "no name"),
    (lambda: kfpkg([MODEL | {"bin": 7}]), "no name"), (lambda: kfpkg([MODEL | {"bin": "gone"}]), "not in the archive"),
    (lambda: kfpkg([MODEL | {"sha256Prefix": 2}]), "sha256Prefix"), (duplicate_names, "two members"),
    (bomb, "more than 16777216"), (lambda: package({str(i): b"" for i in range(4097)}), "4097 members"),
    (lambda: encrypted_flag(kfpkg()), "encrypted"),
])
def test_package_that_is_damaged_or_dangerous_is_refused(make, text):
    data = make()
    with pytest.raises(ModelError, match=text) as error:
        load_kfpkg(data, "p.kfpkg")
    assert str(error.value).startswith("p.kfpkg: kfpkg: ")
    with pytest.raises(ModelError):
        load(data)


def test_member_with_a_wrong_checksum_is_refused():
    data = kfpkg()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as stored:
        for info in archive.infolist():
            stored.writestr(info.filename, archive.read(info))
    changed = out.getvalue().replace(V3[:28], V3[:20] + bytes(8))
    with pytest.raises(ModelError, match="Bad CRC-32"):
        load_kfpkg(changed)


def test_other_compression_methods_are_refused():
    data = bytearray(package({"flash-list.json": b"{}"}))
    data[data.index(b"PK\1\2") + 10] = 9  # deflate64 in the directory
    with pytest.raises(ModelError, match="compression method 9"):
        load_kfpkg(bytes(data))


def test_package_without_a_loadable_model_says_what_it_holds():
    with pytest.raises(ModelError, match="m.kmodel is kmodel v1"):
        load(kfpkg(members={"m.kmodel": struct.pack("<5I", 1, 1, 23, 0, 500) + bytes(100)}))


def test_package_inside_a_package_is_refused():
    with pytest.raises(ModelError, match="no model that can be loaded"):
        load(kfpkg(members={"m.kmodel": kfpkg()}))
