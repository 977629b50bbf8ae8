// SPDX-License-Identifier: Apache-2.0
// Write-back: collects the lanes' bytes into pieces of AI-RAM rows and writes them with byte enables.
//
// A piece is PIECE neighbouring bytes of a line, of every channel in the lanes; it ends at a multiple of PIECE or with
// the line. Byte-wide memories hold it in a skewed order, so that the bytes of a cycle, and later those of a channel,
// always lie in different ones. There is room for two pieces: one is collected while the other one is written channel
// by channel; neighbouring channels go together if a piece is as wide as several slots of a row. wr_data is repeated
// over the row, wr_be tells which bytes count. Depthwise results already lie as in the row and are written as
// they come, word by word. Only bytes inside the map change (spec 3.4). `en` stops the lanes while there is no room.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_writeback #(
    parameter SEGS = 8,
    parameter SEGLEN = 8,
    parameter LPS = 4,
    parameter PIECE = 64,    // bytes, a power of two from SEGS * LPS to 16 * LPS, at most 64
    parameter LGSEGS = $clog2(SEGS),
    parameter LGSEGLEN = $clog2(SEGLEN),
    parameter LGLPS = LPS > 1 ? $clog2(LPS) : 0
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire [`PLAN_W-1:0]    layer,
    output wire                  en,
    output wire                  idle,        // nothing collected, nothing to write
    input  wire                  start,       // pulse: a layer begins
    output reg  [10:0]           complete,    // channels of it that stand in the AI RAM
    // block command
    input  wire                  s_valid,
    output wire                  s_ready,
    input  wire [10:0]           s_channel,
    input  wire [6:0]            s_outs,
    input  wire [9:0]            s_oy,
    input  wire [9:0]            s_rows,
    input  wire [10:0]           s_ox,
    input  wire [7:0]            s_cols,
    input  wire                  s_final,     // its channels are complete with it
    // results
    input  wire                  r_valid,
    input  wire [5:0]            r_pos,
    input  wire                  r_line_end,
    input  wire [SEGS*LPS*8-1:0] results,
    // AI RAM
    output reg                   wr_valid,
    input  wire                  wr_hold,      // send no row in the next cycle
    output reg  [14:0]           wr_row,
    output reg  [63:0]           wr_be,
    output reg  [PIECE*8-1:0]    wr_data
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_writeback_SEGS_must_be_2_4_or_8 refused ();
        end
        if (SEGLEN < 2 || SEGLEN > 8 || (SEGLEN & (SEGLEN - 1)) != 0) begin : rule1
            kpu_writeback_SEGLEN_must_be_2_4_or_8 refused ();
        end
        if (LPS < 1 || LPS > SEGLEN || (LPS & (LPS - 1)) != 0) begin : rule2
            kpu_writeback_LPS_must_be_a_power_of_two_up_to_SEGLEN refused ();
        end
        if (PIECE < SEGS * LPS || PIECE > 16 * LPS || PIECE > 64 || (PIECE & (PIECE - 1)) != 0) begin : rule3
            kpu_writeback_PIECE_must_be_a_power_of_two_from_all_lanes_to_16_LPS_and_64 refused ();
        end
    endgenerate

    localparam LANES = SEGS * LPS;
    localparam LGLANES = LGSEGS + LGLPS;
    localparam PHASES = SEGLEN / LPS;
    localparam LGPIECE = $clog2(PIECE);
    localparam LGM = LGPIECE > 4 ? LGPIECE - 4 : 0;  // log2 of the most slots in a piece
    localparam [31:0] IN_PIECE = PIECE - 1;
    localparam [31:0] IN_LANES = LANES - 1;
    localparam FURTHEST = SEGLEN - LPS + 1 > LPS ? SEGLEN - LPS + 1 : LPS;
    localparam GROUPS_W = $clog2(FURTHEST + 1);
    wire dwfast = layer[`PL_DWFAST];
    wire [1:0] lgo = layer[`PL_LGO];
    wire [1:0] lgp = layer[`PL_LGP];
    wire [14:0] ochsw = layer[`PL_OCHSW];
    wire [3:0] orowsw = layer[`PL_OROWSW];
    wire [1:0] slot_mask = lgo == 2'd2 ? 2'd3 : lgo == 2'd1 ? 2'd1 : 2'd0;
    // Log2 of M, the slots in a piece and so the channels written together.
    wire [31:0] slots = LGM + {30'd0, lgo};
    wire [1:0] lgm = LGM == 0 || slots < 32'd2 ? 2'd0 : slots[1:0] - 2'd2;
    integer i, k, n, v, w;

    // Preparation of the next block: row of its first channel's first line.
    reg [1:0] prep;
    reg [14:0] p_line, p_group;
    reg [4:0] p_word;
    reg [5:0] p_from;
    reg [7:0] p_to;
    reg [1:0] p_channel;
    reg [6:0] p_outs;
    reg [9:0] p_rows;
    reg [10:0] p_after;      // channels up to the block's last
    reg p_final;
    wire [10:0] s_group = s_channel >> lgo;

    // The block being written. AI-RAM rows: of the channels that are next, of the first channel of the line, and of the
    // first channel of the phase in the block's first line.
    reg busy;
    reg [14:0] at, line, line0;
    reg [5:0] from;          // columns within the slot
    reg [7:0] to, ahead;     // all of the line's, those from the word being written on
    wire [6:0] to_here = ahead > 8'd64 ? 7'd64 : ahead[6:0];
    reg [1:0] channel;
    reg [6:0] outs;
    reg [10:0] after;
    reg final_block, completes;
    reg [10:0] finished;
    reg [9:0] row, rows;
    reg [2:0] phase;
    wire [31:0] phases = PHASES;
    wire last_row = row + 10'd1 == rows;
    wire last_phase = dwfast || phase + 3'd1 == phases[2:0];

    // Collecting.
    reg full, full_end;      // a piece is complete; it ends its line
    reg there, there_end;    // a piece is being written
    reg [5:0] full_pos, there_pos;
    reg half, there_half;    // halves of the memories: the one being filled, the one being written
    wire stall_piece = !dwfast && full && there;
    wire stall_row = dwfast && (!busy || wr_hold);
    assign en = !(r_valid && (stall_piece || stall_row));
    wire store = r_valid && en;
    wire [5:0] last_column = r_pos | ~(6'h3F << lgp);
    wire piece_end = store && !dwfast && (r_line_end || &last_column[LGPIECE-1:0]);

    // Writing: one step per group of M channels.
    reg [2:0] seg, sub;
    reg [LGLANES-1:0] skew;  // P times the number of the step
    wire [31:0] lps = LPS, seg_step = SEGLEN - LPS, lglps = LGLPS, lgsegs = LGSEGS;
    wire last_sub = &(sub | (3'd7 << (lglps[1:0] - lgm)));
    wire last_step = last_sub && &(seg | (3'd7 << (lgsegs[1:0] - lgp)));
    wire [6:0] first = ({4'd0, seg} << LGSEGLEN) | ({4'd0, phase} << LGLPS) | ({4'd0, sub} << lgm);  // in the block
    wire [1:0] slot0 = (channel + first[1:0]) & slot_mask;
    wire [7:0] left = {1'b0, outs} - {1'b0, first};  // channels from the first one on
    wire some = !left[7] && left[6:0] != 7'd0;
    wire step = busy && !dwfast && there && !wr_hold;
    wire piece_written = step && last_step;
    wire line_written = dwfast ? store && r_line_end : piece_written && there_end;
    wire block_ends = line_written && last_row && last_phase;
    wire move = full && (!there || piece_written);

    // From one step to the next, and after the last one from phase to phase, it is so many channels and row groups.
    // (No matter that slot0 is the last step's then: LPS channels later both have crossed the same groups.)
    wire [3:0] together = 4'd1 << lgm;
    wire [3:0] further = last_step ? lps[3:0] : last_sub ? seg_step[3:0] + together : together;
    wire [3:0] groups = ({2'd0, slot0} + further) >> lgo;
    wire [14:0] next_at = (last_step ? line0 : at) + {{15 - GROUPS_W{1'b0}}, groups[GROUPS_W-1:0]} * ochsw;
    wire [14:0] next_line = last_row ? next_at : line + {11'd0, orowsw};

    // Byte j of the piece of channel g * M + n is in memory j + n * PIECE / M + P * g, modulo PIECE. So the bytes of
    // the lanes, in the order of column, g and n, go round by r_pos; a step's bytes come back by P * g.
    reg [PIECE*8-1:0] moved, turned;
    reg [PIECE-1:0] mine;
    reg [PIECE*6-1:0] column;  // of a memory's byte, as from where the step's bytes begin
    wire [PIECE*8-1:0] stored;
    wire [5:0] channel_at = {4'd0, channel} << (LGPIECE[2:0] - {1'b0, lgm});
    wire [5:0] turn = {{6 - LGLANES{1'b0}}, skew} - (LGM == 0 ? 6'd0 : channel_at);
    wire [5:0] slot_columns = IN_PIECE[5:0] >> lgm;
    wire [5:0] word_columns = IN_LANES[5:0] & slot_columns & (6'h3F << lgp);
    // Undefined in cycles that do not need them, which simulates much faster.
    always @* begin
        moved = {PIECE * 8{1'bx}};
        mine = {PIECE{1'b0}};
        {k, v, w} = 96'd0;  // else latches
        if (store && !dwfast) begin
            for (w = 0; w <= LGM; w = w + 1) begin
                for (v = 0; v <= LGSEGS; v = v + 1) begin
                    if ((w == 0 && v == 0) || (lgm == w[1:0] && lgp == v[1:0])) begin
                        for (k = 0; k < PIECE; k = k + 1) begin
                            moved[8*k+:8] = results[8*(k % (1 << v) * (LANES >> v)
                                + ((k % (PIECE >> w) >> v << w) + k / (PIECE >> w)) % (LANES >> v))+:8];
                        end
                    end
                end
            end
            for (k = 0; k < PIECE; k = k + 1) mine[k] = (k[5:0] & slot_columns & ~(IN_LANES[5:0] >> lgm)) == 6'd0;
            for (k = LGPIECE - 1; k >= 0; k = k - 1) begin
                if (r_pos[k]) begin
                    moved = moved << (8 << k) | moved >> (8 * PIECE - (8 << k));
                    mine = mine << (1 << k) | mine >> (PIECE - (1 << k));
                end
            end
        end
    end
    always @* begin
        column = {PIECE * 6{1'bx}};
        n = 0;
        if (step) begin
            for (n = 0; n < PIECE; n = n + 1) column[6*n+:6] = n[5:0] & word_columns;
            for (n = LGPIECE - 1; n >= 0; n = n - 1) begin
                if (turn[n]) column = column << (6 << n) | column >> (6 * PIECE - (6 << n));
            end
        end
    end
    genvar b;
    generate
        for (b = 0; b < PIECE; b = b + 1) begin : memory
            (* ram_style = "distributed" *) reg [7:0] bytes [0:2*LANES-1];
            always @(posedge clk) begin
                if (mine[b]) bytes[{half, r_pos[LGLANES-1:0]}] <= moved[8*b+:8];
            end
            assign stored[8*b+:8] = bytes[{there_half, column[6*b+:LGLANES]}];
        end
    endgenerate

    // Byte enables, in chunks of 16 bytes: columns inside the block, of the piece or the depthwise results, and
    // of the channels that there are.
    reg [15:0] above, below, near;
    reg [3:0] chunks_above, chunk_from, chunks_below, chunk_to, left_mask;
    reg [1:0] chunk, slot, nth;
    reg on;
    wire [5:0] pos = dwfast ? r_pos : there_pos;
    wire [5:0] outside = dwfast ? ~IN_LANES[5:0] : ~IN_PIECE[5:0];

    wire load = prep == 2'd2 && (!busy || block_ends);
    assign s_ready = prep == 2'd0;
    assign idle = !busy && prep == 2'd0 && !s_valid && !wr_valid && !full && !there;

    always @(posedge clk) begin
        if (prep == 2'd0) begin
            if (s_valid) begin
                p_line <= s_oy * orowsw;
                p_group <= s_group * ochsw;
                p_from <= s_ox[5:0];
                p_to <= {2'd0, s_ox[5:0]} + s_cols;
                p_channel <= s_channel[1:0];
                p_outs <= s_outs;
                p_rows <= s_rows;
                p_after <= s_channel + {4'd0, s_outs};
                p_final <= s_final;
                p_word <= {s_ox[10:6]};
                prep <= 2'd1;
            end
        end else if (prep == 2'd1) begin
            p_line <= p_line + p_group + layer[`PL_DST] + {10'd0, p_word};
            prep <= 2'd2;
        end else if (load) begin
            prep <= 2'd0;
        end

        if (piece_end) begin
            half <= !half;
            full_end <= r_line_end;
            full_pos <= r_pos;
        end
        if (move) begin
            there_end <= full_end;
            there_pos <= full_pos;
        end
        if (piece_written) there_half <= !there_half;
        full <= piece_end || (full && !move);
        there <= move || (there && !piece_written);

        wr_valid <= (step && some) || (store && dwfast);
        if (step || (store && dwfast)) begin
            turned = stored;
            for (i = LGPIECE - 1; i >= 0; i = i - 1) begin
                if (turn[i]) turned = turned >> (8 << i) | turned << (8 * PIECE - (8 << i));
            end
            above = 16'hFFFF << from[3:0];
            below = ~(16'hFFFF << to_here[3:0]);
            chunks_above = 4'hE << from[5:4];
            chunk_from = 4'h1 << from[5:4];
            chunks_below = ~(4'hF << to_here[6:4]);
            chunk_to = 4'h1 << to_here[6:4];
            left_mask = ~(4'hF << left[1:0]) | {4{left[6:2] != 5'd0}};
            for (i = 0; i < 16; i = i + 1) near[i] = ((i[3:0] ^ pos[3:0]) & outside[3:0]) == 4'd0;
            for (i = 0; i < 4; i = i + 1) begin
                chunk = i[1:0] & (2'd3 >> lgo);
                slot = i[1:0] >> (2'd2 - lgo);
                nth = slot - slot0;
                on = (((dwfast ? i[1:0] : chunk) ^ pos[5:4]) & outside[5:4]) == 2'd0
                    && left_mask[nth] && (dwfast || {2'd0, nth} < together);
                wr_be[16*i+:16] <= {16{on}} & near & ({16{chunks_above[chunk]}} | ({16{chunk_from[chunk]}} & above))
                    & ({16{chunks_below[chunk]}} | ({16{chunk_to[chunk]}} & below));
            end
            wr_row <= at;
            wr_data <= dwfast ? {PIECE / LANES{results}} : turned;
        end
        if (step) begin
            at <= last_step ? line : next_at;
            skew <= last_step ? {LGLANES{1'b0}} : skew + ({{LGLANES - 1{1'b0}}, 1'b1} << lgp);
            sub <= last_sub ? 3'd0 : sub + 3'd1;
            if (last_sub) seg <= last_step ? 3'd0 : seg + 3'd1;
        end
        // Depthwise lines of several words.
        if (store && dwfast && &(r_pos | IN_LANES[5:0])) begin
            at <= at + 15'd1;
            ahead <= ahead - 8'd64;
        end
        if (line_written) begin
            ahead <= to;
            row <= last_row ? 10'd0 : row + 10'd1;
            at <= next_line;
            line <= next_line;
            if (last_row) begin
                line0 <= next_line;
                phase <= phase + 3'd1;
            end
            if (block_ends) busy <= 1'b0;
        end
        // The last row goes out in the next cycle and can be read in the one behind.
        completes <= block_ends && final_block;
        if (block_ends) finished <= after;
        if (completes) complete <= finished;
        if (start) complete <= 11'd0;
        if (load) begin
            busy <= 1'b1;
            at <= p_line;
            line <= p_line;
            line0 <= p_line;
            from <= p_from;
            to <= p_to;
            ahead <= p_to;
            channel <= p_channel;
            outs <= p_outs;
            after <= p_after;
            final_block <= p_final;
            rows <= p_rows;
            row <= 10'd0;
            phase <= 3'd0;
        end
        if (rst) begin
            prep <= 2'd0;
            completes <= 1'b0;
            complete <= 11'd0;
            busy <= 1'b0;
            half <= 1'b0;
            there_half <= 1'b0;
            full <= 1'b0;
            there <= 1'b0;
            wr_valid <= 1'b0;
            seg <= 3'd0;
            sub <= 3'd0;
            skew <= {LGLANES{1'b0}};
        end
    end

    wire _unused = &{1'b0, layer, s_group[10], phases, slots, lps, seg_step, lglps, lgsegs, groups, column, turn,
        last_column, IN_PIECE, IN_LANES};
endmodule

`resetall
