// SPDX-License-Identifier: Apache-2.0
// kpu_feature_fetch and kpu_window with the queues between them, as kpu_core joins them.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_token.vh"

module tb_window #(
    parameter SEGS = 4,
    parameter LANES = 8
) (
    input  wire                clk,
    input  wire                rst,
    input  wire [`PLAN_W-1:0]  layer,
    input  wire                s_valid,
    output wire                s_ready,
    input  wire [10:0]         s_channel,
    input  wire [3:0]          s_slots,
    input  wire [9:0]          s_y,
    input  wire [9:0]          s_lines,
    input  wire [2:0]          s_step,
    input  wire [4:0]          s_word,
    input  wire [1:0]          s_words,
    input  wire [5:0]          s_x,
    input  wire [6:0]          s_span,
    output wire                rd_valid,
    input  wire                rd_ready,
    output wire [14:0]         rd_row,
    input  wire                rd_rvalid,
    input  wire [511:0]        rd_rdata,
    output wire                overflow,
    output wire                set_valid,
    input  wire                take,
    input  wire [7:0]          q,
    input  wire                set_done,
    output wire [SEGS*72-1:0]  win,
    output wire [LANES*72-1:0] dww
);
    wire token_valid, token_ready, wtoken_valid, wtoken_ready, row_valid, row_ready, row_room;
    wire [`TOKEN_W-1:0] token, wtoken;
    wire [511:0] row;
    assign overflow = rd_rvalid && !row_room;
    kpu_feature_fetch fetch (
        .clk(clk), .rst(rst), .layer(layer), .s_valid(s_valid), .s_ready(s_ready), .s_channel(s_channel),
        .s_slots(s_slots), .s_y(s_y), .s_lines(s_lines), .s_step(s_step), .s_word(s_word), .s_words(s_words), .s_x(s_x), .s_span(s_span),
        .rd_valid(rd_valid), .rd_ready(rd_ready), .rd_row(rd_row), .token_valid(token_valid),
        .token_ready(token_ready), .token(token), .row_taken(row_valid && row_ready)
    );
    kpu_queue #(.WIDTH(`TOKEN_W), .LGDEPTH(4)) token_queue (
        .clk(clk), .rst(rst), .s_valid(token_valid), .s_ready(token_ready), .s_data(token),
        .m_valid(wtoken_valid), .m_ready(wtoken_ready), .m_data(wtoken)
    );
    kpu_queue #(.WIDTH(512), .LGDEPTH(3)) row_queue (
        .clk(clk), .rst(rst), .s_valid(rd_rvalid), .s_ready(row_room), .s_data(rd_rdata),
        .m_valid(row_valid), .m_ready(row_ready), .m_data(row)
    );
    kpu_window #(.SEGS(SEGS), .LANES(LANES)) window (
        .clk(clk), .rst(rst), .layer(layer), .token_valid(wtoken_valid), .token_ready(wtoken_ready), .token(wtoken),
        .row_valid(row_valid), .row_ready(row_ready), .row(row), .set_valid(set_valid), .take(take), .q(q),
        .set_done(set_done), .win(win), .dww(dww)
    );
endmodule

`resetall
