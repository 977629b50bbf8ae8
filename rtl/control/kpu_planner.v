// SPDX-License-Identifier: Apache-2.0
// Planner: the shape of a legal layer on the array, by the rules of openkpu/schedule/plan.py.
//
// Tries every number P of pixel columns, with the widest strip whose windows fit the partial sums, and keeps the cheapest;
// of two that cost the same the larger one, whose results leave the array sooner; with a cache as AI RAM the smaller one, unless
// it costs a sixteenth more, since its larger blocks read the input map less often. The cost is in cycles, of all
// blocks and strips: the column groups (or the weights, where a map is smaller), or the AI-RAM rows to read if they are
// more; for all passes and with the last block's write-back (1x1), or for one pass (3x3). Then come the heights of the
// tiles, evened out, and what becomes of the weights.
//
// One multiplier and one divider serve all of it: 130 to 230 cycles, during the layer before. `layer` is stable from start
// to the next start; `done` stays until then.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_planner #(
    parameter LGSEGS = 3,     // log2 of the array's segments, 1..3
    parameter LGSEGLEN = 3,   // log2 of the PEs per segment, 1..3
    parameter DEPTH = 128,    // partial sums per PE and bank, a power of two, 64..512
    parameter LGWEIGHTS = 13, // log2 of the weight buffer's entries, 8..13
    parameter CACHED = 0      // 1: the AI RAM is a cache, reading a row again may cost
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               start,   // pulse
    input  wire [`PLAN_W-1:0] layer,   // by kpu_descriptor
    output wire               done,
    output reg  [1:0]         best_lgp,
    output reg  [2:0]         best_lgsw,
    output reg  [9:0]         tile_rows,
    output reg  [9:0]         last_tile_rows,
    output reg  [11:0]        passes,
    output wire [11:0]        piece,
    output reg                keep,
    output reg  [14:0]        repetitions
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LGSEGS < 1 || LGSEGS > 3) begin : rule0
            kpu_planner_LGSEGS_must_be_1_to_3 refused ();
        end
        if (LGSEGLEN < 1 || LGSEGLEN > 3) begin : rule1
            kpu_planner_LGSEGLEN_must_be_1_to_3 refused ();
        end
        if (DEPTH < 64 || DEPTH > 512 || (DEPTH & (DEPTH - 1)) != 0) begin : rule2
            kpu_planner_DEPTH_must_be_a_power_of_two_from_64_to_512 refused ();
        end
        if (LGWEIGHTS < 8 || LGWEIGHTS > 13) begin : rule3
            kpu_planner_LGWEIGHTS_must_be_8_to_13 refused ();
        end
        if (CACHED != 0 && CACHED != 1) begin : rule4
            kpu_planner_CACHED_must_be_0_or_1 refused ();
        end
    endgenerate

    localparam LGPES = LGSEGS + LGSEGLEN;
    localparam LGDEPTH = $clog2(DEPTH);
    localparam [10:0] DEPTH11 = DEPTH[10:0];
    localparam [3:0] S_IDLE = 4'd0, S_ROWS = 4'd1, S_WIDTH = 4'd2, S_FULL_STRIP = 4'd3, S_LAST_STRIP = 4'd4,
        S_STRIPS = 4'd5, S_BLOCKS = 4'd6, S_COMPARE = 4'd7, S_FIT = 4'd8, S_TILES = 4'd9, S_HEIGHT = 4'd10,
        S_REPETITIONS = 4'd11, S_ENTRIES = 4'd12, S_KEEP = 4'd13, S_DONE = 4'd14;
    reg [3:0] state;
    reg [2:0] count;  // cycles in a state

    wire [10:0] ic = layer[`PL_IC];
    wire [10:0] oc = layer[`PL_OC];
    wire [10:0] ow = layer[`PL_OW];
    wire [9:0] oh = layer[`PL_OH];
    wire single = layer[`PL_SINGLE];
    wire k3 = layer[`PL_K3];
    wire wide = layer[`PL_WIDE];
    wire decim = layer[`PL_DECIM];
    wire overlap = layer[`PL_OVERLAP];
    wire [1:0] lgs = layer[`PL_LGS];
    wire [1:0] lgc = layer[`PL_LGC];
    wire [1:0] lgi = layer[`PL_LGI];

    // Shared arithmetic. A product stands two cycles after its factors are set.
    reg [23:0] factor;
    reg [11:0] times;
    reg [35:0] product;
    reg div_start;
    reg [11:0] dividend, divisor;
    wire [11:0] quotient;
    wire div_busy;
    kpu_divide #(.WIDTH(12)) divide (
        .clk(clk), .rst(rst), .start(div_start), .dividend(dividend), .divisor(divisor),
        .quotient(quotient), .busy(div_busy)
    );
    wire div_done = !div_busy && !div_start;

    // What is tried: registered, as is all that follows from it, so that it stands two cycles later.
    reg [1:0] lgp;
    reg [2:0] lgsw;
    wire [2:0] whole = decim ? 3'd5 : 3'd6;                   // log2 of a 64-byte word's pixels
    wire [3:0] lg_columns = {1'b0, lgsw} - {2'd0, lgs};
    wire [10:0] strip = 11'd1 << lg_columns;                  // output columns of a full strip
    reg [10:0] last_column;                                   // of the layer
    reg [10:0] columns, strips_before, last_columns, groups, last_groups;  // strips before the last one
    wire [10:0] round = (11'd1 << lgp) - 11'd1;
    wire [10:0] entries = groups << {lgc, 1'b0};              // partial sums of a row of windows
    wire [10:0] last_entries = last_groups << {lgc, 1'b0};
    wire fits = (overlap ? {entries[9:0], 1'b0} : entries) <= DEPTH11;
    reg [10:0] blocks;
    wire [10:0] block = 11'd1 << (LGPES[3:0] - {2'd0, lgp});
    always @(posedge clk) begin
        columns <= strip < ow ? strip : ow;
        last_column <= ow - 11'd1;
        strips_before <= last_column >> lg_columns;
        last_columns <= (last_column & (strip - 11'd1)) + 11'd1;
        groups <= overlap ? (columns < ow ? columns + 11'd1 : columns) : (columns + round) >> lgp;
        last_groups <= overlap ? last_columns : (last_columns + round) >> lgp;
        blocks <= single ? 11'd1
            : (oc + block - 11'd1) >> (LGPES[3:0] - {2'd0, lgp});
    end

    // One strip of one block. `product` is the partial sums of all lines; the weights of the next pass come meanwhile, one per
    // cycle. 3x3: the first line of a tile needs two rows more, windows apart from each other share no lines, and at the
    // edge of a word a window needs the neighbouring one. 1x1: a pass may begin and end within a row.
    wire [10:0] outs = single ? 11'd1 : oc < block ? oc : block;
    wire [23:0] weights = {13'd0, outs} + 24'd1;
    wire [23:0] area = product[23:0];
    wire [23:0] rounded_up = area + DEPTH[23:0] - 24'd1;
    wire [22:0] tiles_3x3 = rounded_up[23:1] >> (LGDEPTH - 1);
    wire [23:0] lines_3x3 = lgs != lgc ? {14'd0, oh} + {13'd0, oh, 1'b0}
        : ({14'd0, oh} << lgc) + {tiles_3x3, 1'b0} - 24'd1;
    wire two_words = lgsw == whole && layer[`PL_W] > (decim ? 11'd32 : 11'd64);
    wire [11:0] rows_1x1 = lgi == 2'd0 ? {1'b0, ic} : ({1'b0, ic - 11'd1} >> lgi) + (passes >> wide);
    reg [23:0] takes, rows, all_rows_1x1;
    wire [23:0] slack = strips_before != 11'd0 ? rows >> 4 : 24'd0;  // without it the array waits now and then
    wire [23:0] rows_cost = rows + slack;
    wire [23:0] strip_cost = product[23:0] > rows_cost ? product[23:0] : rows_cost;
    always @(posedge clk) begin
        takes <= area <= DEPTH[23:0] && area < weights ? weights : area;
        rows <= k3 ? lines_3x3 << two_words : all_rows_1x1;
    end
    reg [23:0] full_cost, last_cost;
    reg [35:0] best_cost;
    wire [35:0] cost = product + (k3 ? 36'd0 : {25'd0, outs});
    wire better = CACHED != 0 ? cost + (cost >> 4) < best_cost : cost <= best_cost;
    reg found;
    reg [10:0] best_strips_before, best_entries, best_last_entries;
    wire last_try = lgp == LGSEGS[1:0] || overlap;

    // Tiles.
    reg last_strip;  // the divisions are for the last strip, which may be narrower and have taller tiles
    reg [9:0] most_rows, tiles, full_tiles;
    reg [14:0] reps;

    assign done = state == S_DONE;
    // A quarter of the buffer: the first pass of a block waits for a whole piece.
    assign piece = single ? 12'd2 : 12'd1 << (LGWEIGHTS - 2 - LGPES);

    always @(posedge clk) begin
        div_start <= 1'b0;
        product <= factor * times;
        count <= count + 3'd1;
        case (state)
            S_IDLE, S_DONE: begin
                count <= 3'd0;
                lgp <= 2'd0;
                lgsw <= overlap ? 3'd5 : whole;
                found <= 1'b0;
                // 1x1 layers take nine input channels per pass.
                dividend <= {1'b0, ic} + 12'd8;
                divisor <= 12'd9;
                if (start) begin
                    div_start <= !k3 && !single;
                    passes <= (single ? 12'd1 : {1'b0, ic}) << wide;
                    state <= k3 ? S_WIDTH : S_ROWS;
                end
            end
            // 1x1: AI-RAM rows that all passes of a block read in a strip.
            S_ROWS: begin
                if (!single) passes <= quotient << wide;
                factor <= {12'd0, single ? passes : rows_1x1 << wide};
                times <= {2'd0, oh} << lgc;
                if (!div_done) count <= 3'd0;
                if (count == 3'd3) begin
                    all_rows_1x1 <= product[23:0];
                    count <= 3'd0;
                    state <= S_WIDTH;
                end
            end
            S_WIDTH: begin
                if (count == 3'd2) begin
                    if (!fits) lgsw <= lgsw - 3'd1;
                    else state <= S_FULL_STRIP;
                    count <= 3'd0;
                end
            end
            S_FULL_STRIP, S_LAST_STRIP: begin
                if (count == 3'd0) begin
                    factor <= {14'd0, oh};
                    times <= {1'b0, state == S_LAST_STRIP ? last_entries : entries};
                end
                // takes and rows stand
                if (count == 3'd3) begin
                    factor <= takes;
                    times <= k3 ? 12'd1 : passes;
                end
                if (count == 3'd5) begin
                    count <= 3'd0;
                    if (state == S_LAST_STRIP) last_cost <= strip_cost;
                    else full_cost <= strip_cost;
                    state <= state == S_LAST_STRIP ? S_STRIPS : S_LAST_STRIP;
                end
            end
            S_STRIPS: begin
                factor <= full_cost;
                times <= {1'b0, strips_before};
                if (count == 3'd2) begin
                    count <= 3'd0;
                    state <= S_BLOCKS;
                end
            end
            S_BLOCKS: begin
                if (count == 3'd0) factor <= product[23:0] + last_cost;
                times <= {1'b0, blocks};
                if (count == 3'd2) state <= S_COMPARE;
            end
            S_COMPARE: begin
                count <= 3'd0;
                if (!found || better) begin
                    found <= 1'b1;
                    best_cost <= cost;
                    best_lgp <= lgp;
                    best_lgsw <= lgsw;
                    best_strips_before <= strips_before;
                    best_entries <= entries;
                    best_last_entries <= last_entries;
                end
                lgp <= lgp + 2'd1;
                lgsw <= whole;
                last_strip <= 1'b0;
                state <= last_try ? S_FIT : S_WIDTH;
            end
            // Rows that fit the partial sums, tiles that this makes, and their height.
            S_FIT: begin
                if (count == 3'd0) begin
                    dividend <= {1'b0, DEPTH11};
                    divisor <= {1'b0, last_strip ? best_last_entries : best_entries};
                    div_start <= 1'b1;
                end else begin
                    count <= 3'd1;
                    if (div_done) begin
                        most_rows <= quotient >= {2'd0, oh} ? oh : overlap ? quotient[9:0] - 10'd1 : quotient[9:0];
                        count <= 3'd0;
                        state <= S_TILES;
                    end
                end
            end
            S_TILES: begin
                if (count == 3'd0) begin
                    dividend <= {2'd0, oh} + {2'd0, most_rows} - 12'd1;
                    divisor <= {2'd0, most_rows};
                    div_start <= 1'b1;
                end else begin
                    count <= 3'd1;
                    if (div_done) begin
                        tiles <= quotient[9:0];
                        count <= 3'd0;
                        state <= S_HEIGHT;
                    end
                end
            end
            S_HEIGHT: begin
                if (count == 3'd0) begin
                    dividend <= {2'd0, oh} + {2'd0, tiles} - 12'd1;
                    divisor <= {2'd0, tiles};
                    div_start <= 1'b1;
                end else begin
                    count <= 3'd1;
                    if (div_done) begin
                        count <= 3'd0;
                        last_tile_rows <= quotient[9:0];
                        state <= S_REPETITIONS;
                        if (!last_strip) begin
                            tile_rows <= quotient[9:0];
                            full_tiles <= tiles;
                            last_strip <= 1'b1;
                            if (best_strips_before != 11'd0) state <= S_FIT;
                        end
                    end
                end
            end
            S_REPETITIONS: begin
                factor <= {14'd0, full_tiles};
                times <= {1'b0, best_strips_before};
                if (count == 3'd2) begin
                    reps <= product[14:0] + {5'd0, tiles};
                    count <= 3'd0;
                    state <= S_ENTRIES;
                end
            end
            S_ENTRIES: begin
                factor <= {13'd0, oc};
                times <= passes;
                if (count == 3'd2) state <= S_KEEP;
            end
            default: begin  // S_KEEP
                // A single tile streams its weights and frees them at once; several tiles keep them if they fit.
                keep <= !layer[`PL_DWFAST] && reps != 15'd1 && product <= 36'd1 << LGWEIGHTS;
                repetitions <= layer[`PL_DWFAST] ? 15'd1 : reps;
                state <= S_DONE;
            end
        endcase
        if (rst) begin
            state <= S_IDLE;
            div_start <= 1'b0;
        end
    end

    wire _unused = &{1'b0, layer, rounded_up[0]};
endmodule

`resetall
