# SPDX-License-Identifier: Apache-2.0
"""openkpu flash: build, list and take apart images of the SPI flash."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ..errors import UsageError
from ..flash import FLASH_BYTES, Flash, FlashModel, parse_number
from .files import write_whole
from .options import FILE, print_table, say

COLUMNS = "from", "to", "bytes", "what"


@click.group()
def flash() -> None:
    """Images of the K210's 16 MiB SPI flash."""


@flash.command()
@click.argument("out", type=FILE)
@click.argument("items", nargs=-1, required=True, metavar="FILE@OFFSET|KFPKG...")
@click.option("--full", is_flag=True, help="Write all 16 MiB, not only up to the last sector in use.")
def build(out: Path, items: tuple[str, ...], full: bool) -> None:
    """Write the image OUT with files at their offsets.

    \b
    openkpu flash build image.bin face.kmodel@0x300000 firmware.kfpkg
    """
    content = Flash()
    for item in items:
        content.burn_argument(item)
    data = content.image(full)
    write_whole(out, data)
    rows = [(f"{f.offset:#x}", f"{f.offset + f.size:#x}", f"{f.size:,}", f.name)
            for f in sorted(content.burnt, key=lambda f: f.offset)]
    print_table(("from", "to", "bytes", "file"), rows, right=("bytes",))
    say(f"{out}: {len(data):,} bytes")


@flash.command("ls")
@click.argument("image")
def list_(image: str) -> None:
    """List firmware and models in IMAGE (a flash image, a kfpkg or FILE@OFFSET)."""
    found = _contents(_read(image))
    if not found:
        say(f"{image}: no firmware and no model at any sector start")
        return
    print_table(COLUMNS, [(f"{m.offset:#x}", f"{m.offset + m.size:#x}", f"{m.size:,}", m.description) for m in found],
                right=("bytes",))


@flash.command()
@click.argument("image")
@click.argument("offset")
@click.argument("out", type=FILE)
@click.option("--size", help="Bytes to take; by default those of the model or firmware that begins at OFFSET.")
def extract(image: str, offset: str, out: Path, size: str | None) -> None:
    """Copy what begins at OFFSET of IMAGE (a flash image or a kfpkg) to the file OUT."""
    content, start = _read(image), _number("OFFSET", offset)
    if size is None:
        found = {m.offset: m for m in _contents(content)}
        if start not in found:
            places = ", ".join(f"{at:#x}" for at in found) or "nowhere"
            raise UsageError(f"{image}: neither a model nor firmware begins at {start:#x} (but at: {places}); "
                             "give one of these, or --size for other data")
        length = found[start].size
    else:
        length = _number("--size", size)
    if length < 1 or start + length > FLASH_BYTES:
        raise UsageError(f"{image}: {length} bytes from {start:#x} leave the flash of {FLASH_BYTES:#x} bytes; "
                         "give a smaller --size")
    write_whole(out, content.read(start, length))
    say(f"{out}: {length:,} bytes from {start:#x}")


def _read(image: str) -> Flash:
    content = Flash()
    content.burn_argument(image, alone=True)
    return content


def _contents(content: Flash) -> list[FlashModel]:
    """What the flash holds; with a progress bar on a terminal."""
    terminal = Console(stderr=True)
    with Progress(TextColumn("searching"), BarColumn(), console=terminal, transient=True,
                  disable=not terminal.is_terminal) as progress:
        task = progress.add_task("", total=FLASH_BYTES)
        return content.contents(lambda offset: progress.update(task, completed=offset))


def _number(what: str, text: str) -> int:
    value = parse_number(text)
    if value is None:
        raise UsageError(f"{what} {text} is no number of the flash; give one such as 0x300000")
    return value
