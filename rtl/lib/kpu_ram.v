// SPDX-License-Identifier: Apache-2.0
// Simple dual-port RAM: one write port, one read port.
//
// What the design keeps in block RAM is this module, so that one place decides what synthesis
// infers (LUT RAM for small ones, unless BLOCK is set). Memories whose word is used in the cycle of its address are
// LUT RAM of their own, in kpu_queue, kpu_unpack, kpu_lane and kpu_writeback. rdata shows the word
// in the cycle after `re` and holds it while `re` is low. Reading the word that is written in the same
// cycle gives an undefined word: no user needs it, and a guaranteed one would cost a
// bypass of as many flip-flops as the word has bits. The content is neither reset nor
// initialised.
//
// With byte enables the memory is built of slices of 64 bits: that is what synthesis
// needs for its byte lanes, and it simulates faster than one wide word.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_ram #(
    parameter WIDTH = 64,        // bits of a word; with byte enables a multiple of 8
    parameter DEPTH = 512,       // words, at least 2
    parameter BYTE_ENABLES = 0,  // 1: `we` has one bit per byte; 0: one bit per word
    parameter BLOCK = 0,         // 1: block RAM even for a small one, where LUTs are dearer
    parameter ADDR_BITS = $clog2(DEPTH),
    parameter WE_BITS = BYTE_ENABLES != 0 ? WIDTH / 8 : 1
) (
    input  wire                 clk,

    input  wire [WE_BITS-1:0]   we,
    input  wire [ADDR_BITS-1:0] waddr,
    input  wire [WIDTH-1:0]     wdata,

    input  wire                 re,
    input  wire [ADDR_BITS-1:0] raddr,
    output wire [WIDTH-1:0]     rdata
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (WIDTH < 1 || (BYTE_ENABLES != 0 && WIDTH % 8 != 0)) begin : rule0
            kpu_ram_WIDTH_must_be_whole_bytes_with_byte_enables refused ();
        end
        if (DEPTH < 2) begin : rule1
            kpu_ram_DEPTH_must_be_at_least_2 refused ();
        end
        if (BLOCK != 0 && BLOCK != 1) begin : rule2
            kpu_ram_BLOCK_must_be_0_or_1 refused ();
        end
    endgenerate

    localparam SLICE = BYTE_ENABLES != 0 ? 64 : WIDTH;
    localparam STYLE = BLOCK != 0 ? "block" : "auto";
    localparam SLICES = (WIDTH + SLICE - 1) / SLICE;

    genvar s;
    generate
        for (s = 0; s < SLICES; s = s + 1) begin : slice
            localparam LSB = s * SLICE;
            localparam BITS = WIDTH - LSB < SLICE ? WIDTH - LSB : SLICE;

            (* no_rw_check, ram_style = STYLE *) reg [BITS-1:0] mem [0:DEPTH-1];
            reg [BITS-1:0] word_q;

            assign rdata[LSB+:BITS] = word_q;

            if (BYTE_ENABLES != 0) begin : bytes
                integer i;
                always @(posedge clk)
                    for (i = 0; i < BITS / 8; i = i + 1)
                        if (we[LSB/8+i]) mem[waddr][8*i+:8] <= wdata[LSB+8*i+:8];
            end else begin : words
                always @(posedge clk)
                    if (we[0]) mem[waddr] <= wdata[LSB+:BITS];
            end

            always @(posedge clk)
                if (re) word_q <= mem[raddr];
        end
    endgenerate

endmodule

`resetall
