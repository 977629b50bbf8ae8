// SPDX-License-Identifier: Apache-2.0
// Window former with LUT RAM: up to eight lanes, which read a few neighbouring bytes of a line.
//
// Nine lines of 64 pixels, each twice: one half for the set in use, one for the set that comes. A row is kept as it came
// in a register per line, and goes from there to the line's RAM in blocks of eight bytes, one per cycle, all lines
// beside each other; which blocks they are also picks the channel of a row that holds several. Meanwhile the rows of a third
// set can come. A line's neighbours on the left and right lie beside its RAM.
// Where a 3x3 set takes over two lines, nothing moves: line t is in RAM (t + turn) mod 3, and in two more for the other words
// of the depthwise path. Lines and pixels outside the image are not stored: they get their value when they are read.
// A set can be used one cycle after its last block is written, a cycle and one per block after its last token.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_token.vh"

module kpu_window_ram #(
    parameter SEGS = 4,     // array segments = most pixel columns
    parameter LANES = 8     // post-processing lanes
) (
    input  wire                clk,
    input  wire                rst,
    input  wire [`PLAN_W-1:0]  layer,
    // tokens, in order, with their decimated rows
    input  wire                comes,   // next_token is in `token` from the next cycle on
    input  wire [`TOKEN_W-1:0] next_token,
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
        if (SEGS != 2 && SEGS != 4) begin : rule0
            kpu_window_ram_SEGS_must_be_2_or_4 refused ();
        end
        if (LANES < 2 || LANES > 8 || (LANES & (LANES - 1)) != 0) begin : rule1
            kpu_window_ram_LANES_must_be_2_4_or_8 refused ();
        end
    endgenerate

    wire dwfast = layer[`PL_DWFAST];
    wire k3 = layer[`PL_K3];
    wire decim = layer[`PL_DECIM];
    wire [1:0] lgi = layer[`PL_LGI];
    wire [1:0] lgs = layer[`PL_LGS];
    wire [7:0] pad = layer[`PL_PAD];
    wire several_words = layer[`PL_W] > 11'd64;
    integer k;
    genvar g;

    // What the token does.
    wire u_out = token[`TOKEN_OUT];
    wire u_last = token[`TOKEN_LAST];
    wire u_shift = token[`TOKEN_SHIFT];
    wire u_above = token[`TOKEN_ABOVE];
    wire [1:0] u_place = token[`TOKEN_PLACE];
    wire [3:0] u_slot = token[`TOKEN_LINE];
    wire [1:0] u_sub = token[`TOKEN_SUB];
    wire [3:0] u_slots = token[`TOKEN_SLOTS];
    wire [6:0] u_width = token[`TOKEN_WIDTH];
    wire [1:0] u_word = token[`TOKEN_WORD];
    wire windows = u_slots == 4'd0;  // 3x3 lines, not channels

    // A set's description: what the tokens have made of it, of the set that is complete, of the set in use.
    // Absent: a line outside the image, or a channel that does not exist. Width: pixels that are inside. Half: of each RAM.
    localparam META = 9 + 7 + 2 + 1 + 2 + 9;
    reg [8:0] absent, absent_next;
    reg [6:0] width, width_next;
    reg [1:0] final_word, final_word_next;  // depthwise: the last word of the set
    reg left, left_next;                    // there are neighbours on the left
    reg [1:0] turn, turn_next;
    reg [8:0] half, half_next;
    reg [META-1:0] filled, used;

    wire whole = !u_out && u_place == 2'd0;  // the word itself comes
    reg [8:0] target;                        // RAMs that the token is about
    // Line 3 * a + b is in RAM 3 * a + (b + turn) mod 3; with one bit for each a, b and turn, and what only the token tells
    // registered with it, since `taken` waits for this.
    wire [3:0] next_slot = next_token[`TOKEN_LINE];
    reg [2:0] third, of_three, turns, turned;
    reg [8:0] named;  // lines from u_slot on, as many as the token says
    integer j;
    always @(posedge clk) begin
        if (comes) begin
            for (j = 0; j < 3; j = j + 1) begin
                third[j] <= next_slot >= 3 * j[3:0] && next_slot < 3 * j[3:0] + 4'd3;
                of_three[j] <= next_slot == j[3:0] || next_slot == j[3:0] + 4'd3 || next_slot == j[3:0] + 4'd6;
            end
            for (j = 0; j < 9; j = j + 1)
                named[j] <= j[3:0] >= next_slot && j[3:0] < next_slot + next_token[`TOKEN_COUNT];
        end
    end
    always @* begin
        turn_next = !u_shift ? turn : turn == 2'd2 ? 2'd0 : turn + 2'd1;
        turns = {turn_next == 2'd2, turn_next == 2'd1, turn_next == 2'd0};
        for (k = 0; k < 3; k = k + 1) turned[k] = (of_three[0] && turns[k]) || (of_three[1] && turns[(k+2)%3])
            || (of_three[2] && turns[(k+1)%3]);
        absent_next = absent;
        if (u_shift) absent_next[1:0] = absent[2:1];
        if (u_above) absent_next[0] = 1'b1;
        for (k = 0; k < 9; k = k + 1) begin
            target[k] = windows ? third[k/3] && turned[k%3] : named[k];
            if (named[k]) absent_next[k] = u_out;
            else if (!windows && k[3:0] >= u_slots) absent_next[k] = 1'b1;
        end
        half_next = half ^ (target & {9{whole}});
        final_word_next = whole ? u_word : final_word;
        left_next = u_out ? left : u_place == 2'd1 || (left && u_place == 2'd2);
        // The word on the right gives two pixels, or one if it has no more.
        width_next = u_out ? width : u_place != 2'd2 ? u_width
            : (decim ? 7'd32 : 7'd64) + (u_width == 7'd1 ? 7'd1 : 7'd2);
    end

    // The set being filled is complete when its last token has come, then the one behind it (`ahead`), whose rows wait.
    reg complete, ahead, use_full;
    reg [8:0] waiting, later;   // rows that are not in the RAM yet; of those, rows of the set behind
    wire [8:0] ends;            // the row's last block is written
    wire move = complete && ((waiting & ~later) & ~ends) == 9'd0 && (!use_full || set_done);
    // Neighbours are written at once, so they must not belong to the set behind.
    wire neighbours = !u_out && (u_place != 2'd0 || (dwfast && several_words));
    assign taken = valid && !ahead && !(whole && (target & waiting & ~ends) != 9'd0) && !(neighbours && complete);
    assign set_valid = use_full;
    wire last_now = taken && u_last;
    wire [META-1:0] now = {absent, width, final_word, left, turn, half};
    wire [META-1:0] following = {absent_next, width_next, final_word_next, left_next, turn_next, half_next};

    always @(posedge clk) begin
        if (taken) {absent, width, final_word, left, turn, half} <= following;
        if (move) begin
            used <= filled;
            filled <= ahead ? now : following;
            complete <= ahead || last_now;
            ahead <= 1'b0;
        end else if (last_now) begin
            if (complete) ahead <= 1'b1;
            else filled <= following;
            complete <= 1'b1;
        end
        waiting <= (waiting & ~ends) | (target & {9{taken && whole}});
        later <= move ? 9'd0 : later | (target & {9{taken && whole && complete}});
        use_full <= move || (use_full && !set_done);
        if (rst) begin
            complete <= 1'b0;
            ahead <= 1'b0;
            use_full <= 1'b0;
            waiting <= 9'd0;
            later <= 9'd0;
            turn <= 2'd0;
            half <= 9'd0;
        end
    end

    // What is in use.
    wire [8:0] use_absent, use_half;
    wire [6:0] use_width;
    wire [1:0] use_word, use_turn;
    wire use_left;
    assign {use_absent, use_width, use_word, use_left, use_turn, use_half} = used;
    localparam REACH = SEGS > 2 ? 4 * SEGS : 8;  // a take's pixels lie so near the block it begins in
    localparam BYTES = REACH + 2;                // taps add one byte on either side
    wire [2:0] block = q[5:3];
    wire [3:0] first_beyond = decim ? 4'd4 : 4'd8;  // the block of the neighbours on the right
    wire left_first = block == 3'd0 && (dwfast || !q[6]);
    wire right_first = !dwfast && q[6:3] == first_beyond;
    wire right_last = !dwfast && !q[6] && {1'b0, block} + 4'd2 == first_beyond;
    wire right_next = dwfast ? block == 3'd7 : !q[6] && {1'b0, block} + 4'd1 == first_beyond;

    // Pixels to move for the token's line, from which block of the row on.
    wire [6:0] pixels = dwfast && (lgi != 2'd0 || several_words) ? 7'd64 : u_width;
    wire [6:0] last_pixel = pixels - 7'd1;
    wire [143:0] bytes [0:8];  // from the left neighbour of the take's block on
    generate
        for (g = 0; g < 9; g = g + 1) begin : line
            reg [511:0] held;
            reg [2:0] from, at, last;
            reg at_last;
            wire move_block = waiting[g] && !later[g];
            assign ends[g] = move_block && at_last;
            wire [2:0] following_block = at + 3'd1;
            wire [2:0] source = from + at;
            wire [1:0] slot = windows ? u_sub : u_sub + g[1:0] - u_slot[1:0];
            wire [2:0] first_block = lgi == 2'd0 ? 3'd0 : {1'b0, slot} << (2'd3 - lgi - {1'b0, decim});
            (* ram_style = "distributed" *) reg [63:0] pixel [0:15];
            (* ram_style = "distributed" *) reg [7:0] on_left [0:1];
            (* ram_style = "distributed" *) reg [15:0] on_right [0:1];

            // Depthwise: neighbouring words of a line. The next word's row has not come, so its half is still the other one.
            wire next_word = dwfast && whole && (g >= 3 ? target[(g+6)%9] : 1'b0);
            wire word_before = dwfast && whole && (g < 6 ? target[(g+3)%9] : 1'b0);
            always @(posedge clk) begin
                if (taken && whole && target[g]) begin
                    held <= row;
                    from <= first_block;
                    at <= 3'd0;
                    last <= last_pixel[5:3];
                    at_last <= last_pixel[5:3] == 3'd0;
                end else if (move_block) begin
                    at <= following_block;
                    at_last <= following_block == last;
                end
                if (move_block) pixel[{half[g], at}] <= held[{source, 6'd0}+:64];
                if (taken && ((u_place == 2'd1 && !u_out && target[g]) || next_word)) begin
                    on_left[half[g]^next_word] <= decim ? row[255:248] : row[511:504];
                end
                if (taken && ((u_place == 2'd2 && !u_out && target[g]) || word_before)) on_right[half[g]] <= row[15:0];
            end

            wire h = use_half[g];
            wire [2:0] one_before = block - 3'd1, one_after = block + 3'd1, two_after = block + 3'd2;
            wire [63:0] block_before = pixel[{h, one_before}];
            wire [63:0] block_here = pixel[{h, block}];
            wire [63:0] block_after = pixel[{h, one_after}];
            wire [63:0] block_two_after = pixel[{h, two_after}];
            wire [15:0] right = on_right[h];
            assign bytes[g] = {
                right_last ? right[7:0] : block_two_after[7:0], block_after[63:16],
                right_next ? right : block_after[15:0],
                block_here[63:16], right_first ? right : block_here[15:0],
                left_first ? on_left[h] : block_before[63:56]};
            wire _unused_line = &{1'b0, block_before[55:0], block_two_after[63:8], bytes[g]};
        end
    endgenerate

    // The three lines in order; depthwise of the take's word.
    wire [1:0] word = q[7:6];
    wire [143:0] of_word [0:2];
    wire [143:0] ordered [0:2];
    wire [8*BYTES-1:0] inner;
    generate
        for (g = 0; g < 3; g = g + 1) begin : turned_line
            assign of_word[g] = !dwfast || word == 2'd0 ? bytes[g] : word == 2'd1 ? bytes[3+g] : bytes[6+g];
            assign ordered[g] = use_turn == 2'd0 ? of_word[g] : use_turn == 2'd1 ? of_word[(g+1)%3] : of_word[(g+2)%3];
        end
        // Bytes of the block that lie inside the image.
        for (g = 0; g < BYTES; g = g + 1) begin : limits
            wire [6:0] x = {q[6:3], 3'd0} + g[6:0] - 7'd1;
            assign inner[8*g+:8] = {8{g == 0 && q[6:3] == 4'd0 ? use_left : x < use_width}};
        end
    endgenerate

    // Eight bytes come into question for a column: q is a column of a window (up to `stride` of them) at a multiple of
    // P * stride, or, with one column, anything.
    reg [3*SEGS-1:0] chosen;
    integer p;
    always @* begin
        for (p = 0; p < SEGS; p = p + 1) begin
            case (lgs)
                2'd0: chosen[3*p+:3] = p < 2 ? q[2:0] | p[2:0] : {2'd0, q[2]};
                2'd1: chosen[3*p+:3] = p < 1 ? q[2:0] : {p < 2 && q[2], 1'b1, q[0]};
                default: chosen[3*p+:3] = p < 1 ? q[2:0] : {1'b1, q[1:0]};
            endcase
        end
    end
    function integer candidate(input integer column, input integer number);
        candidate = column < 2 ? number : number >= 4 ? 4 * column + number - 4 : number >= 2 ? 2 * column + number - 2
            : column + 4 * number;
    endfunction

    integer c, t, b;
    reg [63:0] near_column;
    reg [8*BYTES-1:0] seen;
    (* mem2reg *) reg [8*BYTES-1:0] near [0:2];
    (* mem2reg *) reg [8*REACH-1:0] taps [0:8];  // the byte of each tap for a column at 0..REACH-1
    always @(posedge clk) begin
        if (take && !dwfast) begin
            for (t = 0; t < 3; t = t + 1) begin
                seen = use_absent[t] ? {8 * BYTES{1'b0}} : inner;
                near[t] = (ordered[t][8*BYTES-1:0] & seen) | ({BYTES{pad}} & ~seen);
            end
            for (t = 0; t < 9; t = t + 1) begin
                if (k3) taps[t] = near[t/3][8*(t%3)+:8*REACH];
                else taps[t] = use_absent[t] ? {8 * REACH{1'b0}} : bytes[t][8+:8*REACH];  // such a channel counts as 0
            end
            for (c = 0; c < SEGS; c = c + 1) begin
                for (t = 0; t < 9; t = t + 1) begin
                    for (b = 0; b < 8; b = b + 1) near_column[8*b+:8] = taps[t][8*candidate(c, b)+:8];
                    win[72*c+8*t+:8] <= near_column[{chosen[3*c+:3], 3'd0}+:8];
                end
            end
        end
    end

    // Depthwise: LANES pixels of one of the set's words, and one on either side.
    localparam LGLANES = $clog2(LANES);
    wire [5:0] offset = q[5:0] >> LGLANES << LGLANES;
    wire [6:0] pitch_mask = (7'd64 >> lgi) - 7'd1;
    wire [6:0] slot_mask = lgi != 2'd0 ? pitch_mask : 7'h7F;
    integer n, u, v;
    (* mem2reg *) reg [8*(LANES+2)-1:0] beside [0:2];
    reg [8*(LANES+2)-1:0] visible;
    reg [6:0] at_pixel;
    always @(posedge clk) begin
        if (take && dwfast) begin
            for (v = 0; v < LANES + 2; v = v + 1) begin
                at_pixel = {1'b0, offset} + v[6:0] - 7'd1;
                visible[8*v+:8] = {8{v == 0 && offset == 6'd0 ? word != 2'd0 || use_left
                    : (at_pixel & slot_mask) < use_width || word != use_word}};
            end
            for (u = 0; u < 3; u = u + 1) begin
                beside[u] = ordered[u][{2'd0, offset[2:0], 3'd0}+:8*(LANES+2)];
                beside[u] = use_absent[u] ? {LANES + 2{pad}} : (beside[u] & visible) | ({LANES + 2{pad}} & ~visible);
            end
            for (n = 0; n < LANES; n = n + 1) begin
                // The neighbours of a slot's first and last byte belong to other channels, so they are padding.
                at_pixel = {1'b0, offset} + n[6:0];
                for (u = 0; u < 3; u = u + 1) begin
                    dww[72*n+24*u+:8] <= !k3 ? 8'd0
                        : lgi != 2'd0 && (at_pixel & pitch_mask) == 7'd0 ? pad : beside[u][8*n+:8];
                    dww[72*n+24*u+8+:8] <= !k3 && u != 1 ? 8'd0 : beside[u][8*n+8+:8];
                    dww[72*n+24*u+16+:8] <= !k3 ? 8'd0
                        : lgi != 2'd0 && (at_pixel & pitch_mask) == pitch_mask ? pad : beside[u][8*n+16+:8];
                end
            end
        end
    end

    wire _unused = &{1'b0, layer, token, next_token, u_slot, q, last_pixel};
endmodule

`resetall
