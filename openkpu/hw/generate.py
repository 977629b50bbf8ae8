# SPDX-License-Identifier: Apache-2.0
"""Writes what other languages need to know of ``fields`` and ``signals``: ``python -m openkpu.hw.generate [--check]``.

Produces the Verilog includes, the C header and the register reference. ``--check`` writes nothing and fails when a file
is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from . import fields
from .fields import BLOCKS, DESCRIPTOR, DESCRIPTORS, Block, Field, Register
from .signals import BUSES, Bus

ROOT = Path(__file__).resolve().parents[2]
LICENCE = "SPDX-License-Identifier: Apache-2.0"
NOTE = "Generated from openkpu/hw/fields.py by `python -m openkpu.hw.generate`; do not edit."
BUS_ADDRESSES = 0x4000_0000  # where the chip's address map begins
ENCODINGS = {"u": "unsigned", "s": "two's complement", "m1": "value minus one"}


def _addresses() -> Iterator[tuple[str, int]]:
    for name, value in vars(fields).items():
        if name.endswith("_BASE") and value >= BUS_ADDRESSES:
            yield name, value


def verilog() -> str:
    """The include: ``KPU_R_<register>`` offsets, ``KPU_<prefix>_<field>`` of descriptors, ``_LSB``/``_W`` of fields."""
    lines = [f"// {LICENCE}", f"// {NOTE}",
             "// Include it inside a module. No module uses all of it, which is no mistake.",
             "/* verilator lint_save */",
             "/* verilator lint_off UNUSEDPARAM */"]
    for name, value in _addresses():
        lines.append(f"localparam [31:0] KPU_{name} = 32'h{value:08x};")
    for block in BLOCKS:
        lines += ["", f"// {block.title}"]
        for register in block.registers:
            name = f"KPU_R_{register.name.upper()}"
            lines.append(f"localparam [15:0] {name} = 16'h{block.base + register.offset:04x};")
            if register.reset:
                lines.append(f"localparam [63:0] {name}_RESET = 64'h{register.reset:x};")
            lines += _verilog_fields(name, register.fields)
        if block.copies > 1:
            name = f"KPU_R_{_common(block.registers)}"
            lines += [f"localparam integer {name}_COPIES = {block.copies};",
                      f"localparam integer {name}_STRIDE = {block.stride};"]
    for title, prefix, table in DESCRIPTORS:
        lines += ["", f"// {title}"]
        for arg in table:
            name = f"KPU_{prefix}_{arg.field.name.upper()}"
            lines.append(f"localparam integer {name}_WORD = {arg.word};")
            lines += _verilog_fields(name, (arg.field,), own_name=True)
    return "\n".join([*lines, "/* verilator lint_restore */", ""])


def _verilog_fields(name: str, table: tuple[Field, ...], own_name: bool = False) -> Iterator[str]:
    for field in table:
        full = name if own_name else f"{name}_{field.name.upper()}"
        yield f"localparam integer {full}_LSB = {field.lsb};"
        yield f"localparam integer {full}_W = {field.width};"


def _common(registers: tuple[Register, ...]) -> str:
    """What the names of a repeated block share, without the trailing underscore: its name."""
    names = [r.name for r in registers]
    shared = next(i for i in range(len(names[0])) if len({n[: i + 1] for n in names}) > 1)
    return names[0][:shared].rstrip("_").upper()


def descriptor_wires() -> str:
    """The include of ``kpu_descriptor``: one wire ``d_<field>`` per field of ``words``, "minus one" undone."""
    lines = [f"// {LICENCE}", f"// {NOTE}",
             "// The fields of a layer descriptor, with their true values. Include it in a module with `words`.",
             "/* verilator lint_save */",
             "/* verilator lint_off UNUSEDSIGNAL */"]
    for arg in DESCRIPTOR:
        f = arg.field
        bits = f"words[{64 * arg.word + f.lsb} +: {f.width}]"
        if f.enc == "m1":
            wire, value = f"wire [{f.width}:0]", f"{{1'b0, {bits}}} + {f.width + 1}'d1"
        else:
            sign = " signed" if f.enc == "s" else ""
            wire, value = f"wire{sign} [{f.width - 1}:0]" if f.width > 1 else "wire", bits
        lines.append(f"{wire} d_{f.name} = {value};  // {f.doc}".removesuffix("  // "))
    return "\n".join([*lines, "/* verilator lint_restore */", ""])


def bus(table: Bus) -> str:
    """The include of a bus: ``<PREFIX>_<FIELD>`` is the bits of a field, ``<NAME>_W`` the width."""
    guard = f"KPU_{table.name.upper()}_VH"
    note = NOTE.replace("fields.py", "signals.py")
    lines = [f"// {LICENCE}", f"// {note}", f"// {table.title}", f"`ifndef {guard}", f"`define {guard}", ""]
    for signal, low in table.ranges():
        macro = f"`define {table.prefix}_{signal.name}"
        lines.append(f"{macro:24} {f'{low + signal.width - 1}:{low}':9} // {signal.doc}".rstrip(" /"))
    return "\n".join([*lines, "", f"`define {table.name.upper()}_W {table.width}", "", "`endif", ""])


def header() -> str:
    """The C header: ``OPENKPU_<register>`` offsets, ``_LSB``/``_MASK`` of fields (mask before shifting)."""
    lines = [f"/* {LICENCE} */", f"/* {NOTE} */", "#ifndef OPENKPU_REGS_H", "#define OPENKPU_REGS_H", ""]
    for name, value in _addresses():
        lines.append(f"#define OPENKPU_{name} 0x{value:08x}u")
    for block in BLOCKS:
        lines += ["", f"/* {block.title} */"]
        for register in block.registers:
            name = f"OPENKPU_{register.name.upper()}"
            lines += [f"/* {register.access}: {register.doc} */",
                      f"#define {name} 0x{block.base + register.offset:04x}u"]
            lines += _c_fields(name, register.fields)
        if block.copies > 1:
            name = f"OPENKPU_{_common(block.registers)}"
            lines += [f"#define {name}_COPIES {block.copies}u", f"#define {name}_STRIDE {block.stride}u"]
    offsets = [f"0x{block.base + copy * block.stride + register.offset:x}u" for block in BLOCKS
               if block.title.startswith("KPU") for copy in range(block.copies) for register in block.registers]
    lines += ["", "/* Every offset behind OPENKPU_REGS_BASE at which the KPU has a register. */",
              "#define OPENKPU_KPU_OFFSETS { \\",
              *(f"    {', '.join(offsets[n:n + 10])}, \\" for n in range(0, len(offsets), 10)), "}"]
    for title, prefix, table in DESCRIPTORS:
        lines += ["", f"/* {title} */"]
        for arg in table:
            name = f"OPENKPU_{prefix}_{arg.field.name.upper()}"
            lines.append(f"#define {name}_WORD {arg.word}u")
            lines += _c_fields(name, (arg.field,), own_name=True)
    return "\n".join([*lines, "", "#endif", ""])


def _c_fields(name: str, table: tuple[Field, ...], own_name: bool = False) -> Iterator[str]:
    for field in table:
        full = name if own_name else f"{name}_{field.name.upper()}"
        yield f"#define {full}_LSB {field.lsb}u"
        yield f"#define {full}_MASK 0x{field.mask:x}u{'ll' if field.width > 32 else ''}"


def markdown() -> str:
    """The register and descriptor reference."""
    lines = ["# Registers and descriptors", "", f"*{NOTE}*", "",
             "All registers are 64 bits wide and take whole 64-bit accesses. Bits that are not listed read 0.", "",
             "| what | bus address |", "|---|---|"]
    lines += [f"| {name} | 0x{value:08X} |" for name, value in _addresses()]
    for block in BLOCKS:
        lines += ["", f"## {block.title}", ""]
        if block.copies > 1:
            lines += [f"{block.copies} copies, 0x{block.stride:X} bytes apart; the offsets are those of copy 0.", ""]
        lines += ["| offset | register | access | reset | bits | field | meaning |", "|---|---|---|---|---|---|---|"]
        for register in block.registers:
            lines += _register_rows(block, register)
    for title, _, table in DESCRIPTORS:
        lines += ["", f"## {title}", "", "| word | bits | field | encoding | meaning |", "|---|---|---|---|---|"]
        lines += [f"| {a.word} | {_bits(a.field)} | {a.field.name} | {ENCODINGS[a.field.enc]} | {a.field.doc} |"
                  for a in table]
    return "\n".join([*lines, ""])


def _register_rows(block: Block, register: Register) -> Iterator[str]:
    reset = f"0x{register.reset:X}" if register.reset else "0"
    yield (f"| 0x{block.base + register.offset:04X} | **{register.name}** | {register.access} | {reset} | | "
           f"| {register.doc} |")
    for field in register.fields:
        yield f"| | | | | {_bits(field)} | {field.name} | {field.doc} |"


def _bits(field: Field) -> str:
    return f"[{field.lsb}]" if field.width == 1 else f"[{field.lsb + field.width - 1}:{field.lsb}]"


FILES: dict[str, Callable[[], str]] = {
    "rtl/include/kpu_fields.vh": verilog,
    "rtl/include/kpu_descriptor.vh": descriptor_wires,
    **{f"rtl/include/kpu_{table.name}.vh": partial(bus, table) for table in BUSES},
    "sim/include/openkpu_regs.h": header,
    "docs/registers.md": markdown,
}


def stale() -> list[str]:
    """Files (relative to the repository) that differ from what would be written."""
    return [name for name, text in FILES.items()
            if not (ROOT / name).is_file() or (ROOT / name).read_text() != text()]


def main(arguments: list[str]) -> int:
    """Write the files, or only compare them; the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m openkpu.hw.generate [--check]", file=sys.stderr)
        return 2
    old = stale()
    if arguments:
        for name in old:
            print(f"{name} is stale; run 'python -m openkpu.hw.generate'", file=sys.stderr)
        return 1 if old else 0
    for name in old:
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
