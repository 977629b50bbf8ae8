// SPDX-License-Identifier: Apache-2.0
// Drain: reads finished partial sums in window order and sends them through the lanes.
//
// Per block: phase (the lanes serve the PEs of a segment in turn), output line, column group, line and column within
// the pooling window. One read per cycle; a token with the controls accompanies every read. Waits for the block's
// last pass, and at the start of every phase for the lanes' new parameters.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_drain #(
    parameter PHASES = 2,    // PEs per segment and lane
    parameter SKEW = 8,      // segments the last pixel has to pass, at least 2
    parameter ADDR_W = 7,
    parameter PHASE_W = PHASES > 1 ? $clog2(PHASES) : 1
) (
    input  wire               clk,
    input  wire               rst,
    input  wire [`PLAN_W-1:0] layer,
    input  wire               en,           // the lanes advance
    // block command
    input  wire               s_valid,
    output wire               s_ready,
    input  wire [9:0]         s_rows,
    input  wire [10:0]        s_ox,
    input  wire [6:0]         s_cols,
    input  wire [6:0]         s_groups,
    input  wire               s_below,      // overlap: one more line than output lines was computed
    input  wire               block_done,   // pulse: a block's last pass has been issued
    output wire               bank_freed,   // pulse
    input  wire               params_valid,
    output wire               params_take,  // pulse: a phase begins
    // partial sums
    output wire               d_re,
    output wire               d_bank,
    output wire [PHASE_W-1:0] d_phase,
    output wire [ADDR_W-1:0]  d_addr,
    // token, with the read
    output wire               t_first,      // first and last value of a window
    output wire               t_last,
    output wire [5:0]         t_pos,        // column within the 64-byte row
    output wire               t_line_end,
    output wire               t_params_end
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (PHASES < 1 || PHASES > 8 || (PHASES & (PHASES - 1)) != 0) begin : rule0
            kpu_drain_PHASES_must_be_a_power_of_two_up_to_8 refused ();
        end
        if (SKEW < 2) begin : rule1
            kpu_drain_SKEW_must_be_at_least_2 refused ();
        end
        if (ADDR_W < 6 || ADDR_W > 9) begin : rule2
            kpu_drain_ADDR_W_must_be_6_to_9 refused ();
        end
    endgenerate

    wire overlap = layer[`PL_OVERLAP];
    wire [1:0] lgc = layer[`PL_LGC];
    wire [1:0] lgp = layer[`PL_LGP];
    wire [2:0] window = overlap ? 3'd2 : 3'd1 << lgc;  // values per window side

    // Blocks whose sums are complete.
    reg [SKEW-1:0] late;
    reg [2:0] ready;

    reg run, bank;
    reg freeing;  // the block's last sum still stands in the RAM's output until the lanes take it
    reg [PHASE_W-1:0] phase;
    reg [9:0] row;
    reg [6:0] group;
    reg [1:0] wy, wx;
    reg [ADDR_W-1:0] line, at;   // address of the window row's first line, of the current group in it
    reg [5:0] pos;

    wire [ADDR_W+1:0] line_len = {{ADDR_W - 5{1'b0}}, s_groups} << lgc;
    wire last_row = row + 10'd1 == s_rows;
    // Overlapping windows: columns and lines beyond the image repeat the last one.
    wire [6:0] out_groups = overlap ? s_cols : s_groups;
    wire clamp_x = overlap && group + 7'd1 == s_groups;
    wire clamp_y = overlap && last_row && !s_below;
    wire [ADDR_W-1:0] x_off = clamp_x ? {ADDR_W{1'b0}} : {{ADDR_W - 2{1'b0}}, wx};
    wire [ADDR_W+1:0] y_off = clamp_y ? {ADDR_W + 2{1'b0}} : wy == 2'd0 ? {ADDR_W + 2{1'b0}} : wy == 2'd1 ? line_len
        : wy == 2'd2 ? line_len << 1 : line_len + (line_len << 1);
    wire last_x = {1'b0, wx} + 3'd1 == window;
    wire last_y = {1'b0, wy} + 3'd1 == window;
    wire last_group = group + 7'd1 == out_groups;
    wire window_end = last_x && last_y;
    wire line_end = window_end && last_group;
    wire phase_end = line_end && last_row;
    wire [31:0] last_phase = PHASES - 1;
    wire block_end = phase_end && phase == last_phase[PHASE_W-1:0];
    wire begin_phase = s_valid && !run && ready != 3'd0 && params_valid;

    assign d_re = run && en;
    assign d_bank = bank;
    assign d_phase = phase;
    assign d_addr = at + x_off + y_off[ADDR_W-1:0];
    assign t_first = wx == 2'd0 && wy == 2'd0;
    assign t_last = window_end;
    assign t_pos = pos;
    assign t_line_end = line_end;
    assign t_params_end = phase_end;
    assign s_ready = d_re && block_end;
    assign bank_freed = freeing && en;
    assign params_take = begin_phase || (d_re && phase_end && !block_end && params_valid);

    always @(posedge clk) begin
        late <= {late[SKEW-2:0], block_done};
        ready <= ready + {2'd0, late[SKEW-1]} - {2'd0, s_ready};
        if (s_ready) freeing <= 1'b1;
        else if (en) freeing <= 1'b0;
        if (d_re) begin
            wx <= wx + 2'd1;
            if (last_x) begin
                wx <= 2'd0;
                wy <= wy + 2'd1;
                if (last_y) begin
                    wy <= 2'd0;
                    group <= group + 7'd1;
                    at <= at + ({{ADDR_W - 1{1'b0}}, 1'b1} << lgc);
                    pos <= pos + (6'd1 << lgp);
                    if (last_group) begin
                        group <= 7'd0;
                        pos <= s_ox[5:0];
                        row <= row + 10'd1;
                        line <= line + (overlap ? line_len[ADDR_W-1:0] : line_len[ADDR_W-1:0] << lgc);
                        at <= line + (overlap ? line_len[ADDR_W-1:0] : line_len[ADDR_W-1:0] << lgc);
                        if (last_row) begin
                            row <= 10'd0;
                            line <= {ADDR_W{1'b0}};
                            at <= {ADDR_W{1'b0}};
                            phase <= phase + 1'b1;
                            // Without parameters for the next phase the drain pauses there.
                            if (block_end || !params_valid) run <= 1'b0;
                            if (block_end) begin
                                phase <= {PHASE_W{1'b0}};
                                bank <= !bank;
                            end
                        end
                    end
                end
            end
        end
        if (begin_phase) begin
            run <= 1'b1;
            wx <= 2'd0;
            wy <= 2'd0;
            row <= 10'd0;
            group <= 7'd0;
            line <= {ADDR_W{1'b0}};
            at <= {ADDR_W{1'b0}};
            pos <= s_ox[5:0];
        end
        if (rst) begin
            late <= {SKEW{1'b0}};
            ready <= 3'd0;
            run <= 1'b0;
            freeing <= 1'b0;
            bank <= 1'b0;
            phase <= {PHASE_W{1'b0}};
        end
    end

    wire _unused = &{1'b0, layer, s_ox, y_off, last_phase};
endmodule

`resetall
