"""Reader of .kfpkg packages, the ZIP archives that kflash writes (spec/kmodel-format.md section 8)."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass

from ..errors import ModelError
from .identify import Identity, identify
from .reader import Context

VERSION = "kfpkg"
LIST = "flash-list.json"
FLASH_BYTES = 16 << 20
MAX_LIST = 64 << 10
MAX_ENTRIES = 256
MAX_MEMBERS = 4096
SECTOR = 4096

_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, OverflowError, NotImplementedError,
               RuntimeError, KeyError, IndexError)
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
    """

    address: int
    name: str
    data: bytes
    sha256_prefix: bool
    identity: Identity


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
        context.fail(f"the zip archive holds no {LIST}, so it is no kfpkg", field=LIST,
                     advice="give a .kmodel or a .kfpkg file")
    files = _flash_list(context, _read(context, archive, members[LIST], MAX_LIST))
    entries = []
    total = 0
    for i, item in enumerate(files):
        address, name, prefix = _entry(context, i, item)
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
        entries.append(Entry(address, name, payload, prefix, identify(payload, name)))
    _warn_overlaps(context, entries)
    return Package(context.source, tuple(entries), tuple(context.warnings))


def _read(context: Context, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of a member, no more than ``limit`` of them."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
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


def _flash_list(context: Context, raw: bytes) -> list:
    """The list of files. Addresses are often hexadecimal literals, which JSON lacks, so they are quoted first."""
    try:
        text = re.sub(r'("address"\s*:\s*)(0[xX][0-9a-fA-F]+)', r'\1"\2"', raw.decode("utf-8-sig"))
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        context.fail(f"{LIST} is no JSON ({str(error)[:120]})", field=LIST, advice=_ADVICE)
    files = parsed.get("files") if isinstance(parsed, dict) else None
    if not isinstance(files, list) or len(files) > MAX_ENTRIES:
        context.fail(f"{LIST} has no list \"files\" of at most {MAX_ENTRIES} entries", field="files", advice=_ADVICE)
    return files


def _entry(context: Context, index: int, item: object) -> tuple[int, str, bool]:
    """(address, name, sha256Prefix) of one list entry."""
    place = f"files[{index}]"
    if not isinstance(item, dict):
        context.fail(f"{place} is no object", field="files", advice=_ADVICE)
    address, name, prefix = item.get("address"), item.get("bin"), item.get("sha256Prefix", False)
    if isinstance(address, str):
        try:
            address = int(address, 0)
        except ValueError:
            context.fail(f"{place}.address = {address[:40]!r} is no number", field="address", advice=_ADVICE)
    if isinstance(address, bool) or not isinstance(address, int) or not 0 <= address < FLASH_BYTES:
        context.fail(f"{place}.address = {str(address)[:40]} is not within 0..{FLASH_BYTES - 1:#x}", field="address",
                     advice=_ADVICE)
    if not isinstance(name, str) or not 0 < len(name) < 256 or name in (".", "..") or re.search(r"[/\\:\0]", name):
        context.fail(f"{place}.bin = {str(name)[:80]!r} is no plain file name", field="bin", advice=_ADVICE)
    if not isinstance(prefix, bool):
        context.fail(f"{place}.sha256Prefix = {str(prefix)[:40]!r} is neither true nor false", field="sha256Prefix",
                     advice=_ADVICE)
    return address, name, prefix


def _warn_overlaps(context: Context, entries: list[Entry]) -> None:
    ordered = sorted(entries, key=lambda e: e.address)
    for first, second in zip(ordered, ordered[1:], strict=False):
        if first.address + len(first.data) > second.address:
            context.warn(f"{first.name!r} and {second.name!r} overlap in the flash")
