// SPDX-License-Identifier: Apache-2.0
// Layer decoder: takes the 12 words of a descriptor and offers the layer's plan.
//
// kpu_descriptor gives the words their meaning, kpu_check applies the rules of openkpu/hw/check.py, kpu_planner lays the
// layer out on the array. A layer that breaks a rule is offered with its errors and without a layout. From the last
// word to the plan it takes 5 cycles for a refused layer, 110 to 200 for others, mostly during the layer before.
//
// One plan is offered at a time. eight_bit counts with the words.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_decode #(
    parameter LGSEGS = 3,            // log2 of the array's segments, 1..3
    parameter LGSEGLEN = 3,          // log2 of the PEs per segment, 1..3
    parameter DEPTH = 128,           // partial sums per PE and bank, a power of two, 64..512
    parameter AIRAM_ROWS = 32768,    // 64-byte rows, up to 32768
    parameter LGWEIGHTS = 13,        // log2 of the weight buffer's 9-byte entries, 8..13
    parameter WEIGHT_BYTES = 73728,  // largest weight load accepted
    parameter CACHED = 0             // 1: the AI RAM is a cache
) (
    input  wire               clk,
    input  wire               rst,
    // words of descriptors, and the mode in which the layer was queued
    input  wire               desc_valid,
    output wire               desc_ready,
    input  wire [63:0]        desc_data,
    input  wire               eight_bit,
    // plan
    output wire               plan_valid,
    input  wire               plan_ready,
    output reg  [`PLAN_W-1:0] plan
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LGSEGS < 1 || LGSEGS > 3) begin : rule0
            kpu_decode_LGSEGS_must_be_1_to_3 refused ();
        end
        if (LGSEGLEN < 1 || LGSEGLEN > 3) begin : rule1
            kpu_decode_LGSEGLEN_must_be_1_to_3 refused ();
        end
        if (DEPTH < 64 || DEPTH > 512 || (DEPTH & (DEPTH - 1)) != 0) begin : rule2
            kpu_decode_DEPTH_must_be_a_power_of_two_from_64_to_512 refused ();
        end
        if (AIRAM_ROWS < 2 || AIRAM_ROWS > 32768) begin : rule3
            kpu_decode_AIRAM_ROWS_must_be_2_to_32768 refused ();
        end
        if (LGWEIGHTS < 8 || LGWEIGHTS > 13) begin : rule4
            kpu_decode_LGWEIGHTS_must_be_8_to_13 refused ();
        end
        if (CACHED != 0 && CACHED != 1) begin : rule5
            kpu_decode_CACHED_must_be_0_or_1 refused ();
        end
    endgenerate

    localparam [2:0] S_WORDS = 3'd0, S_SIZES = 3'd1, S_CHECK = 3'd2, S_PLAN = 3'd3, S_OFFER = 3'd4;
    reg [2:0] state;
    reg [3:0] count;
    reg [12*64-1:0] words;
    reg eight_bit_q;

    assign desc_ready = state == S_WORDS;
    assign plan_valid = state == S_OFFER;

    wire [`PLAN_W-1:0] fields;
    kpu_descriptor descriptor (.clk(clk), .words(words), .eight_bit(eight_bit_q), .layer(fields));

    wire [3:0] errors;
    kpu_check #(.AIRAM_ROWS(AIRAM_ROWS), .WEIGHT_BYTES(WEIGHT_BYTES)) check (
        .clk(clk), .words(words), .layer(fields), .errors(errors)
    );

    wire planned, keep;
    wire [1:0] lgp;
    wire [2:0] lgsw;
    wire [9:0] tile_rows, last_tile_rows;
    wire [11:0] passes, piece;
    wire [14:0] repetitions;
    kpu_planner #(
        .LGSEGS(LGSEGS), .LGSEGLEN(LGSEGLEN), .DEPTH(DEPTH), .LGWEIGHTS(LGWEIGHTS), .CACHED(CACHED)
    ) planner (
        .clk(clk), .rst(rst), .start(state == S_CHECK && errors == 4'd0), .layer(fields), .done(planned),
        .best_lgp(lgp), .best_lgsw(lgsw), .tile_rows(tile_rows), .last_tile_rows(last_tile_rows), .passes(passes),
        .piece(piece), .keep(keep), .repetitions(repetitions)
    );

    always @* begin
        plan = fields;
        plan[`PL_ERR] = errors;
        plan[`PL_LGP] = lgp;
        plan[`PL_LGSW] = lgsw;
        plan[`PL_TR] = tile_rows;
        plan[`PL_TR_LAST] = last_tile_rows;
        plan[`PL_NG] = passes;
        plan[`PL_GP] = piece;
        plan[`PL_KEEP] = keep;
        plan[`PL_REPS] = repetitions;
    end

    always @(posedge clk) begin
        count <= count + 4'd1;
        case (state)
            S_WORDS: begin
                count <= count;
                if (desc_valid) begin
                    words[count*64+:64] <= desc_data;
                    eight_bit_q <= eight_bit;
                    count <= count + 4'd1;
                    if (count == 4'd11) begin
                        count <= 4'd0;
                        state <= S_SIZES;
                    end
                end
            end
            S_SIZES: if (count == 4'd3) state <= S_CHECK;
            S_CHECK: state <= errors == 4'd0 ? S_PLAN : S_OFFER;
            S_PLAN: if (planned) state <= S_OFFER;
            default: begin  // S_OFFER
                count <= 4'd0;
                if (plan_ready) state <= S_WORDS;
            end
        endcase
        if (rst) begin
            state <= S_WORDS;
            count <= 4'd0;
        end
    end
endmodule

`resetall
