# SPDX-License-Identifier: Apache-2.0
"""Two profiles side by side: of two models, or of one on two versions of the RTL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import read_file
from ..hw.device import KpuConfig
from ..kmodel import Model
from ..kmodel.summary import describe
from .layers import COLUMNS, Profiler

MAX_PROFILE = 64 << 20

Row = Mapping[str, Any]


def summary(model: Model, config: KpuConfig, profiler: Profiler, measured: bool) -> dict[str, Any]:
    """A profile as it is written to a file."""
    told = describe(model)
    return {"model": model.source, "config": vars(config), "layers": profiler.rows, "totals": profiler.totals(),
            "measured": measured, **{name: told[name] for name in ("format", "compiler", "weight_bits")}}


def read_profile(path: Path) -> dict[str, Any]:
    """A profile from a file; InputError if it is none."""
    try:
        told = json.loads(read_file(path, MAX_PROFILE))
        rows, totals = told["layers"], told["totals"]
        complete = all(set(COLUMNS) <= set(row) for row in rows) and "cycles" in totals
        named = isinstance(told["model"], str) and isinstance(told["config"]["name"], str) and "measured" in told
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: no profile ({type(error).__name__}: {error}); write one with openkpu profile "
                         "--json") from error
    if not (complete and named):
        raise InputError(f"{path}: a profile of another version; write it again with openkpu profile --json")
    return told


def pairs(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[int | None, int | None]]:
    """Numbers of the rows that belong together, in order: the same kind and shapes, or else the same place between
    such; None where one profile has no counterpart."""
    def keys(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        return [(row["kind"], row["pool"], *row["in_shape"], *row["out_shape"]) for row in rows]

    found: list[tuple[int | None, int | None]] = []
    for _, i, i_end, k, k_end in SequenceMatcher(None, keys(a), keys(b), autojunk=False).get_opcodes():
        both = min(i_end - i, k_end - k)
        found += [(i + n, k + n) for n in range(both)]
        found += [(n, None) for n in range(i + both, i_end)]
        found += [(None, n) for n in range(k + both, k_end)]
    return found


def change(a: Row | None, b: Row | None) -> str:
    """By how much B takes longer, in percent; "" if there is only one."""
    if a is None or b is None or not a["cycles"]:
        return ""
    return f"{100 * (b['cycles'] - a['cycles']) / a['cycles']:+.1f} %"
