// SPDX-License-Identifier: Apache-2.0
// Address of the next beat of an AXI4 burst on a 64-bit bus (AXI specification A3.4.1).
//
// Combinational. FIXED, INCR and WRAP bursts of 1 to 8 byte beats; `legal` is low for
// what the specification reserves or the bus is too narrow for.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_burst_next #(
    parameter ADDR_BITS = 21
) (
    input  wire [ADDR_BITS-1:0] addr,
    input  wire [7:0]           len,
    input  wire [2:0]           size,
    input  wire [1:0]           burst,
    output reg  [ADDR_BITS-1:0] next,
    output wire                 legal
);

    localparam [1:0] FIXED = 2'b00;
    localparam [1:0] WRAP = 2'b10;
    localparam [1:0] RESERVED = 2'b11;
    localparam [2:0] BYTES_8 = 3'd3;

    wire [ADDR_BITS-1:0] in_beat = ({{ADDR_BITS-1{1'b0}}, 1'b1} << size) - 1'b1;
    wire [ADDR_BITS-1:0] stepped = (addr | in_beat) + 1'b1;
    wire [ADDR_BITS-1:0] in_container = ({{ADDR_BITS-8{1'b0}}, len} << size) | in_beat;

    assign legal = size <= BYTES_8 && burst != RESERVED;

    always @*
        case (burst)
            FIXED:   next = addr;
            WRAP:    next = (addr & ~in_container) | (stepped & in_container);
            default: next = stepped;
        endcase

endmodule

`resetall
