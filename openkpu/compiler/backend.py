# SPDX-License-Identifier: Apache-2.0
"""The back end: from a program to the bytes of a kmodel, checked by reading them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..kmodel import load
from ..kmodel.model import Model
from ..kmodel.summary import describe
from ..kmodel.v3.writer import write as write_v3
from ..kmodel.v4.writer import write as write_v4
from ..kmodel.v5.encoder import Unencodable
from ..kmodel.v5.stackvm import RELEASES
from ..kmodel.v5.writer import write as write_v5
from .errors import CompileError
from .limits import Chip
from .lower.base import Lowered, Lowering, PlacedMap, lower
from .lower.v3 import LoweringV3
from .lower.v4 import LoweringV4
from .lower.v5 import LoweringV5
from .program import Program


class Format(NamedTuple):
    """How a file format is made."""

    lowering: type[Lowering]
    write: Callable[[Model], bytes]


FORMATS = {"v3": Format(LoweringV3, write_v3), "v4": Format(LoweringV4, write_v4), "v5": Format(LoweringV5, write_v5)}


@dataclass(frozen=True, eq=False)
class Compiled:
    """A kmodel.

    Attributes
    ----------
    data : the file.
    model : what ``openkpu.kmodel.load`` makes of it.
    steps : the program's step behind each of ``model.layers``.
    maps : where the maps lie in the AI RAM, and from which layer to which.
    """

    data: bytes
    model: Model
    steps: tuple[str, ...]
    maps: tuple[PlacedMap, ...]


def compile_program(program: Program, version: str = "v4", chip: Chip | None = None, source: str = "",
                    release: str = "") -> Compiled:
    """Plan, lower and write a program. ``release``: of nncase, whose runtime shall read a v5 file; none: the last.

    Raises
    ------
    CompileError : the program contradicts itself, the format lacks an operator, or it does not fit; the message names
        the step and what would help.
    """
    chip = chip or Chip()
    if version not in FORMATS:
        raise CompileError(f"there is no format {version!r}; choose one of {', '.join(FORMATS)}")
    if release and (version != "v5" or release not in RELEASES):
        raise CompileError(f"a release is for v5 and one of {', '.join(RELEASES)}, not {release!r} for {version}")
    program.check()
    found: Lowered = lower(FORMATS[version].lowering, program, chip)
    try:
        data = write_v5(found.model, release) if release else FORMATS[version].write(found.model)
    except Unencodable as error:
        raise CompileError(f"{error}; compile for a newer release, or end the network earlier (--outputs)") from error
    model = load(data, source=source, release=release or None)
    memory = describe(model)["memory"]
    if memory["total"] > chip.main_bytes:
        raise CompileError(f"{found.fullest}: the file ({memory['model']:,} bytes) and its working memory "
                           f"({memory['main']:,}, most of it at this step) exceed the chip's {chip.main_bytes:,} bytes "
                           "of RAM; make the network narrower, or let less of it run on the host")
    return Compiled(data, model, found.steps, found.maps)
