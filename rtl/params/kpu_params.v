// SPDX-License-Identifier: Apache-2.0
// Lane parameters: batch norm and constant term of the output channels that the lanes serve next.
//
// Reads the batch-norm table and the weight sums, forms C = ((arg_w * S_w) >> shr_w) + arg_add * n (spec 5.1), and
// writes one channel per cycle into the lanes' spare parameter set. Works one phase ahead of the drain. `begin_block`
// says that a block's weight sums are complete.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_params #(
    parameter SEGS = 8,
    parameter SEGLEN = 8,
    parameter LPS = 4,
    parameter LGSEGS = $clog2(SEGS),
    parameter LGSEGLEN = $clog2(SEGLEN)
) (
    input  wire               clk,
    input  wire               rst,
    input  wire [`PLAN_W-1:0] layer,
    input  wire               tables_there,   // the layer's tables have been fetched
    input  wire               bn_bank,
    input  wire               sw_bank,
    // block command
    input  wire               s_valid,
    output wire               s_ready,
    input  wire [10:0]        s_channel,
    input  wire               begin_block,    // pulse
    // sets of lane parameters
    output wire               params_valid,   // a set is loaded and not taken
    input  wire               params_take,    // pulse
    input  wire               params_free,    // pulse: the set taken first is no longer used
    // table writes from the parameter fetch
    input  wire               bn_we,
    input  wire               bn_wbank,
    input  wire [9:0]         bn_windex,
    input  wire [63:0]        bn_wdata,
    input  wire               sw_we,
    input  wire               sw_wbank,
    input  wire [9:0]         sw_windex,
    input  wire [29:0]        sw_wdata,
    // writes into the lanes: lane (segment s, i) where mask matches
    output reg                p_we,
    output reg                p_bank,
    output reg  [LGSEGS-1:0]  p_seg,
    output reg  [LGSEGS-1:0]  p_mask,
    output reg                p_all,          // every lane of the segment
    output reg  [2:0]         p_lane,
    output reg  [59:0]        p_bn,
    output reg  [35:0]        p_c
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_params_SEGS_must_be_2_4_or_8 refused ();
        end
        if (SEGLEN < 2 || SEGLEN > 8 || (SEGLEN & (SEGLEN - 1)) != 0) begin : rule1
            kpu_params_SEGLEN_must_be_2_4_or_8 refused ();
        end
        if (LPS < 1 || LPS > SEGLEN || (LPS & (LPS - 1)) != 0) begin : rule2
            kpu_params_LPS_must_be_a_power_of_two_up_to_SEGLEN refused ();
        end
    endgenerate

    localparam PHASES = SEGLEN / LPS;
    localparam LGLANES = $clog2(SEGS * LPS);
    wire dwfast = layer[`PL_DWFAST];
    wire [1:0] lgi = layer[`PL_LGI];

    reg [3:0] pending;       // blocks that may begin
    reg run, bank;
    reg [2:0] sets_used, sets_loaded;
    reg [2:0] phase;
    reg [3:0] seg, lane;
    wire [3:0] spc = SEGS[3:0] >> layer[`PL_LGP];

    // Depthwise: channel k of the 2**lgdw that lie side by side serves the segments of its slot.
    wire [3:0] lg_bytes = LGLANES[3:0] + {2'd0, lgi};
    wire [1:0] lgdw = lg_bytes > 4'd6 ? lg_bytes[1:0] - 2'd2 : 2'd0;
    wire [3:0] slots = 4'd1 << lgdw;
    wire [31:0] phases = PHASES, lanes = LPS;
    wire [3:0] last_lane = dwfast ? 4'd0 : lanes[3:0] - 4'd1;
    wire [3:0] last_seg = dwfast ? slots - 4'd1 : spc - 4'd1;
    wire [2:0] last_phase = dwfast ? 3'd0 : phases[2:0] - 3'd1;
    wire set_end = lane == last_lane && seg == last_seg;
    wire [10:0] channel = dwfast ? s_channel + {7'd0, seg}
        : s_channel + ({7'd0, seg} << LGSEGLEN) + {7'd0, lane} + {8'd0, phase} * lanes[10:0];

    assign s_ready = run && set_end && phase == last_phase;
    assign params_valid = sets_loaded != 3'd0;

    wire [63:0] bn;
    wire [29:0] sw;
    kpu_ram #(.WIDTH(64), .DEPTH(2048)) bn_table (
        .clk(clk), .we(bn_we), .waddr({bn_wbank, bn_windex}), .wdata(bn_wdata),
        .re(run), .raddr({bn_bank, channel[9:0]}), .rdata(bn)
    );
    kpu_ram #(.WIDTH(30), .DEPTH(2048)) sw_table (
        .clk(clk), .we(sw_we), .waddr({sw_wbank, sw_windex}), .wdata(sw_wdata),
        .re(run), .raddr({sw_bank, channel[9:0]}), .rdata(sw)
    );

    // Stages: read, a register (block RAM and product are slow), multiply, shift and add.
    reg [3:1] v, bank_of;
    reg [4:1] ends;
    reg [3:0] seg1, lane1, seg2, lane2, seg3, lane3;
    reg [59:0] bn2, bn3;
    reg [29:0] sw2;
    reg signed [54:0] prod3;
    wire signed [23:0] arg_w = layer[`PL_ARG_W];
    wire signed [54:0] prod = layer[`PL_BYPASS] ? 55'sd0 : arg_w * $signed({1'b0, sw2});
    wire signed [54:0] shifted = prod3 >>> layer[`PL_SHR_W];
    wire [35:0] c = shifted[35:0] + layer[`PL_ADDC];
    wire [31:0] all_segs = SEGS - 1;
    wire [LGSEGS+1:0] dw_place = {seg3[1:0], {LGSEGS{1'b0}}} >> lgdw;

    always @(posedge clk) begin
        pending <= pending + {3'd0, begin_block} - {3'd0, s_ready};
        if (!run) begin
            if (s_valid && pending != 4'd0 && tables_there && (sets_used < 3'd2 || params_free)) begin
                run <= 1'b1;
                seg <= 4'd0;
                lane <= 4'd0;
            end
        end else begin
            lane <= lane + 4'd1;
            if (lane == last_lane) begin
                lane <= 4'd0;
                seg <= seg + 4'd1;
            end
            if (set_end) begin
                run <= 1'b0;
                bank <= !bank;
                phase <= phase == last_phase ? 3'd0 : phase + 3'd1;
            end
        end
        sets_used <= sets_used + {2'd0, !run && s_valid && pending != 4'd0 && tables_there
            && (sets_used < 3'd2 || params_free)} - {2'd0, params_free};
        sets_loaded <= sets_loaded + {2'd0, ends[4]} - {2'd0, params_take};

        v <= {v[2:1], run};
        ends <= {ends[3:1], run && set_end};
        bank_of <= {bank_of[2:1], bank};
        seg1 <= seg;
        lane1 <= lane;

        seg2 <= seg1;
        lane2 <= lane1;
        bn2 <= bn[59:0];
        sw2 <= sw;

        seg3 <= seg2;
        lane3 <= lane2;
        bn3 <= bn2;
        prod3 <= prod;

        p_we <= v[3];
        p_bank <= bank_of[3];
        p_all <= dwfast;
        p_lane <= lane3[2:0];
        p_seg <= dwfast ? dw_place[LGSEGS-1:0] : seg3[LGSEGS-1:0];
        p_mask <= dwfast ? ~(all_segs[LGSEGS-1:0] >> lgdw) : all_segs[LGSEGS-1:0] >> layer[`PL_LGP];
        p_bn <= bn3;
        p_c <= c;
        if (rst) begin
            pending <= 4'd0;
            run <= 1'b0;
            bank <= 1'b0;
            phase <= 3'd0;
            sets_used <= 3'd0;
            sets_loaded <= 3'd0;
            v <= 3'd0;
            ends <= 4'd0;
            p_we <= 1'b0;
        end
    end

    wire _unused = &{
        1'b0, layer, bn[63:60], shifted[54:36], channel[10], seg3, lane3, phases, lanes, all_segs, dw_place};
endmodule

`resetall
