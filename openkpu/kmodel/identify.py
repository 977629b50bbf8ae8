# SPDX-License-Identifier: Apache-2.0
"""What a file is, from its first bytes (spec/kmodel-format.md section 1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

KMDL = 0x4B4D444C
NEWEST = 99
"""Versions above are taken for damage, not for a later format."""

SWAPPED_V3 = b"\0\0\0\3"
SWAPPED_V4 = b"KMDL\0\0\0\4"

_FOREIGN = {
    b"\x1f\x8b": ("a gzip file", "unpack it first"),
    b"\x89PNG": ("a PNG picture, not a model", "give a .kmodel or .kfpkg file"),
    b"\xff\xd8\xff": ("a JPEG picture, not a model", "give a .kmodel or .kfpkg file"),
    b"\x89HDF": ("a Keras HDF5 model", "convert it to TFLite and compile that with nncase for the target k210"),
    b"\x7fELF": ("a program for a computer (ELF), not a model", "give a .kmodel or .kfpkg file"),
}


@dataclass(frozen=True)
class Identity:
    """What the bytes are.

    Attributes
    ----------
    kind : "v1", "v3", "v4", "v5", "v5-prerelease", "v6+", "v3-swapped", "v4-swapped", "zip", "erased", "zeros",
        "empty", "text", "html", "foreign", "encrypted" or "unknown".
    loadable : ``openkpu.kmodel.load`` can read it.
    description : what it is, for people ("kmodel v4").
    hint : what to do about a file that cannot be loaded ("" if it can).
    """

    kind: str
    loadable: bool
    description: str
    hint: str = ""


def _refused(kind: str, description: str, hint: str) -> Identity:
    return Identity(kind, False, description, hint)


def _words(data: bytes) -> Identity | None:
    """By the first three little-endian words."""
    w0, w1, w2 = struct.unpack("<3I", data[:12].ljust(12, b"\0"))
    if w0 == KMDL and w1 == 4:
        return Identity("v4", True, "kmodel v4 (nncase 0.2)")
    if w0 == KMDL and w1 == 5 and w2 == 0:
        return _refused("v5-prerelease", "a pre-release layout of kmodel v5 (nncase before 1.0.0-beta1)",
                        "no released runtime reads it; convert the network again with nncase 1.0 to 1.9")
    if w0 == KMDL and w1 == 5:
        return Identity("v5", True, "kmodel v5 (nncase 1.x)")
    if w0 == KMDL and 6 <= w1 <= NEWEST:
        return _refused("v6+", f"kmodel v{w1} (nncase 2 for K230 and other chips)",
                        "the K210 needs v3, v4 or v5; convert the network again with nncase 1.9 for the target k210")
    if data.startswith(SWAPPED_V4):
        return Identity("v4-swapped", True, "kmodel v4 with the bytes of every word reversed (for load_flash)")
    if data.startswith(SWAPPED_V3):
        return Identity("v3-swapped", True, "kmodel v3 with the bytes of every word reversed (for load_flash)")
    if w0 == 3:
        return Identity("v3", True, "kmodel v3 (nncase 0.1)")
    if w0 == 1:
        return _refused("v1", "kmodel v1 (the SDK's first model compiler, 2018)",
                        "it is not supported; convert the network again with nncase 0.1 to 1.9")
    return None


def identify(data: bytes | memoryview, name: str = "") -> Identity:
    """What ``data`` (at least its first 512 bytes) is; ``name`` helps with file extensions. Never raises."""
    head = bytes(data[:512])
    if not head:
        return _refused("empty", "an empty file", "copy or download it again")
    found = _words(head) if len(head) >= 8 else None
    if found is not None:
        return found
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return Identity("zip", True, "a zip archive, possibly a kfpkg package")
    if set(head) == {0xFF}:
        return _refused("erased", "erased flash (only 0xFF bytes)", "no model was written here; check the address")
    if set(head) == {0}:
        return _refused("zeros", "nothing but zero bytes", "no model was written here; check the address or the file")
    if name.lower().endswith((".smodel", ".emodel")):
        return _refused("encrypted", "a model encrypted for one chip",
                        "it cannot run here without that chip's key; ask its author for the plain kmodel")
    for magic, description in _FOREIGN.items():
        if head.startswith(magic):
            return _refused("foreign", *description)
    if head[4:8] == b"TFL3":
        return _refused("foreign", "a TensorFlow Lite model", "compile it with nncase for the target k210")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<" and (b"<html" in text.lower() or b"<!doctype" in text.lower()):
        return _refused("html", "a web page, not a model", "the download failed or needs another link; download the "
                                                            "model file itself")
    if all(32 <= c < 127 or c in b"\t\r\n" for c in head):
        return _refused("text", "a text file, not a model", "the download failed (an error message or a Git LFS "
                                                             "pointer); download the model file itself")
    return _refused("unknown", "no kmodel: its first bytes are " + head[:8].hex(" "),
                    "give a .kmodel (v3, v4, v5) or .kfpkg file")
