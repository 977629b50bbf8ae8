// SPDX-License-Identifier: Apache-2.0
// Issue: starts a pass when its weights, its partial-sum bank and its pixels are there, and walks its pixels.
//
// One column group per cycle without gaps between lines or passes. Partial sums of a tile are addressed 0, 1, 2, ...
// in issue order: line, column group, column within the window. The depthwise path has no partial sums: its
// pixels go straight to the lanes, LANES columns per cycle, and stall with them.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_issue #(
    parameter LGLANES = 5,  // log2 of the lanes
    parameter ADDR_W = 7    // address bits of the partial sums
) (
    input  wire               clk,
    input  wire               rst,
    input  wire [`PLAN_W-1:0] layer,
    // pass command
    input  wire               s_valid,
    output wire               s_ready,
    input  wire [9:0]         s_lines,
    input  wire [7:0]         s_groups,     // column groups; depthwise: columns
    input  wire [5:0]         s_x,
    input  wire [1:0]         s_slot,     // depthwise: first channel's slot in the row
    input  wire               s_first,
    input  wire               s_last,
    input  wire               s_high,
    input  wire               s_load,
    input  wire               s_free,
    // resources
    input  wire               set_loaded,   // a weight set has been loaded
    output reg                set_freed,    // a weight set is no longer used
    input  wire               bank_freed,   // a partial-sum bank has been drained
    output reg                block_late,   // pulse: the last pass of a block has begun
    output reg                block_done,   // pulse: the last pass of a block has been issued
    input  wire               params_valid, // depthwise: the lanes have this block's parameters
    output reg                params_take,
    input  wire               post_en,      // depthwise: the lanes advance
    // window former
    input  wire               set_valid,
    output wire               take,
    output reg  [7:0]         q,
    output wire               set_done,
    // array, one cycle after take
    output reg                a_valid,
    output reg  [ADDR_W-1:0]  a_addr,
    output reg                a_first,
    output reg                a_bank,
    output reg                a_ends,       // last pixel with these weights (depthwise too)
    output reg                a_high,
    // lanes (depthwise), one cycle after take
    output reg                d_valid,
    output reg  [5:0]         d_pos,
    output reg                d_line_end,
    output reg                d_params_end,
    // why nothing is issued
    output wire               wait_param,
    output wire               wait_feature,
    output wire               wait_writeback
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LGLANES < 1 || LGLANES > 6) begin : rule0
            kpu_issue_LGLANES_must_be_1_to_6 refused ();
        end
        if (ADDR_W < 6 || ADDR_W > 9) begin : rule1
            kpu_issue_ADDR_W_must_be_6_to_9 refused ();
        end
    endgenerate

    wire dwfast = layer[`PL_DWFAST];
    wire [1:0] lgs = layer[`PL_LGS];
    wire [1:0] lgc = layer[`PL_LGC];
    wire [1:0] lgp = layer[`PL_LGP];

    reg run;
    reg [9:0] lines;
    reg [6:0] groups, group;
    reg [7:0] q0, q_group;   // first column of a line, of the group; q is q_group + dx
    reg [1:0] dx;
    reg [ADDR_W-1:0] addr;
    reg first, last, high, frees;
    reg bank, next_bank;
    reg [1:0] sets, banks;   // weight sets loaded and not begun, partial-sum banks free
    reg single;              // pass of one cycle: leave a gap, or the sums would be read before they are written

    // Depthwise: column groups of LANES; several narrow channels share one.
    wire [7:0] dw_groups = (s_groups + (8'd1 << LGLANES) - 8'd1) >> LGLANES;
    wire [7:0] dw_x = {6'd0, s_slot} << (3'd6 - {1'b0, layer[`PL_LGI]});
    wire [6:0] now_groups = dwfast ? dw_groups[6:0] : s_groups[6:0];
    wire [7:0] now_q = dwfast ? dw_x : {2'd0, s_x} + {7'd0, layer[`PL_POOL] == 4'd6};

    wire set_ok = !s_load || sets != 2'd0;
    wire bank_ok = dwfast ? !s_load || (params_valid && !params_take) : !s_first || banks != 2'd0;
    wire pass_end;
    wire begin_pass = s_valid && set_ok && bank_ok && (!run || (pass_end && !single));
    assign s_ready = begin_pass;

    wire [1:0] next_dx = dx + 2'd1;
    wire last_dx = next_dx == 2'd1 << lgc;
    wire line_end = last_dx && group == 7'd1;
    assign take = run && set_valid && (!dwfast || post_en);
    wire [2:0] lg_step = {1'b0, lgp} + {1'b0, lgs};
    wire [7:0] next_group = q_group + (8'd1 << (dwfast ? LGLANES[2:0] : lg_step));
    assign set_done = take && line_end;
    assign pass_end = set_done && lines == 10'd1;

    assign wait_param = !run && s_valid && !set_ok;
    assign wait_writeback = (!run && (!s_valid || (set_ok && !bank_ok))) || (run && set_valid && !take);
    assign wait_feature = run && !set_valid;

    always @(posedge clk) begin
        set_freed <= 1'b0;
        block_late <= 1'b0;
        block_done <= 1'b0;
        params_take <= begin_pass && s_load && dwfast;
        if (take) begin
            addr <= addr + 1'b1;
            dx <= next_dx;
            q <= q + 8'd1;
            if (last_dx) begin
                dx <= 2'd0;
                group <= group - 7'd1;
                q_group <= next_group;
                q <= next_group;
                if (group == 7'd1) begin
                    group <= groups;
                    q_group <= q0;
                    q <= q0;
                    lines <= lines - 10'd1;
                end
            end
            if (pass_end) begin
                run <= 1'b0;
                set_freed <= frees && !dwfast;
                block_done <= last;
            end
        end
        if (begin_pass) begin
            run <= 1'b1;
            lines <= s_lines;
            groups <= now_groups;
            group <= now_groups;
            q0 <= now_q;
            q_group <= now_q;
            q <= now_q;
            dx <= 2'd0;
            addr <= {ADDR_W{1'b0}};
            first <= s_first;
            last <= s_last;
            high <= s_high;
            frees <= s_free;
            single <= s_lines == 10'd1 && s_groups == 8'd1 && lgc == 2'd0;
            block_late <= s_last;
            if (s_first && !dwfast) begin
                bank <= next_bank;
                next_bank <= !next_bank;
            end
        end
        sets <= sets + {1'b0, set_loaded} - {1'b0, begin_pass && s_load};
        banks <= banks + {1'b0, bank_freed} - {1'b0, begin_pass && s_first && !dwfast};

        a_valid <= take && !dwfast;
        a_addr <= addr;
        a_first <= first;
        a_bank <= bank;
        if (!dwfast || post_en) a_ends <= pass_end && frees;
        a_high <= high;
        if (d_valid && d_params_end && post_en) set_freed <= 1'b1;
        if (post_en) begin
            d_valid <= take && dwfast;
            d_pos <= q[5:0];
            d_line_end <= line_end;
            d_params_end <= pass_end && frees;
        end
        if (rst) begin
            run <= 1'b0;
            sets <= 2'd0;
            banks <= 2'd2;
            next_bank <= 1'b0;
            a_valid <= 1'b0;
            d_valid <= 1'b0;
            set_freed <= 1'b0;
            block_late <= 1'b0;
            block_done <= 1'b0;
            params_take <= 1'b0;
        end
    end

    wire _unused = &{1'b0, layer, dw_groups[7]};
endmodule

`resetall
