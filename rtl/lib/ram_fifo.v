// SPDX-License-Identifier: Apache-2.0
// First-word-fall-through FIFO in block RAM.
//
// The read register of the RAM is the output register, so a word appears two cycles
// after it was written and the FIFO then moves one word per cycle. `level` counts
// every word inside, the output register included. Writing while `in_ready` is low
// is ignored. `flush` empties it like reset.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module ram_fifo #(
    parameter WIDTH = 64,  // bits of a word
    parameter DEPTH = 32,  // words, a power of two, at least 4
    parameter LEVEL_BITS = $clog2(DEPTH) + 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  flush,

    input  wire                  in_valid,
    output wire                  in_ready,
    input  wire [WIDTH-1:0]      in_data,

    output reg                   out_valid,
    input  wire                  out_ready,
    output wire [WIDTH-1:0]      out_data,

    output reg  [LEVEL_BITS-1:0] level
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (WIDTH < 1) begin : rule0
            ram_fifo_WIDTH_must_be_at_least_1 refused ();
        end
        if (DEPTH < 4 || (DEPTH & (DEPTH - 1)) != 0) begin : rule1
            ram_fifo_DEPTH_must_be_a_power_of_two_from_4 refused ();
        end
    endgenerate

    localparam ADDR_BITS = LEVEL_BITS - 1;

    reg  [ADDR_BITS-1:0] wr_ptr;
    reg  [ADDR_BITS-1:0] rd_ptr;
    reg  [LEVEL_BITS-1:0] in_ram;

    wire push = in_valid && in_ready;
    wire pop = out_valid && out_ready;
    wire fetch = in_ram != 0 && (!out_valid || out_ready);

    assign in_ready = level != DEPTH[LEVEL_BITS-1:0];

    kpu_ram #(.WIDTH(WIDTH), .DEPTH(DEPTH)) ram (
        .clk(clk),
        .we(push),
        .waddr(wr_ptr),
        .wdata(in_data),
        .re(fetch),
        .raddr(rd_ptr),
        .rdata(out_data)
    );

    always @(posedge clk) begin
        if (push) wr_ptr <= wr_ptr + 1'b1;
        if (fetch) rd_ptr <= rd_ptr + 1'b1;
        in_ram <= in_ram + {{LEVEL_BITS-1{1'b0}}, push} - {{LEVEL_BITS-1{1'b0}}, fetch};
        level <= level + {{LEVEL_BITS-1{1'b0}}, push} - {{LEVEL_BITS-1{1'b0}}, pop};
        out_valid <= fetch || (out_valid && !out_ready);
        if (rst || flush) begin
            wr_ptr <= {ADDR_BITS{1'b0}};
            rd_ptr <= {ADDR_BITS{1'b0}};
            in_ram <= {LEVEL_BITS{1'b0}};
            level <= {LEVEL_BITS{1'b0}};
            out_valid <= 1'b0;
        end
    end

endmodule

`resetall
