// SPDX-License-Identifier: Apache-2.0
// Address decoder: one-hot slave of a bus address; the last output is "nobody".
//
// Only the low 30 bits count, so 0x4xxx_xxxx and 0x8xxx_xxxx (the chip's cached view)
// are the same memory. A slave of size 0 is never chosen.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_decode #(
    parameter SLAVES = 2,
    parameter [SLAVES*32-1:0] BASES = 0,
    parameter [SLAVES*32-1:0] SIZES = 0
) (
    input  wire [31:0]     addr,
    output wire [SLAVES:0] target
);

    wire [SLAVES-1:0] hit;

    genvar j;
    generate
        for (j = 0; j < SLAVES; j = j + 1) begin : g_slave
            localparam [29:0] BASE = BASES[32*j+:30];
            localparam [30:0] SIZE = SIZES[32*j+:31];
            if (SIZE == 31'd0) begin : g_never
                assign hit[j] = 1'b0;
            end else begin : g_window
                wire [29:0] offset = addr[29:0] - BASE;
                assign hit[j] = {1'b0, offset} < SIZE;
            end
        end
    endgenerate

    assign target = {hit == {SLAVES{1'b0}}, hit};

    wire _unused = &{1'b0, addr};

endmodule

`resetall
