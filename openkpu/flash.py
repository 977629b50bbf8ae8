# SPDX-License-Identifier: Apache-2.0
"""Images of the 16 MiB SPI flash: what is burnt where (spec/driver-api.md section 5, kmodel-format.md section 8)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openkpu.errors import ModelError, UsageError
from openkpu.files import read_file
from openkpu.kmodel import Entry, identify, load, load_kfpkg, model_size

FLASH_BYTES = 16 << 20
MAX_FILE = 2 * FLASH_BYTES  # a package may be larger than what it burns
SECTOR_BYTES = 4096
HEADER_BYTES = 40
FIRMWARE_HEADER = 5  # AES flag and length
DIGEST_BYTES = 32
# What models begin with, in both byte orders: v4 and v5; v3, whose third word is 0.
_MAGIC = re.compile(rb"(?s)(?=LDMK|KMDL|\x03\0\0\0.{4}\0{4}|\0\0\0\x03.{4}\0{4})")


@dataclass(frozen=True)
class Burnt:
    """A file in the flash: ``size`` bytes at ``offset``."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class FlashModel:
    """A model, or firmware, found in the flash: ``size`` bytes at ``offset``."""

    offset: int
    description: str
    size: int


class Flash:
    """16 MiB, erased to 0xFF."""

    def __init__(self):
        self._bytes = np.full(FLASH_BYTES, 0xFF, np.uint8)
        self.burnt: list[Burnt] = []

    def burn(self, offset: int, data: bytes, name: str) -> None:
        """Write a file.

        Raises
        ------
        UsageError
            It does not fit into the flash, or overlaps a file already there.
        """
        if not 0 <= offset <= FLASH_BYTES - len(data):
            raise UsageError(f"{name}: {len(data)} bytes at {offset:#x} do not fit into the flash of {FLASH_BYTES} "
                             "bytes")
        for other in self.burnt:
            if offset < other.offset + other.size and other.offset < offset + len(data):
                raise UsageError(f"{name} at {offset:#x} overlaps {other.name}, which takes {other.offset:#x} to "
                                 f"{other.offset + other.size:#x}; choose another offset for one of them")
        self._bytes[offset:offset + len(data)] = np.frombuffer(data, np.uint8)
        self.burnt.append(Burnt(name, offset, len(data)))

    def burn_argument(self, text: str, alone: bool = False) -> None:
        """Burn what an argument names: ``PACKAGE.kfpkg``, ``FILE@OFFSET`` or ``OFFSET=FILE``.

        A file without an offset must be a kfpkg or a whole flash image (burnt from address 0); if it is to be ``alone``
        in the flash, it may begin with a kmodel.

        Raises
        ------
        UsageError, ModelError
            The file is missing, damaged, too large, or needs an offset.
        """
        path, offset = _split_argument(text)
        try:
            data = read_file(path, MAX_FILE)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        if data[:2] == b"PK":
            self._burn_package(path, data, offset)
        elif offset is not None:
            self.burn(offset, data, path)
        elif not alone and identify(data).kind.startswith(("v3", "v4", "v5")):
            raise UsageError(f"{text}: a kmodel needs an address, such as {text}@0x300000")
        else:
            self.burn(0, data, path)

    def _burn_package(self, path: str, data: bytes, offset: int | None) -> None:
        if offset is not None:
            raise UsageError(f"{path}@{offset:#x}: a kfpkg holds its own addresses; give it without an offset")
        for entry in load_kfpkg(data, path).entries:
            self.burn(entry.address, burnt_bytes(entry), f"{path}!{entry.name}")

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite, as a running script does.

        Raises
        ------
        ValueError
            The range leaves the flash.
        """
        self.read(offset, len(data))
        self._bytes[offset:offset + len(data)] = np.frombuffer(bytes(data), np.uint8)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the flash.

        Raises
        ------
        ValueError
            The range leaves the flash.
        """
        if offset < 0 or size < 0 or offset + size > FLASH_BYTES:
            raise ValueError(f"flash range {offset:#x}+{size} leaves the flash of {FLASH_BYTES:#x} bytes")
        return self._bytes[offset:offset + size].tobytes()

    def models(self, progress: Callable[[int], None] = lambda offset: None) -> list[FlashModel]:
        """Every model, by offset: at sector starts, where a file was burnt, and, if it is sound, anywhere else.

        ``progress`` is told the offset the search has come to.
        """
        likely = {*range(0, FLASH_BYTES, SECTOR_BYTES), *(file.offset for file in self.burnt)}
        content = self._bytes.tobytes()
        candidates = sorted(likely | {match.start() for match in _MAGIC.finditer(content)})
        found: list[FlashModel] = []
        end = 0
        for offset in candidates:
            if offset not in likely and offset < end:
                continue
            progress(offset)
            model = self._model_at(memoryview(content), offset, offset not in likely)
            if model is not None:
                found.append(model)
                end = max(end, offset + model.size)
        return found

    def _model_at(self, content: memoryview, offset: int, must_load: bool) -> FlashModel | None:
        head = bytes(content[offset:offset + HEADER_BYTES])
        if len(head) < HEADER_BYTES or head[0] == 0xFF:
            return None
        kind = identify(head)
        if not kind.loadable or kind.kind == "zip":
            return None
        try:
            size = model_size(content[offset:])
            if offset + size > FLASH_BYTES:
                return None
            if must_load:
                load(content[offset:offset + size])
        except ModelError:
            return None
        return FlashModel(offset, kind.description, size)

    def firmware(self) -> FlashModel | None:
        """The firmware at address 0, if there is one; the description says whether its SHA-256 is right."""
        flag, size = self._bytes[0], int.from_bytes(self.read(1, 4), "little")
        total = FIRMWARE_HEADER + size + DIGEST_BYTES
        if flag > 1 or size == 0 or total > FLASH_BYTES or identify(self.read(0, HEADER_BYTES)).loadable:
            return None
        image = self.read(0, total)
        right = hashlib.sha256(image[:-DIGEST_BYTES]).digest() == image[-DIGEST_BYTES:]
        cipher = "encrypted firmware" if flag else "firmware"
        return FlashModel(0, f"{cipher}, SHA-256 {'correct' if right else 'WRONG: damaged, burn it again'}", total)

    def contents(self, progress: Callable[[int], None] = lambda offset: None) -> list[FlashModel]:
        """Firmware and models, by offset; ``progress`` as for :meth:`models`."""
        firmware = self.firmware()
        inside = firmware.size if firmware else 0
        return ([firmware] if firmware else []) + [m for m in self.models(progress) if m.offset >= inside]

    def image(self, full: bool = False) -> bytes:
        """The bytes from address 0 to the end of the last sector in use, or all 16 MiB."""
        used = np.flatnonzero(self._bytes != 0xFF)
        ends = [file.offset + file.size for file in self.burnt]
        end = max([int(used[-1]) + 1 if used.size else 0, *ends])
        return self.read(0, FLASH_BYTES if full else -(-end // SECTOR_BYTES) * SECTOR_BYTES)


def burnt_bytes(entry: Entry) -> bytes:
    """What the burner writes for an entry of a kfpkg.

    Firmware gets a header (AES flag, length) and a SHA-256. With ``reverse4Bytes`` the bytes of every 32-bit word are
    reversed first; an incomplete last word is filled with zeros.
    """
    data = entry.data
    if entry.reverse_words:
        data = np.frombuffer(data + bytes(-len(data) % 4), "<u4").byteswap().tobytes()
    if not entry.sha256_prefix:
        return data
    image = b"\0" + len(data).to_bytes(4, "little") + data
    return image + hashlib.sha256(image).digest()


def parse_number(text: str) -> int | None:
    """A decimal or 0x-hexadecimal number below 2^63, None if it is something else."""
    if not re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", text):
        return None
    base = 16 if text[:2] in ("0x", "0X") else 10
    digits = text[2:] if base == 16 else text
    return int(digits, base) if len(digits.lstrip("0")) < 16 else None


def _split_argument(text: str) -> tuple[str, int | None]:
    number = r"(0[xX][0-9a-fA-F]+|[0-9]+)"
    if match := re.fullmatch(rf"(.+)@{number}", text, re.DOTALL):
        path, offset = match[1], match[2]
    elif match := re.fullmatch(rf"{number}=(.+)", text, re.DOTALL):
        path, offset = match[2], match[1]
    else:
        return text, None
    value = parse_number(offset)
    if value is None:
        raise UsageError(f"{path}: its offset of {len(offset)} digits is outside the flash of {FLASH_BYTES} bytes")
    return path, value


def describe(flash: Flash) -> str:
    """One sentence: where the flash holds models."""
    found = flash.models()
    if not found:
        return "the flash image holds no model at all; burn one with --flash FILE@OFFSET"
    return "models are at " + ", ".join(f"{model.offset:#x} ({model.description})" for model in found)
