// Write-back: collects the lanes' bytes into AI-RAM rows and writes them with byte enables.
//
// Every lane fills a line register of its own. Finished lines move to a second set and are written from there channel
// by channel; neighbouring channels that share a row go together, and the bytes of P pixel columns
// are interleaved on the way. Depthwise results already lie as in the row and are written as they come. Only bytes
// inside the map change (spec 3.4). `en` stops the lanes while a line register is not free.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_writeback #(
    parameter SEGS = 8,
    parameter SEGLEN = 8,
    parameter LPS = 4,
    parameter LGSEGS = $clog2(SEGS),
    parameter LGSEGLEN = $clog2(SEGLEN),
    parameter LGLPS = LPS > 1 ? $clog2(LPS) : 0
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire [`PLAN_W-1:0]    layer,
    output wire                  en,
    output wire                  idle,        // nothing collected, nothing to write
    // block command
    input  wire                  s_valid,
    output wire                  s_ready,
    input  wire [10:0]           s_channel,
    input  wire [6:0]            s_outs,
    input  wire [9:0]            s_oy,
    input  wire [9:0]            s_rows,
    input  wire [10:0]           s_ox,
    input  wire [6:0]            s_cols,
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
    output reg  [511:0]          wr_data
);
    localparam LANES = SEGS * LPS;
    localparam LGLANES = LGSEGS + LGLPS;
    localparam PHASES = SEGLEN / LPS;
    wire dwfast = layer[`PL_DWFAST];
    wire [1:0] lgo = layer[`PL_LGO];
    wire [1:0] lgp = layer[`PL_LGP];
    wire [14:0] ochsw = layer[`PL_OCHSW];
    wire [3:0] orowsw = layer[`PL_OROWSW];
    wire [1:0] slot_mask = lgo == 2'd2 ? 2'd3 : lgo == 2'd1 ? 2'd1 : 2'd0;
    integer i, l, c, n;

    // Preparation of the next block: row of its first line, its columns and (depthwise) slots as byte masks.
    reg [1:0] prep;
    reg [14:0] p_line, p_group;
    reg [4:0] p_word;
    reg [63:0] p_mask;
    reg [10:0] p_channel;
    reg [6:0] p_outs;
    reg [9:0] p_rows;
    wire [63:0] columns = ~(64'hFFFF_FFFF_FFFF_FFFF << s_cols) << s_ox[5:0];
    wire [10:0] s_group = s_channel >> lgo;
    reg [63:0] slots;
    reg [1:0] slot, nth;
    always @* begin
        for (n = 0; n < 4; n = n + 1) begin
            slot = n[1:0] >> (2'd2 - lgo);
            nth = slot - (s_channel[1:0] & slot_mask);
            slots[16*n+:16] = {16{slot >= (s_channel[1:0] & slot_mask) && {5'd0, nth} < s_outs}};
        end
    end

    // The block being collected or written.
    reg busy;
    reg [14:0] line, line0;
    reg [63:0] mask;
    reg [10:0] channel;
    reg [6:0] outs;
    reg [9:0] row, rows;
    reg [2:0] phase;
    wire [31:0] phases = PHASES;
    wire last_row = row + 10'd1 == rows;
    wire last_phase = dwfast || phase + 3'd1 == phases[2:0];

    // Collecting.
    // Registers, not memories: every lane writes its own byte, and a row takes bytes of several lanes at once.
    (* mem2reg, nowrshmsk *) reg [511:0] filling [0:LANES-1];
    (* mem2reg *) reg [511:0] finished [0:LANES-1];
    reg [5:0] byte_at;
    reg line_full, line_there;  // a line is complete, a line waits to be written
    wire stall_line = !dwfast && line_full && line_there;
    wire stall_row = dwfast && (!busy || wr_hold);
    assign en = !(r_valid && (stall_line || stall_row));
    wire store = r_valid && en;

    // Column of a lane among the P pixel columns; P divides r_pos.
    function [5:0] column(input [5:0] lane, input [1:0] lgp_in);
        column = ((lane >> LGLPS) << lgp_in) >> LGSEGS;
    endfunction

    // Writing: one step per group of channels that share a row.
    reg [3:0] seg, sub;
    wire [3:0] spc = SEGS[3:0] >> lgp;
    wire [31:0] lglps = LGLPS, lps = LPS;
    wire [1:0] last_lane = lps[1:0] - 2'd1;
    wire [1:0] lgm = lgo > lglps[1:0] ? lglps[1:0] : lgo;  // log2 of the channels written together
    wire [3:0] subs = lps[3:0] >> lgm;
    wire writing = busy && !dwfast && line_there;
    wire [10:0] first_channel = channel
        + (({7'd0, seg} << LGSEGLEN) | ({8'd0, phase} << LGLPS) | ({7'd0, sub} << lgm));
    wire [10:0] past = channel + {4'd0, outs};
    wire step = writing && !wr_hold;
    wire last_step = seg + 4'd1 == spc && sub + 4'd1 == subs;
    wire [10:0] row_group = first_channel >> lgo;
    wire [14:0] group_rows = row_group * ochsw;
    wire [1:0] slot0 = first_channel[1:0] & slot_mask;
    wire line_written = dwfast ? store && r_line_end : step && last_step;
    wire block_ends = line_written && last_row && last_phase;
    wire move = line_full && (!line_there || (step && last_step));

    // A line of a channel group in row order: byte b belongs to column b modulo P, and so to a lane of one segment.
    reg [7:0] index;
    reg [511:0] own;
    (* mem2reg *) reg [511:0] merged [0:3];
    wire [511:0] class0 = {512 / (8 * SEGS){{8 * SEGS - 8{1'b0}}, 8'hFF}};
    // Sixteen-byte chunks of the row: chunk k belongs to slot k * G / 4.
    reg [511:0] picked;
    reg [3:0] chunk_on;
    reg [1:0] w_slot, w_nth;

    wire load = prep == 2'd2 && (!busy || block_ends);
    assign s_ready = prep == 2'd0;
    assign idle = !busy && prep == 2'd0 && !s_valid && !wr_valid && !line_full && !line_there;

    always @(posedge clk) begin
        if (prep == 2'd0) begin
            if (s_valid) begin
                p_line <= s_oy * orowsw;
                p_group <= dwfast ? s_group * ochsw : 15'd0;
                p_mask <= (lgo == 2'd0 ? columns : lgo == 2'd1 ? {2{columns[31:0]}} : {4{columns[15:0]}})
                    & (dwfast ? slots : {64{1'b1}});
                p_channel <= s_channel;
                p_outs <= s_outs;
                p_rows <= s_rows;
                p_word <= {s_ox[10:6]};
                prep <= 2'd1;
            end
        end else if (prep == 2'd1) begin
            p_line <= p_line + p_group + layer[`PL_DST] + {10'd0, p_word};
            prep <= 2'd2;
        end else if (load) begin
            prep <= 2'd0;
        end

        if (store && !dwfast) begin
            for (i = 0; i < LANES; i = i + 1) begin
                byte_at = r_pos | column(i[5:0], lgp);
                filling[i][byte_at*8+:8] <= results[8*i+:8];
            end
        end
        if (move) begin
            for (i = 0; i < LANES; i = i + 1) finished[i] <= filling[i];
        end
        line_full <= store && !dwfast && r_line_end ? 1'b1 : line_full && !move;
        line_there <= move || (line_there && !(step && last_step));

        wr_valid <= 1'b0;
        if (step) begin
            for (l = 0; l < 4; l = l + 1) begin
                merged[l] = 512'd0;
                for (c = 0; c < SEGS; c = c + 1) begin
                    if (l < LPS) begin
                        index = ({4'd0, c[3:0] & ~(4'hF << lgp)} << (LGSEGS[1:0] - lgp)) + {4'd0, seg};
                        index = index * LPS[7:0] + l[7:0];
                        merged[l] = merged[l] | (finished[index[LGLANES-1:0]] & (class0 << (8 * c)));
                    end
                end
            end
            for (i = 0; i < 4; i = i + 1) begin
                w_slot = i[1:0] >> (2'd2 - lgo);
                w_nth = w_slot - slot0;
                chunk_on[i] = w_slot >= slot0 && {1'b0, w_nth} < 3'd1 << lgm && first_channel + {9'd0, w_nth} < past;
                own = merged[((sub[1:0] << lgm) + w_nth) & last_lane];
                picked[128*i+:128] = lgo == 2'd0 ? own[128*i+:128]
                    : lgo == 2'd1 ? own[128*(i%2)+:128] : own[127:0];
            end
            wr_valid <= first_channel < past;
            wr_row <= line + group_rows;
            wr_data <= picked;
            wr_be <= mask & {{16{chunk_on[3]}}, {16{chunk_on[2]}}, {16{chunk_on[1]}}, {16{chunk_on[0]}}};
            sub <= sub + 4'd1;
            if (sub + 4'd1 == subs) begin
                sub <= 4'd0;
                seg <= seg + 4'd1;
            end
            if (last_step) begin
                seg <= 4'd0;
            end
        end
        if (store && dwfast) begin
            wr_valid <= 1'b1;
            wr_row <= line;
            wr_data <= {64 / LANES{results}};
            wr_be <= mask & ({{64 - LANES{1'b0}}, {LANES{1'b1}}} << r_pos);
        end
        if (line_written) begin
            row <= row + 10'd1;
            line <= line + {11'd0, orowsw};
            if (last_row) begin
                row <= 10'd0;
                line <= line0;
                phase <= phase + 3'd1;
            end
            if (block_ends) busy <= 1'b0;
        end
        if (load) begin
            busy <= 1'b1;
            line <= p_line;
            line0 <= p_line;
            mask <= p_mask;
            channel <= p_channel;
            outs <= p_outs;
            rows <= p_rows;
            row <= 10'd0;
            phase <= 3'd0;
        end
        if (rst) begin
            prep <= 2'd0;
            busy <= 1'b0;
            line_full <= 1'b0;
            line_there <= 1'b0;
            wr_valid <= 1'b0;
            seg <= 4'd0;
            sub <= 4'd0;
        end
    end

    wire _unused = &{1'b0, layer, row_group[10], s_group[10], index, phases, lglps, lps};
endmodule

`resetall
