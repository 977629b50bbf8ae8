// SPDX-License-Identifier: Apache-2.0
// Reads that have their line, or wait for it, in the order in which they were accepted; each a cycle after `put`,
// since the lookup decides late in its own.
//
// The oldest one leaves for the data RAM as soon as its line is there. Eight places: the core has no more reads under
// way. `set_used` says whether a queued read still needs a line of a set, so that none is replaced under it.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module cache_reads #(
    parameter LINE_BITS = 11,  // address of a line in the data RAM: set and way
    parameter WAY_BITS = 1     // low bits of it that are the way, 0 to 2
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 put,        // only while `room`
    output wire                 room,
    input  wire [LINE_BITS-1:0] put_line,
    input  wire [4:0]           put_note,   // whose it is, and which eight bytes
    input  wire                 put_wait,   // for the line asked for last
    input  wire [3:0]           asked,      // lines asked for, modulo 16, one cycle after `put`
    input  wire [3:0]           filled,     // lines that have come, modulo 16
    output wire                 stuck,      // the oldest read waits for its line
    output wire                 go,         // the oldest read leaves
    output wire [LINE_BITS-1:0] line,
    output wire [4:0]           note,
    input  wire [LINE_BITS-WAY_BITS-1:0] query_set,
    output wire                 set_used
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (WAY_BITS < 0 || WAY_BITS > 2 || WAY_BITS >= LINE_BITS) begin : rule0
            cache_reads_WAY_BITS_must_be_0_to_2 refused ();
        end
    endgenerate

    localparam PLACES = 8;
    localparam WIDTH = LINE_BITS + 10;

    reg [WIDTH*PLACES-1:0] places;
    reg [PLACES-1:0] valid;
    wire [PLACES-1:0] uses;
    reg coming;  // a read that takes its place in this cycle
    reg [LINE_BITS-1:0] coming_line;
    reg [4:0] coming_note;
    reg coming_waits;
    wire [PLACES-1:0] valid_left = go ? valid >> 1 : valid;
    wire [PLACES-1:0] free = {valid_left[PLACES-2:0], 1'b1} & ~valid_left;  // places are taken from the first on

    wire waits;
    wire [3:0] fill;
    assign {line, note, waits, fill} = places[0+:WIDTH];
    wire [3:0] behind = fill - filled;  // lines that have to come first: at most eight are under way
    wire there = !waits || behind == 4'd0 || behind > 4'd8;
    assign go = valid[0] && there;
    assign stuck = valid[0] && !there;
    assign room = !valid[PLACES-1] && !(valid[PLACES-2] && coming);

    genvar i;
    generate
        for (i = 0; i < PLACES; i = i + 1) begin : place
            assign uses[i] = valid[i] && places[WIDTH*i+10+WAY_BITS+:LINE_BITS-WAY_BITS] == query_set;
            always @(posedge clk) begin
                if (coming && free[i]) places[WIDTH*i+:WIDTH] <= {coming_line, coming_note, coming_waits, asked};
                else if (go && i < PLACES - 1) places[WIDTH*i+:WIDTH] <= places[WIDTH*(i<PLACES-1?i+1:i)+:WIDTH];
            end
        end
    endgenerate
    assign set_used = |uses || (coming && coming_line[LINE_BITS-1:WAY_BITS] == query_set);

    always @(posedge clk) begin
        coming <= put;
        coming_line <= put_line;
        coming_note <= put_note;
        coming_waits <= put_wait;
        valid <= coming ? valid_left | free : valid_left;
        if (rst) begin
            coming <= 1'b0;
            valid <= {PLACES{1'b0}};
        end
    end
endmodule

`resetall
