# SPDX-License-Identifier: Apache-2.0
"""How Yosys maps the KPU to an ECP5: ``tools/synth.py`` and ``openkpu board build`` do the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from .sources import INCLUDE, RTL, below

CELLS = "read_verilog -lib -specify +/lattice/cells_sim_ecp5.v +/lattice/cells_bb_ecp5.v\n"
# LUTs of a cell: a carry cell takes two, a 16x4 LUT RAM four.
LUTS = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}
COLUMNS: dict[str, Mapping[str, int]] = {
    "LUTs": LUTS, "flip-flops": {"TRELLIS_FF": 1}, "18x18": {"MULT18X18D": 1}, "block RAM": {"DP16KD": 1}}


# What a path within a module may take, in cells and 300 ps for every net. Without an aim ABC makes everything as
# fast as it can, which costs a sixth more LUTs in wide multiplexers; with 7 ns some paths across modules get longer
# than all others.
PATH_PS = 5500

ARITHMETIC = RTL / "synth" / "ecp5_arith.v"


def stage(top: str, folder: Path) -> str:
    """Copy a module with all below it, the includes and ``ARITHMETIC`` into a folder; the command that reads it there.

    The tools in WebAssembly see nothing outside the folder they run in.
    """
    sources = below([top])
    for file in (*sources, *INCLUDE.glob("*.vh"), ARITHMETIC):
        shutil.copy(file, folder / file.name)
    return f"read_verilog -defer -I. {' '.join(path.name for path in sources)}\n"


def map_commands(arithmetic: str) -> str:
    """Yosys commands that turn a design read with ``CELLS`` into cells of an ECP5, module by module.

    Parameters
    ----------
    arithmetic : the file with the rules for sums and byte products, ``rtl/synth/ecp5_arith.v``.
    """
    multiply = " ".join(f"-D DSP_{side}_{limit}" for side in "AB" for limit in ("MAXWIDTH=18", "MINWIDTH=4"))
    return (
        # Products of the array go to multipliers in pairs, what else is 8x8 and all sums to carry chains.
        "proc\nopt\nwreduce\npeepopt\nopt_clean\n"
        f"techmap -map {arithmetic} t:kpu_two_products\nwreduce\ntechmap -map {arithmetic} t:$mul\n"
        f"techmap -map +/mul2dsp.v -map +/lattice/dsp_map_18x18.v {multiply} -D DSP_NAME=$__MUL18X18\n"
        "chtype -set $mul t:$__soft_mul\n"
        f"techmap -map {arithmetic}\n"
        # Wide LUTs cost as much area as the LUTs they are made of, and Yosys uses them lavishly. Every module is mapped
        # once, not every instance.
        f"scratchpad -set abc9.D {PATH_PS}\nsynth_lattice -family ecp5 -nodsp -nowidelut -noflatten -run coarse:\n")


def module_cells(modules: Mapping[str, Mapping], top: str) -> dict[str, dict[str, int]]:
    """Cells per module, all its instances together, with what is in it: ``stat -json`` before flattening.

    Parameters
    ----------
    modules : "modules" of the report.
    top : name of the top module.

    Returns
    -------
    The RTL's name of a module -> a column of ``COLUMNS`` -> how many. Verilog parameters are not told apart.
    """
    found: dict[str, dict[str, int]] = {}

    def count(name: str, times: int) -> dict[str, int]:
        total = dict.fromkeys(COLUMNS, 0)
        for cell, number in modules[name]["num_cells_by_type"].items():
            # Yosys 0.70 writes a module's name with the backslash of public names, and the kind of its cells without.
            kind = cell if cell in modules else f"\\{cell}"
            inner = count(kind, times * number) if kind in modules else {
                column: weights.get(cell, 0) for column, weights in COLUMNS.items()}
            for column in COLUMNS:
                total[column] += number * inner[column]
        mine = found.setdefault(_plain(name), dict.fromkeys(COLUMNS, 0))
        for column in COLUMNS:
            mine[column] += times * total[column]
        return total

    count(next(name for name in modules if _plain(name) == top), 1)
    return found


def _plain(name: str) -> str:
    """The RTL's own name of a parameterised module."""
    return next(part for part in name.split("\\") if part and not part.startswith("$")).split("/")[0]
