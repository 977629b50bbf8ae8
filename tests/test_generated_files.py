# SPDX-License-Identifier: Apache-2.0
"""The generated files say what openkpu.hw.fields says."""

from __future__ import annotations

import itertools
import re

import pytest

from openkpu.hw import generate
from openkpu.hw.fields import BLOCKS, DESCRIPTOR, DESCRIPTORS


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_file_is_current(name):
    assert name not in generate.stale(), "run 'python -m openkpu.hw.generate'"


def test_check_fails_on_a_stale_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "docs/registers.md is stale" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.title)
def test_registers_and_their_fields_do_not_overlap(block):
    offsets = [r.offset for r in block.registers]
    assert len(set(offsets)) == len(offsets) and all(offset % 8 == 0 for offset in offsets)
    assert block.copies == 1 or max(offsets) < block.stride
    for register in block.registers:
        for a, b in itertools.combinations(register.fields, 2):
            assert not (a.mask << a.lsb) & (b.mask << b.lsb), f"{register.name}: {a.name} and {b.name} overlap"
        assert all(f.lsb + f.width <= 64 for f in register.fields)


@pytest.mark.parametrize("table", [t for _, _, t in DESCRIPTORS], ids=[title for title, _, _ in DESCRIPTORS])
def test_descriptor_fields_do_not_overlap(table):
    for a, b in itertools.combinations(table, 2):
        if a.word == b.word:
            assert not (a.field.mask << a.field.lsb) & (b.field.mask << b.field.lsb), f"{a.field.name} {b.field.name}"


def test_verilog_and_c_names_are_unique_and_complete():
    for text, pattern in ((generate.verilog(), r"localparam .*?(\w+) ="), (generate.header(), r"#define (\w+) ")):
        names = re.findall(pattern, text)
        assert len(set(names)) == len(names)
        for arg in DESCRIPTOR:
            assert any(name.endswith(f"_D_{arg.field.name.upper()}_LSB") for name in names)
