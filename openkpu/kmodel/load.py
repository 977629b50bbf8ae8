# SPDX-License-Identifier: Apache-2.0
"""Reading any model file: identification, byte order, packages (spec/kmodel-format.md sections 1, 3.8, 8)."""

from __future__ import annotations

import errno
from importlib import import_module
from os import PathLike
from types import ModuleType

import numpy as np

from ..errors import ModelError
from ..files import read_file
from .identify import identify
from .kfpkg import load_kfpkg
from .model import Model
from .reader import MAX_FILE, Context

_TOO_LARGE = (f"{{}}the file has more than {MAX_FILE >> 20} MiB, but the K210's flash holds 16 MiB; give the model "
              "file itself")

def _format(version: str) -> ModuleType:
    """The loader of "v3", "v4" or "v5", imported when a file needs it."""
    return import_module(f".{version}.loader", __package__)


def load(model: str | PathLike | bytes | memoryview, *, source: str | None = None, member: str | None = None,
         release: str | None = None, strict_math: bool = False) -> Model:
    """Load and check a model.

    Parameters
    ----------
    model : path of a .kmodel or .kfpkg file, or its bytes. Data behind the model is ignored with a warning, so bytes of
        a flash dump that start at the model are fine. Byte-swapped images are converted (``Model.byte_swapped``).
    source : name to use in messages; the path by default.
    member : which model of a package with several, as file name or flash address ("0x300000").
    release : v5 only: take this operator table (``openkpu.kmodel.v5.stackvm.RELEASES``) instead of the one that fits.
    strict_math : v5 only: where nncase miscompiled a slice, compute what the network means; the default computes what
        the vendor's runtimes do with the file, with a warning in ``Model.warnings``.

    Raises
    ------
    ModelError : the file cannot be read, is damaged, not supported, or no model; the message says which and what to do.
    """
    data, name = _read(model, source)
    found = identify(data, name)
    if found.kind == "zip":
        data, name = _from_package(data, name, member)
        found = identify(data, name)
    elif member is not None:
        Context(name, found.description).fail(f"it has no member {member!r}, because it is no package",
                                              field="member", advice="leave the member out")
    if not found.loadable or found.kind == "zip":
        raise ModelError(f"{name + ': ' if name else ''}this is {found.description}; "
                         f"{found.hint or 'packages inside packages are not read'}",
                         source=name, version=found.description, offset=0, field="identifier")
    version = found.kind.removesuffix("-swapped")
    swapped = version != found.kind
    view = memoryview(_restore_byte_order(data) if swapped else data)
    if version == "v5":
        return _format("v5").load(view, name, release=release, strict_math=strict_math)
    return _format(version).load(view, name, byte_swapped=swapped)


def model_size(data: bytes | memoryview, source: str = "") -> int:
    """Bytes of the model that starts at the beginning of ``data``, for instance at an address of a flash dump.

    Only headers and tables are checked. The result may exceed ``len(data)``: then the model is cut off (up to 7 bytes
    of final padding may be missing from intact v3 and v4 files).

    Raises
    ------
    ModelError : no loadable model starts here.
    """
    found = identify(data, source)
    if not found.loadable or found.kind == "zip":
        raise ModelError(f"{source + ': ' if source else ''}this is {found.description}; "
                         f"{found.hint or 'a package has no flash length'}", source=source, version=found.description)
    version = found.kind.removesuffix("-swapped")
    view = memoryview(_restore_byte_order(data) if version != found.kind else data)
    loader = _format(version)
    return loader.measure(view, Context(source, loader.VERSION))


def _read(model: str | PathLike | bytes | memoryview, source: str | None) -> tuple[bytes, str]:
    """(bytes, name for messages)."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        data, name = bytes(model), source or ""
    else:
        name = source or str(model)
        try:
            data = read_file(model, MAX_FILE)
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise ModelError(_TOO_LARGE.format(f"{name}: "), source=name) from error
            raise ModelError(f"{name}: cannot be read ({error.strerror}); check the path", source=name) from error
    if len(data) > MAX_FILE:
        raise ModelError(_TOO_LARGE.format(f"{name}: " if name else ""), source=name)
    return data, name


def _restore_byte_order(data: bytes | memoryview) -> bytes:
    """Reverse the bytes of every aligned 32-bit word; an incomplete last word is dropped."""
    return np.frombuffer(data, "<u4", len(data) // 4).byteswap().tobytes()


def _from_package(data: bytes, source: str, member: str | None) -> tuple[bytes, str]:
    """The bytes of one model of a package, and its name."""
    package = load_kfpkg(data, source)
    context = Context(source, "kfpkg")
    listing = ", ".join(f"{e.name} at {e.address:#x}" for e in package.models[:8])
    chosen = [e for e in package.models if member is None or member in (e.name, hex(e.address), str(e.address))]
    if not package.models:
        others = ", ".join(f"{e.name} is {e.identity.description}" for e in package.entries[:4])
        context.fail(f"the package holds no model that can be loaded ({others or 'it is empty'})", field="files",
                     advice="give a package with a kmodel v3, v4 or v5")
    if not chosen:
        context.fail(f"the package holds no model {member!r}", field="member", advice=f"choose one of {listing}")
    if len(chosen) > 1:
        context.fail(f"the package holds {len(chosen)} models", field="member", advice=f"choose one of {listing}")
    return chosen[0].data, f"{source}!{chosen[0].name}"
