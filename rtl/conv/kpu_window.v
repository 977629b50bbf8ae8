// SPDX-License-Identifier: Apache-2.0
// Window former: from AI-RAM rows to the nine inputs of every pixel column.
//
// `take` at column q gives, one cycle later,
//   win: for P columns the nine taps at q + p * stride (3x3: one channel; 1x1: nine channels), or
//   dww: for every lane the 3x3 window at q + lane (depthwise path), from three lines of up to three 64-byte words, so that
//        no row is read twice for maps up to 192 pixels wide.
// Up to eight lanes read few bytes of a line at a time, so that the lines can lie in LUT RAM; more lanes need registers.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_token.vh"

module kpu_window #(
    parameter SEGS = 8,     // array segments = most pixel columns
    parameter LANES = 64    // post-processing lanes, a power of two up to 64
) (
    input  wire                clk,
    input  wire                rst,
    input  wire [`PLAN_W-1:0]  layer,
    // tokens and rows, in order
    input  wire                token_valid,
    output wire                token_ready,
    input  wire [`TOKEN_W-1:0] token,
    input  wire                row_valid,
    output wire                row_ready,
    input  wire [511:0]        row,
    // use
    output wire                set_valid,
    input  wire                take,
    input  wire [7:0]          q,
    input  wire                set_done,   // with the last take of a set
    output wire [SEGS*72-1:0]  win,
    output wire [LANES*72-1:0] dww
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_window_SEGS_must_be_2_4_or_8 refused ();
        end
        if (LANES < 2 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : rule1
            kpu_window_LANES_must_be_a_power_of_two_from_2_to_64 refused ();
        end
    endgenerate

    // Decimate. A token waits here, with its row, until the lines take it.
    wire outside = token[`TOKEN_OUT];  // has no row
    wire [255:0] even_bytes;
    genvar g;
    generate
        for (g = 0; g < 32; g = g + 1) begin : even
            assign even_bytes[8*g+:8] = row[16*g+:8];
        end
    endgenerate

    reg waits;
    reg [`TOKEN_W-1:0] waiting_token;
    reg [511:0] waiting_row;
    wire taken;
    assign token_ready = token_valid && (outside || row_valid) && (!waits || taken);
    assign row_ready = token_ready && !outside;
    always @(posedge clk) begin
        if (token_ready) begin
            waiting_token <= token;
            waiting_row <= layer[`PL_DECIM] ? {row[511:256], even_bytes} : row;
        end
        waits <= token_ready || (waits && !taken);
        if (rst) waits <= 1'b0;
    end

    generate
        if (LANES <= 8 && SEGS <= 4) begin : lutram
            kpu_window_ram #(.SEGS(SEGS), .LANES(LANES)) lines (
                .clk(clk), .rst(rst), .layer(layer), .comes(token_ready), .next_token(token), .valid(waits),
                .taken(taken), .token(waiting_token), .row(waiting_row), .set_valid(set_valid), .take(take), .q(q),
                .set_done(set_done), .win(win), .dww(dww)
            );
        end else begin : registers
            kpu_window_regs #(.SEGS(SEGS), .LANES(LANES)) lines (
                .clk(clk), .rst(rst), .layer(layer), .valid(waits), .taken(taken), .token(waiting_token),
                .row(waiting_row), .set_valid(set_valid), .take(take), .q(q), .set_done(set_done), .win(win),
                .dww(dww)
            );
        end
    endgenerate
endmodule

`resetall
