# SPDX-License-Identifier: Apache-2.0
"""Reader of .kfpkg packages, the ZIP archives that kflash writes (spec/kmodel-format.md section 8).

It takes what either of the two flashers takes: kflash.py, which reads any ZIP method of Python's ``zipfile``, names in
subfolders and the list in the machine's own encoding; and Kendryte's K-Flash, which reads JSON with comments, trailing
commas, keys in any case and numbers for booleans, and knows ``reverse4Bytes``.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from types import ModuleType

from ..errors import ModelError
from .identify import Identity, identify
from .reader import Context

lzma: ModuleType | None
try:
    import lzma
except ImportError:  # a Python built without it
    lzma = None

VERSION = "kfpkg"
LIST = "flash-list.json"
FLASH_BYTES = 16 << 20
MAX_LIST = 64 << 10
MAX_ENTRIES = 256
MAX_MEMBERS = 4096
SECTOR = 4096

KNOWN_VERSIONS = "0.1.0", "0.1.1"
_METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, OverflowError, NotImplementedError,
               RuntimeError, KeyError, IndexError, MemoryError, *([lzma.LZMAError] if lzma else []))
_ADVICE = "the package is damaged: download it again, or make it again with kflash"


@dataclass(frozen=True)
class Entry:
    """One binary of a package.

    Attributes
    ----------
    address : byte offset in the flash.
    name : file name in the archive.
    data : the bare payload.
    sha256_prefix : kflash adds an AES flag, the length and a SHA-256 when writing (firmware).
    identity : what the payload is.
    reverse_words : the flasher reverses the bytes of every 32-bit word when writing, as ``load_flash`` wants models.
    """

    address: int
    name: str
    data: bytes
    sha256_prefix: bool
    identity: Identity
    reverse_words: bool = False


@dataclass(frozen=True)
class Package:
    """A checked package; ``models`` are the entries that are kmodels."""

    source: str
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]

    @property
    def models(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.identity.kind in ("v3", "v4", "v5", "v3-swapped", "v4-swapped"))


def load_kfpkg(data: bytes, source: str = "") -> Package:
    """Read a package from its bytes; ModelError says what is wrong.

    No member may be larger than the flash (16 MiB) and all listed ones together no larger than twice that.
    """
    context = Context(source, VERSION)
    # zipfile reads the whole directory at once; a hostile one takes far more memory than its bytes.
    members = data.count(b"PK\1\2")
    if members > MAX_MEMBERS:
        context.fail(f"the zip archive has {members} members, more than {MAX_MEMBERS}", field="members", advice=_ADVICE)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _package(context, archive)
    except ModelError:
        raise
    except _ZIP_ERRORS as error:
        context.fail(f"the zip archive cannot be read ({str(error)[:120]})", advice=_ADVICE)


def _short(name: str) -> str:
    """A member's name for messages; an archive may hold names of 64 KiB."""
    return repr(name[:80])


def _package(context: Context, archive: zipfile.ZipFile) -> Package:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in members:
            context.fail(f"two members are called {_short(info.filename)}", field="member", advice=_ADVICE)
        members[info.filename] = info
    if LIST not in members:
        inside = next((name for name in members if name.endswith("/" + LIST)), None)
        context.fail(f"the zip archive holds no {LIST}" + (f" at its root, where kflash wants it, but {_short(inside)}"
                                                           if inside else ", so it is no kfpkg"), field=LIST,
                     advice="pack the files without their folder" if inside else "give a .kmodel or a .kfpkg file")
    files = _flash_list(context, _read(context, archive, members[LIST], MAX_LIST))
    entries = []
    total = 0
    for i, item in enumerate(files):
        address, name, prefix, reverse = _entry(context, i, item)
        if name not in members:
            context.fail(f"files[{i}].bin = {name!r} is not in the archive", field="bin", advice=_ADVICE)
        payload = _read(context, archive, members[name], FLASH_BYTES)
        total += len(payload)
        if total > 2 * FLASH_BYTES:
            context.fail(f"the listed files have more than {2 * FLASH_BYTES >> 20} MiB", field="files", advice=_ADVICE)
        if address + len(payload) > FLASH_BYTES:
            context.fail(f"files[{i}] {name!r} ends at {address + len(payload):#x}, behind the flash", field="address",
                         advice=_ADVICE)
        if address % SECTOR:
            context.warn(f"files[{i}].address = {address:#x} is not a multiple of {SECTOR}")
        entries.append(Entry(address, name, payload, prefix, identify(payload, name), reverse))
    _warn_overlaps(context, entries)
    return Package(context.source, tuple(entries), tuple(context.warnings))


