// SPDX-License-Identifier: Apache-2.0
// Lookup: decides, one request per cycle, whether a row is in the cache and what has to happen if not.
//
// Two stages: the tags of a set are read, then compared, and the decision is carried out in that second stage or not at
// all. A request that cannot be served yet (its victim is dirty, being filled or still to be read; the memory ports are
// full; its tags were being written as they were read) changes nothing and is looked up again. Writes, lines from
// memory and the walker's sets simply stay at their sources until `*_done`; a read that fails is kept here, because
// its source has gone on, and no other read passes it: one that was taken in the same cycle fails behind it, so that
// the decision, which the tags' RAM leaves little time for, does not have to reach the choice of the next request.
//
// Order: lines from memory first (everything else may wait for them), then writes, then reads, so that a read sees every
// write before it.
//
// A line has a mask of the bytes that were written since it came or was made. They are what an eviction writes back, what
// a fill leaves alone, and in a line that was made by writes (`filled` is low) the only ones that are known: reads of
// others, and only they, fetch the line and merge it. So a layer's output costs no fill before it is written.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module cache_lookup #(
    parameter ROW_BITS = 15,
    parameter SET_BITS = 10,  // log2 of the sets, below ROW_BITS
    parameter WAYS = 2,       // 1, 2 or 4
    parameter WAY_BITS = 1,   // log2 of WAYS
    parameter LINE_BITS = SET_BITS + WAY_BITS
) (
    input  wire                 clk,
    input  wire                 rst,

    input  wire                 fill_valid,
    output wire                 fill_done,
    input  wire [ROW_BITS-1:0]  fill_row,

    input  wire                 write_valid,
    output wire                 write_done,
    input  wire [ROW_BITS-1:0]  write_row,
    input  wire [63:0]          write_be,

    input  wire                 read_valid,
    output wire                 read_ready,
    input  wire [ROW_BITS-1:0]  read_row,
    input  wire [63:0]          read_need,   // bytes that are wanted
    input  wire [4:0]           read_note,

    input  wire                 flush,       // pulse: write all changed bytes back
    input  wire                 invalidate,  // pulse: forget all lines, after the flush if there is one
    output wire                 busy,        // with either, or with emptying the tags after reset

    // the line of this cycle's write, fill or eviction in the data RAM
    output wire [LINE_BITS-1:0] line,
    output wire [63:0]          line_we,
    output wire                 evict,       // read the line and write its bytes of evict_mask back as evict_row
    input  wire                 evict_room,
    output wire [ROW_BITS-1:0]  evict_row,
    output wire [63:0]          evict_mask,
    output wire                 ask,         // fetch row ask_row
    input  wire                 ask_room,
    output wire [ROW_BITS-1:0]  ask_row,
    input  wire                 ask_blocked, // ask_row is still on its way to the memory
    output wire                 put,         // the read is decided
    input  wire                 put_room,
    output wire [4:0]           put_note,
    output wire                 put_wait,    // for the fill that was asked for last
    input  wire                 set_used,    // reads that are decided need a line of this set
    output wire                 ev_read,     // events for the counters
    output wire                 ev_read_miss
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (ROW_BITS < 2 || ROW_BITS > 15) begin : rule0
            cache_lookup_ROW_BITS_must_be_2_to_15 refused ();
        end
        if (SET_BITS < 1 || SET_BITS >= ROW_BITS) begin : rule1
            cache_lookup_SET_BITS_must_be_below_ROW_BITS refused ();
        end
        if (WAYS != 1 && WAYS != 2 && WAYS != 4) begin : rule2
            cache_lookup_WAYS_must_be_1_2_or_4 refused ();
        end
    endgenerate

    localparam TAG_BITS = ROW_BITS - SET_BITS;
    // Row's upper bits, valid, pending, filled, mask of changed bytes, dirty (some are). airam_peek in sim/openkpu.cpp
    // reads it.
    localparam STATE = TAG_BITS + 68;
    localparam ORDER = WAYS > 1 ? WAYS - 1 : 1;  // bits of the replacement tree
    localparam [2:0] FILL = 3'd0, WRITE = 3'd1, READ = 3'd2, EMPTY = 3'd3, CLEAN = 3'd4, DROP = 3'd5;

    // ---------------------------------------------- walker over all sets

    reg [1:0] walk;  // what is done to every set: 0 nothing, 1 empty it (after reset), 2 clean it, 3 drop its lines
    reg then_drop;
    reg [SET_BITS-1:0] walk_set;
    wire walk_done;
    wire emptying = walk == 2'd1;
    assign busy = walk != 2'd0;

    always @(posedge clk) begin
        if (walk_done) begin
            walk_set <= walk_set + 1'b1;
            if (&walk_set) begin
                walk <= walk == 2'd2 && then_drop ? 2'd3 : 2'd0;
                then_drop <= 1'b0;
            end
        end
        if (!busy && (flush || invalidate)) begin
            walk <= flush ? 2'd2 : 2'd3;
            then_drop <= flush && invalidate;
        end
        if (rst) begin
            walk <= 2'd1;
            walk_set <= {SET_BITS{1'b0}};
            then_drop <= 1'b0;
        end
    end

    // ---------------------------------------- first stage: choose and read

    reg s1_valid;
    reg [2:0] s1_op;
    reg [ROW_BITS-1:0] s1_row;
    reg [63:0] s1_bytes;    // wanted or written
    reg [4:0] s1_note;
    reg s1_stale;           // the tags were being written
    reg s1_behind;          // the read before it fails
    // Reads that have to be looked up again: the one that failed, and the one that was behind it.
    reg [1:0] kept;
    reg [ROW_BITS+68:0] kept_first, kept_second;

    wire s1_fails;          // a read
    wire go_fill = fill_valid && !emptying && !(s1_valid && s1_op == FILL);
    wire go_write = !go_fill && write_valid && !emptying && !(s1_valid && s1_op == WRITE);
    wire may_read = !go_fill && !write_valid && !emptying;
    wire go_kept = may_read && kept != 2'd0;
    wire may_take = may_read && kept == 2'd0;
    wire go_read = may_take && read_valid;
    wire go_walk = busy && !(s1_valid && s1_op >= EMPTY) &&
        (emptying || !(go_fill || write_valid || kept != 2'd0 || read_valid));
    assign read_ready = may_take;

    wire [ROW_BITS-1:0] kept_row;
    wire [63:0] kept_need;
    wire [4:0] kept_note;
    assign {kept_row, kept_need, kept_note} = kept[0] ? kept_first : kept_second;
    wire [ROW_BITS-1:0] row = go_fill ? fill_row : go_write ? write_row : go_kept ? kept_row :
        go_read ? read_row : {{TAG_BITS{1'b0}}, walk_set};
    wire [SET_BITS-1:0] set = row[SET_BITS-1:0];
    wire [SET_BITS-1:0] s1_set = s1_row[SET_BITS-1:0];
    wire tags_we;

    always @(posedge clk) begin
        s1_valid <= go_fill || go_write || go_kept || go_read || go_walk;
        s1_op <= go_fill ? FILL : go_write ? WRITE : go_kept || go_read ? READ : walk == 2'd1 ? EMPTY
            : walk == 2'd2 ? CLEAN : DROP;
        s1_row <= row;
        s1_bytes <= go_write ? write_be : go_kept ? kept_need : read_need;
        s1_note <= go_kept ? kept_note : read_note;
        s1_stale <= tags_we && set == s1_set;
        s1_behind <= s1_fails && !s1_behind;
        if (go_kept) kept <= {kept[0] && kept[1], 1'b0};
        if (s1_fails) begin
            if (s1_behind) begin
                kept[1] <= 1'b1;
                kept_second <= {s1_row, s1_bytes, s1_note};
            end else begin
                kept[0] <= 1'b1;
                kept_first <= {s1_row, s1_bytes, s1_note};
            end
        end
        if (rst) begin
            s1_valid <= 1'b0;
            s1_behind <= 1'b0;
            kept <= 2'd0;
        end
    end

    wire [WAYS*STATE+ORDER-1:0] tags;
    wire [WAYS*STATE+ORDER-1:0] new_tags;
    kpu_ram #(.WIDTH(WAYS * STATE + ORDER), .DEPTH(1 << SET_BITS)) tag_ram (
        .clk(clk), .we(tags_we), .waddr(s1_set), .wdata(new_tags), .re(1'b1), .raddr(set), .rdata(tags)
    );

    // ----------------------------------------- second stage: compare, decide

    // Every way by itself, and only then the choice among them: the tags come late in their cycle.
    wire [WAYS-1:0] valid, pending, filled, hits, dirty, known;
    wire [ORDER-1:0] order = tags[WAYS*STATE+:ORDER];
    genvar w;
    generate
        for (w = 0; w < WAYS; w = w + 1) begin : way_of
            assign valid[w] = tags[STATE*w+TAG_BITS];
            assign pending[w] = tags[STATE*w+TAG_BITS+1];
            assign filled[w] = tags[STATE*w+TAG_BITS+2];
            assign hits[w] = valid[w] && tags[STATE*w+:TAG_BITS] == s1_row[ROW_BITS-1:SET_BITS];
            assign dirty[w] = valid[w] && tags[STATE*w+TAG_BITS+67];
            assign known[w] = filled[w] || (s1_bytes & ~tags[STATE*w+TAG_BITS+3+:64]) == 64'd0;
        end
    endgenerate

    // The way: the one that hits, else a free one, else the one not used for longest; the walker's is the first dirty one.
    // Whether the decision can be carried out does not wait for this choice.
    localparam WB = WAY_BITS > 0 ? WAY_BITS : 1;
    reg [WB-1:0] hit_way, free_way, dirty_way;
    integer i;
    wire hit = |hits;
    wire full = &valid;
    wire walking = s1_op >= EMPTY;
    wire [WB-1:0] oldest = victim(order);
    always @* begin
        hit_way = {WB{1'b0}};
        free_way = {WB{1'b0}};
        dirty_way = {WB{1'b0}};
        for (i = WAYS - 1; i >= 0; i = i - 1) begin
            if (hits[i]) hit_way = hit_way | i[WB-1:0];  // one of them at most
            if (!valid[i]) free_way = i[WB-1:0];
            if (dirty[i]) dirty_way = i[WB-1:0];
        end
    end
    wire [WB-1:0] other_way = walking ? dirty_way : full ? oldest : free_way;
    wire [WB-1:0] way = hit && !walking ? hit_way : other_way;

    // Tree of bits, each pointing to the half that was not used last.
    function [WB-1:0] victim(input [ORDER-1:0] tree);
        begin
            victim = {WB{1'b0}};
            if (WAYS == 2) victim[0] = tree[0];
            if (WAYS == 4) begin
                victim[WB-1] = tree[0];
                victim[0] = tree[0] ? tree[ORDER-1] : tree[ORDER>1?1:0];
            end
        end
    endfunction

    function [ORDER-1:0] touched(input [ORDER-1:0] tree, input [WB-1:0] used);
        begin
            touched = tree;
            touched[0] = !used[WB-1];
            if (WAYS == 4) begin
                if (used[WB-1]) touched[ORDER-1] = !used[0];
                else touched[ORDER>1?1:0] = !used[0];
            end
        end
    endfunction

    wire [63:0] mask = tags[STATE*way+TAG_BITS+3+:64];
    wire [TAG_BITS-1:0] old_tag = tags[STATE*way+:TAG_BITS];
    wire fresh = s1_valid && !s1_stale;
    wire reads = fresh && s1_op == READ && !s1_behind;
    wire writes = fresh && s1_op == WRITE;
    wire fills = fresh && s1_op == FILL;

    // A line that has to make room, or to be cleaned.
    wire replaces = !hit && full && (reads || writes);
    wire cleans = fresh && s1_op == CLEAN && |dirty;
    wire may_evict = evict_room && !set_used;
    assign evict = may_evict && ((replaces && dirty[oldest] && !pending[oldest]) || (cleans && !pending[dirty_way]));
    assign evict_row = {old_tag, s1_set};
    assign evict_mask = mask;

    wire there = hit || !full || (!dirty[oldest] && !pending[oldest] && !set_used);  // the request has a line to itself
    wire enough = |(hits & known);
    wire coming = |(hits & pending);
    wire needs_fill = !enough && !coming;
    assign ask = reads && there && needs_fill && ask_room && !ask_blocked && put_room;
    assign ask_row = s1_row;
    assign put = reads && put_room && (enough || coming || (there && ask_room && !ask_blocked));
    assign put_note = s1_note;
    assign put_wait = !enough;

    wire write_goes = writes && there;
    wire drops = fresh && s1_op == DROP && pending == {WAYS{1'b0}} && !set_used;
    wire empties = s1_valid && s1_op == EMPTY;
    assign s1_fails = s1_valid && s1_op == READ && !put;
    assign write_done = write_goes;
    assign fill_done = fills;
    assign walk_done = empties || drops || (fresh && s1_op == CLEAN && !(|dirty));

    // ------------------------------------------------------- the set's new state

    wire [63:0] made_mask = (hit ? mask : 64'd0) | (writes ? s1_bytes : 64'd0);
    wire [63:0] new_mask = evict ? 64'd0 : made_mask;
    wire new_dirty = !evict && ((hit && dirty[way]) || (writes && |s1_bytes));
    wire new_filled = fills || |(hits & filled);
    // An evicted line is free; a cleaned one stays if all of it is known.
    wire new_valid = !evict || (cleans && filled[way]);
    wire new_pending = ask || (coming && !fills);
    wire [TAG_BITS-1:0] new_tag = evict ? old_tag : s1_row[ROW_BITS-1:SET_BITS];
    wire clears = empties || drops;
    assign tags_we = put || write_goes || fills || evict || clears;

    generate
        for (w = 0; w < WAYS; w = w + 1) begin : new_way
            assign new_tags[STATE*w+:STATE] = clears ? {STATE{1'b0}}
                : way == w[WB-1:0] ? {new_dirty, new_mask, evict ? filled[way] : new_filled, !evict && new_pending,
                    new_valid, new_tag}
                : tags[STATE*w+:STATE];
        end
    endgenerate
    assign new_tags[WAYS*STATE+:ORDER] = clears ? {ORDER{1'b0}} : put || write_goes ? touched(order, way) : order;

    generate
        if (WAYS > 1) begin : ways
            assign line = {s1_set, way};
        end else begin : direct
            assign line = s1_set;
        end
    endgenerate
    assign line_we = write_goes ? s1_bytes : fills ? ~mask : 64'd0;
    assign ev_read = put;
    assign ev_read_miss = ask;
endmodule

`resetall
