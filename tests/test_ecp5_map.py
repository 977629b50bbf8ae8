# SPDX-License-Identifier: Apache-2.0
"""rtl/synth/ecp5_arith.v, which builds the products of the array in synthesis: the same numbers as the RTL."""

from __future__ import annotations

import subprocess

import pytest

from openkpu.hw.sources import ROOT
from tb.bench import require_icarus

# The carry cell as Lattice documents it: the lower four bits of a table generate, all sixteen propagate.
CELL = """
module CCU2C (input CIN, A0, B0, C0, D0, A1, B1, C1, D1, output S0, S1, COUT);
    parameter [15:0] INIT0 = 0, INIT1 = 0;
    parameter INJECT1_0 = "NO", INJECT1_1 = "NO";
    wire p0 = INIT0[{D0, C0, B0, A0}], p1 = INIT1[{D1, C1, B1, A1}];
    wire middle = p0 ? CIN : INIT0[{2'd0, B0, A0}];
    assign S0 = p0 ^ CIN, S1 = p1 ^ middle, COUT = p1 ? middle : INIT1[{2'd0, B1, A1}];
endmodule
"""
BENCH = """
module bench;
    reg [7:0] x, a, b;
    wire [15:0] xa, xb;
    two_products both (.x(x), .a(a), .b(b), .xa(xa), .xb(xb));
    integer i, j, k, wrong;
    initial begin
        wrong = 0;
        for (i = 0; i < 256; i = i + 1) for (j = 0; j < 256; j = j + STEP) for (k = 0; k < 256; k = k + STEP) begin
            {x, a, b} = {i[7:0], j[7:0], k[7:0]};
            #1 if (xa != i * j || xb != i * k) wrong = wrong + 1;
        end
        $display("wrong: %0d", wrong);
    end
endmodule
"""


@pytest.mark.rtl
def test_two_products_of_one_multiplier_are_those_of_two(tmp_path):
    require_icarus()
    for name, text in (("cell.v", CELL), ("bench.v", BENCH.replace("STEP", "17"))):  # both ends are among them
        (tmp_path / name).write_text(text)
    subprocess.run(["iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp", "cell.v", "bench.v",
                    str(ROOT / "rtl" / "synth" / "ecp5_arith.v")], cwd=tmp_path, check=True, timeout=60)
    result = subprocess.run(["vvp", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == ["wrong:", "0"]