def _read(context: Context, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of a member, no more than ``limit`` of them."""
    if info.compress_type not in _METHODS:
        context.fail(f"member {_short(info.filename)} uses compression method {info.compress_type}", field="member",
                     advice="pack it again with deflate")
    if info.flag_bits & 1:
        context.fail(f"member {_short(info.filename)} is encrypted", field="member", advice="pack it without password")
    if info.file_size > limit:
        context.fail(f"member {_short(info.filename)} has {info.file_size} bytes, more than {limit}", field="member",
                     advice=_ADVICE)
    with archive.open(info) as stream:
        payload = stream.read(limit + 1)
    if len(payload) != info.file_size:
        context.fail(f"member {_short(info.filename)} has {len(payload)} bytes, not the {info.file_size} it states",
                     field="member", advice=_ADVICE)
    return payload


_JSON_STRING = r'"(?:[^"\\]|\\.)*"'


def _plain_json(text: str) -> str:
    """Without comments and trailing commas, and with the hexadecimal numbers, which JSON lacks, as strings."""
    text = re.sub(rf"({_JSON_STRING})|//[^\n]*|/\*.*?(?:\*/|\Z)", lambda m: m[1] or " ", text, flags=re.DOTALL)
    text = re.sub(rf"({_JSON_STRING})|,(?=\s*[}}\]])", lambda m: m[1] or "", text)
    return re.sub(rf"({_JSON_STRING})|\b(0[xX][0-9a-fA-F]+)\b", lambda m: m[1] or f'"{m[2]}"', text)


def _keys_in_lower_case(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {key.lower(): value for key, value in pairs}


def _flash_list(context: Context, raw: bytes) -> list:
    """The list of files."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("gb18030", errors="replace")  # what Windows writes in China
    try:
        parsed = json.loads(_plain_json(text), object_pairs_hook=_keys_in_lower_case)
    except (ValueError, RecursionError) as error:
        context.fail(f"{LIST} is no JSON ({str(error)[:120]})", field=LIST, advice=_ADVICE)
    files = parsed.get("files") if isinstance(parsed, dict) else None
    if not isinstance(files, list) or len(files) > MAX_ENTRIES:
        context.fail(f"{LIST} has no list \"files\" of at most {MAX_ENTRIES} entries", field="files", advice=_ADVICE)
    version = parsed.get("version", KNOWN_VERSIONS[0])
    if version not in KNOWN_VERSIONS:
        context.warn(f"the package has the version {str(version)[:20]!r}; known are {' and '.join(KNOWN_VERSIONS)}")
    return files


def _number(value: object) -> object:
    """A number as the flashers read it: an integer, an integral float, or a string of either; else as it was."""
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            pass
        try:
            value = float(value)
        except ValueError:
            return value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _entry(context: Context, index: int, item: object) -> tuple[int, str, bool, bool]:
    """(address, name, sha256Prefix, reverse4Bytes) of one list entry."""
    place = f"files[{index}]"
    if not isinstance(item, dict):
        context.fail(f"{place} is no object", field="files", advice=_ADVICE)
    address = _number(item.get("address"))
    if isinstance(address, str):
        context.fail(f"{place}.address = {address[:40]!r} is no number", field="address", advice=_ADVICE)
    if isinstance(address, bool) or not isinstance(address, int) or not 0 <= address < FLASH_BYTES:
        context.fail(f"{place}.address = {str(address)[:40]} is not within 0..{FLASH_BYTES - 1:#x}", field="address",
                     advice=_ADVICE)
    name = item.get("bin")
    parts = name.replace("\\", "/").split("/") if isinstance(name, str) else []
    if not isinstance(name, str) or len(name) > 255 or {"", ".", ".."} & set(parts) or re.search(r"[:\0]", name):
        context.fail(f"{place}.bin = {str(name)[:80]!r} is no name of a file inside the archive", field="bin",
                     advice=_ADVICE)
    flags = []
    for field in ("sha256Prefix", "reverse4Bytes"):
        value = item.get(field.lower(), False)
        if value not in (False, True):  # 0 and 1 are these
            context.fail(f"{place}.{field} = {str(value)[:40]!r} is neither true nor false", field=field,
                         advice=_ADVICE)
        flags.append(bool(value))
    has_digest, reversed_bytes = flags
    return address, "/".join(parts), has_digest, reversed_bytes


def _warn_overlaps(context: Context, entries: list[Entry]) -> None:
    ordered = sorted(entries, key=lambda e: e.address)
    for first, second in zip(ordered, ordered[1:], strict=False):
        if first.address + len(first.data) > second.address:
            context.warn(f"{first.name!r} and {second.name!r} overlap in the flash")
