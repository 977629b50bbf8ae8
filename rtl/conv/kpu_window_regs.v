// SPDX-License-Identifier: Apache-2.0
// Window former with registers: many lanes read a whole line at once.
//
// Two sets of nine row registers: one is filled while the other is in use, and moves there when that is free. A register
// holds a line of up to 64 pixels with one neighbour on the left and two on the right. A 3x3 set takes over two lines
// of the set before it. Lines and pixels outside the image are not stored: they get their value when they are read.
// Fills one row per cycle, one cycle after its token; a set can be used one cycle after its last row.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_token.vh"

module kpu_window_regs #(
    parameter SEGS = 8,     // array segments = most pixel columns
    parameter LANES = 64    // post-processing lanes, a power of two up to 64
) (
    input  wire                clk,
    input  wire                rst,
    input  wire [`PLAN_W-1:0]  layer,
    // tokens, in order, with their decimated rows
    input  wire                valid,
    output wire                taken,
    input  wire [`TOKEN_W-1:0] token,
    input  wire [511:0]        row,
    // use
    output wire                set_valid,
    input  wire                take,
    input  wire [7:0]          q,
    input  wire                set_done,   // with the last take of a set
    output reg  [SEGS*72-1:0]  win,
    output reg  [LANES*72-1:0] dww
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_window_regs_SEGS_must_be_2_4_or_8 refused ();
        end
        if (LANES < 2 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : rule1
            kpu_window_regs_LANES_must_be_a_power_of_two_from_2_to_64 refused ();
        end
    endgenerate

    wire dwfast = layer[`PL_DWFAST];
    wire k3 = layer[`PL_K3];
    wire decim = layer[`PL_DECIM];
    wire [1:0] lgi = layer[`PL_LGI];
    wire [1:0] lgs = layer[`PL_LGS];
    wire [7:0] pad = layer[`PL_PAD];
    integer k;
    genvar e;

    reg fill_full, use_full;

    // The registers are filled as soon as the set before has moved on.
    wire move = fill_full && (!use_full || set_done);
    assign taken = valid && (!fill_full || move);

    wire u_out = token[`TOKEN_OUT];
    wire u_last = token[`TOKEN_LAST];
    wire u_shift = token[`TOKEN_SHIFT];
    wire u_above = token[`TOKEN_ABOVE];
    wire [1:0] u_place = token[`TOKEN_PLACE];
    wire [3:0] u_slot = token[`TOKEN_LINE];
    wire [3:0] u_n = token[`TOKEN_COUNT];
    wire [1:0] u_sub = token[`TOKEN_SUB];
    wire [3:0] u_slots = token[`TOKEN_SLOTS];
    wire [6:0] u_width = token[`TOKEN_WIDTH];
    wire [1:0] u_word = token[`TOKEN_WORD];

    // A row holds up to four channels; line k takes the one in slot u_sub + k - u_slot, so lines k and k + 4 share it.
    // Only bytes that belong to the channel need to be right: 16 of four channels, 32 of two, and half of that if
    // every second one has gone.
    wire [2:0] lgpitch = 3'd6 - {1'b0, lgi} - {2'd0, decim};  // log2 of the bytes from slot to slot
    wire [511:0] channel [0:3];
    generate
        for (e = 0; e < 4; e = e + 1) begin : slots
            wire [1:0] slot = u_sub + e[1:0] - u_slot[1:0];
            wire [2:0] first = lgpitch == 3'd5 ? {slot[0], 2'd0} : lgpitch == 3'd4 ? {slot, 1'b0} : {1'b0, slot};
            assign channel[e] = {
                row[511:256], slot[0] ? row[511:384] : row[255:128],
                row[{first[2:1], 7'd64}+:64], row[{first, 6'd0}+:64]};
        end
    endgenerate

    // Registers, not memories: all lines of a set are read at once. Byte 0: left neighbour, 1..64: pixels, 65, 66: right
    // neighbours. Absent: a line outside the image, or a channel that does not exist. Width: pixels that are inside.
    (* mem2reg *) reg [535:0] fill [0:8];
    (* mem2reg *) reg [535:0] line [0:8];
    reg [8:0] fill_absent, absent;
    reg [6:0] fill_width, width;
    reg [1:0] fill_last, last_word;  // depthwise: the last word of the set

    always @(posedge clk) begin
        if (taken) begin
            if (u_shift) begin
                fill[0] <= fill[1];
                fill[1] <= fill[2];
                fill_absent[1:0] <= fill_absent[2:1];
            end
            if (u_shift && dwfast) begin
                fill[3] <= fill[4];
                fill[4] <= fill[5];
                fill[6] <= fill[7];
                fill[7] <= fill[8];
            end
            if (u_above) fill_absent[0] <= 1'b1;
            for (k = 0; k < 9; k = k + 1) begin
                if (k[3:0] >= u_slot && k[3:0] < u_slot + u_n) begin
                    fill_absent[k] <= u_out;
                    if (u_place == 2'd0) begin
                        fill[k][519:8] <= channel[k%4];
                        if (u_word == 2'd0) fill[k][7:0] <= pad;
                    end else if (u_place == 2'd1) fill[k][7:0] <= decim ? row[255:248] : row[511:504];
                    else if (decim) fill[k][8*33+:16] <= row[15:0];
                    else fill[k][8*65+:16] <= row[15:0];
                end else if (u_slots != 4'd0 && k[3:0] >= u_slots) begin
                    fill_absent[k] <= 1'b1;
                end
                // Depthwise: neighbouring words of a line.
                if (dwfast && !u_out && u_place == 2'd0) begin
                    if (k[3:0] == u_slot + 4'd3) fill[k][7:0] <= row[511:504];
                    if (k[3:0] + 4'd3 == u_slot) fill[k][527:520] <= row[7:0];
                end
            end
            if (u_place == 2'd0 && !u_out) fill_last <= u_word;
            // The word on the right gives two pixels, or one if it has no more.
            if (!u_out) begin
                fill_width <= u_place != 2'd2 ? u_width
                    : (decim ? 7'd32 : 7'd64) + (u_width == 7'd1 ? 7'd1 : 7'd2);
            end
        end
        if (move) begin
            for (k = 0; k < 9; k = k + 1) line[k] <= fill[k];
            absent <= fill_absent;
            width <= fill_width;
            last_word <= fill_last;
        end
        fill_full <= taken && u_last ? 1'b1 : fill_full && !move;
        use_full <= move || (use_full && !set_done);
        if (rst) begin
            fill_full <= 1'b0;
            use_full <= 1'b0;
        end
    end

    // Use. The pixels of a take begin in an aligned block of eight, since every strip starts at a multiple of 16, and lie
    // within REACH bytes from there: P columns, up to four pixels apart. Taps add one byte on either side.
    localparam REACH = SEGS > 2 ? 4 * SEGS : 8;
    localparam LGREACH = $clog2(REACH);
    assign set_valid = use_full;
    wire [3:0] block = q[6:3];

    function [8*(REACH+2)-1:0] from_block(input [535:0] bytes, input [3:0] at);
        reg [8*(66+REACH)-1:0] ext;
        begin
            ext = {{8*(REACH-1){1'b0}}, bytes};
            case (at)
                4'd0: from_block = ext[64*0+:8*(REACH+2)];
                4'd1: from_block = ext[64*1+:8*(REACH+2)];
                4'd2: from_block = ext[64*2+:8*(REACH+2)];
                4'd3: from_block = ext[64*3+:8*(REACH+2)];
                4'd4: from_block = ext[64*4+:8*(REACH+2)];
                4'd5: from_block = ext[64*5+:8*(REACH+2)];
                4'd6: from_block = ext[64*6+:8*(REACH+2)];
                4'd7: from_block = ext[64*7+:8*(REACH+2)];
                default: from_block = ext[64*8+:8*(REACH+2)];
            endcase
        end
    endfunction

    // Bytes of a block that lie inside the image, for lines 0 to 2.
    wire [8*(REACH+2)-1:0] inner;
    generate
        for (e = 0; e < REACH + 2; e = e + 1) begin : bytes
            wire [6:0] x = {block, 3'd0} + e[6:0] - 7'd1;
            assign inner[8*e+:8] = {8{x < width || (e == 0 && block == 4'd0)}};
        end
    endgenerate

    integer c, t;
    reg [8*(REACH+2)-1:0] own, seen;
    (* mem2reg *) reg [8*(REACH+2)-1:0] near [0:2];
    (* mem2reg *) reg [8*REACH-1:0] taps [0:8];  // the byte of each tap for a column at 0..REACH-1
    reg [4:0] first;
    always @(posedge clk) begin
        if (take && !dwfast) begin
            for (t = 0; t < 3; t = t + 1) begin
                seen = absent[t] ? {8 * (REACH + 2){1'b0}} : inner;
                near[t] = (from_block(line[t], block) & seen) | ({REACH + 2{pad}} & ~seen);
            end
            for (t = 0; t < 9; t = t + 1) begin
                if (k3) begin
                    taps[t] = near[t/3][8*(t%3)+:8*REACH];
                end else begin
                    own = from_block(line[t], block);
                    taps[t] = absent[t] ? {8 * REACH{1'b0}} : own[8+:8*REACH];  // a channel that is absent counts as 0
                end
            end
            for (c = 0; c < SEGS; c = c + 1) begin
                // Few bytes come into question for a column: where P * stride is 8 or more, q is a column of a window at
                // a multiple of the stride; where it is less, all of the take lies in the block.
                case (lgs)
                    2'd0: first = {2'd0, q[2:0] + c[2:0]};
                    2'd1: first = c < 2 ? {2'd0, q[2:0] + {c[1:0], 1'b0}} : {c[3:0], q[0]};
                    default: first = c < 1 ? {2'd0, q[2:0]} : {c[2:0], q[1:0]};
                endcase
                for (t = 0; t < 9; t = t + 1) win[72*c+8*t+:8] <= taps[t][{first[LGREACH-1:0], 3'd0}+:8];
            end
        end
    end

    // Depthwise: LANES pixels of one of the set's words, and one on either side.
    localparam LGLANES = $clog2(LANES);
    wire [1:0] word = q[7:6];
    wire [5:0] from = LANES == 64 ? 6'd0 : q[5:0] >> LGLANES << LGLANES;
    wire [6:0] pitch_mask = (7'd64 >> lgi) - 7'd1;
    wire [6:0] slot_mask = lgi != 2'd0 ? pitch_mask : 7'h7F;
    integer n, u, v;
    reg [535:0] all;
    (* mem2reg *) reg [8*(LANES+2)-1:0] beside [0:2];
    reg [8*(LANES+2)-1:0] visible;
    reg [6:0] at;
    always @(posedge clk) begin
        if (take && dwfast) begin
            for (v = 0; v < LANES + 2; v = v + 1) begin
                at = {1'b0, from} + v[6:0] - 7'd1;
                visible[8*v+:8] = {8{(at & slot_mask) < width || word != last_word || (v == 0 && from == 6'd0)}};
            end
            for (u = 0; u < 3; u = u + 1) begin
                all = word == 2'd0 ? line[u] : word == 2'd1 ? line[3+u] : line[6+u];
                beside[u] = all[{1'b0, from, 3'd0}+:8*(LANES+2)];
                beside[u] = absent[u] ? {LANES + 2{pad}} : (beside[u] & visible) | ({LANES + 2{pad}} & ~visible);
            end
            for (n = 0; n < LANES; n = n + 1) begin
                // The neighbours of a slot's first and last byte belong to other channels, so they are padding.
                at = {1'b0, from} + n[6:0];
                for (u = 0; u < 3; u = u + 1) begin
                    dww[72*n+24*u+:8] <= !k3 ? 8'd0
                        : lgi != 2'd0 && (at & pitch_mask) == 7'd0 ? pad : beside[u][8*n+:8];
                    dww[72*n+24*u+8+:8] <= !k3 && u != 1 ? 8'd0 : beside[u][8*n+8+:8];
                    dww[72*n+24*u+16+:8] <= !k3 ? 8'd0
                        : lgi != 2'd0 && (at & pitch_mask) == pitch_mask ? pad : beside[u][8*n+16+:8];
                end
            end
        end
    end

    wire _unused = &{1'b0, layer, token, own, first, q};
endmodule

`resetall
