// SPDX-License-Identifier: Apache-2.0
// Post-processing lane: affine, activation, pooling of one value per cycle (spec/kpu-hardware.md 5 to 8).
//
// Stages: 1 arg_x * S_x, 2 alu, 3 alu * norm_mul, 4 v, 5 quarter of the table, 6 segment in it, 7 v - x_start, 8 * y_mul,
// 9 round, 10 bias and clamp, 11 pool. The stages advance together with `en`; valid[k] says that stage k takes a value.
// The result follows from what stage 11 keeps. Parameters come in two sets, so that the next channel's arrive early;
// stage 4 is the last to use them.
//
// Every lane has its own copy of the activation table: a small memory is cheaper than a multiplexer. The segment is
// searched by `least`, the lowest start of a segment and all above it: the highest segment that starts below v is the
// highest whose `least` is below v, and `least` never falls, so that three comparisons find the quarter and three more
// the segment.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_lane (
    input  wire                clk,
    input  wire                en,
    input  wire [11:1]         valid,
    input  wire                bank2,      // parameter set of stages 2, 3 and 4
    input  wire                bank3,
    input  wire                bank4,
    input  wire                first11,    // first value of a window
    input  wire                pool_max,
    input  wire                pool_sum,
    input  wire [2:0]          pool_shift,
    // parameter write
    input  wire                p_we,
    input  wire                p_bank,
    input  wire [59:0]         p_bn,
    input  wire [35:0]         p_c,
    // layer constants
    input  wire signed [23:0]  arg_x,
    input  wire [3:0]          shr_x,
    // activation table write: bias, start, multiplier and shift of segment seg_windex[3:0] in bank seg_windex[4]
    input  wire                seg_we,
    input  wire [4:0]          seg_windex,
    input  wire [65:0]         seg_wdata,
    input  wire [35:0]         seg_wleast,
    // activation table in use, and its `least` of segments 4, 8 and 12
    input  wire                act_bank,
    input  wire [3*36-1:0]     quarters,
    // values
    input  wire [35:0]         sum,
    input  wire [21:0]         xsum,
    output wire [7:0]          result      // one stage behind a window's last value in stage 11
);
    reg [59:0] bn_a, bn_b;
    reg [35:0] c_a, c_b;
    wire [23:0] bn3 = bank3 ? bn_b[23:0] : bn_a[23:0];
    wire [35:0] bn4 = bank4 ? bn_b[59:24] : bn_a[59:24];

    reg signed [46:0] tx1;
    reg [35:0] sum1;
    wire signed [46:0] tx1s = tx1 >>> shr_x;
    reg signed [35:0] alu2;
    reg signed [59:0] prod3;
    wire signed [23:0] mul3 = bn3;
    wire signed [59:0] prod3s = prod3 >>> bn4[35:32];
    reg signed [35:0] v4, v5, v6;
    wire [35:0] add4 = {{4{bn4[31]}}, bn4[31:0]};

    (* ram_style = "distributed" *) reg [65:0] segment [0:31];
    // `least` of the second, third and fourth segment of every quarter.
    (* ram_style = "distributed" *) reg [35:0] second [0:7];
    (* ram_style = "distributed" *) reg [35:0] third [0:7];
    (* ram_style = "distributed" *) reg [35:0] fourth [0:7];
    wire [2:0] seg_wquarter = seg_windex[4:2];
    reg [1:0] quarter5;
    reg [3:0] index6;
    wire [2:0] at5 = {act_bank, quarter5};
    wire [2:0] in_quarter = {below(fourth[at5], v5), below(third[at5], v5), below(second[at5], v5)};
    wire [2:0] past_quarter = {below(quarters[2*36+:36], v4), below(quarters[36+:36], v4), below(quarters[0+:36], v4)};

    // The sign of the difference is the comparison, without the gates for an overflow.
    function below(input [35:0] a, input [35:0] b);
        below = (({a[35], a} - {b[35], b}) & 37'h10_0000_0000) != 37'd0;
    endfunction

    function [1:0] highest(input [2:0] under);
        highest = under[2] ? 2'd3 : under[1] ? 2'd2 : {1'b0, under[0]};
    endfunction

    wire [65:0] seg7 = segment[{act_bank, index6}];
    reg signed [36:0] d7;
    reg signed [15:0] mul7;
    reg [5:0] shift7, shift8;
    reg [7:0] bias7, bias8, bias9;

    // Rounding. `twice` has one bit below the integer part, so that its shift brings the half bit along; in two
    // steps, since only ten bits of the integer part are used: a larger one saturates whatever the bias is.
    reg signed [52:0] p8;
    wire signed [53:0] twice = {p8, 1'b0};
    wire signed [53:0] near = twice >>> {shift8[5:3], 3'd0};
    wire [17:0] nearer = near[17:0] >> shift8[2:0];
    wire [53:0] kept = {54{1'b1}} << shift8;
    wire too_big = ((twice[53:10] ^ {44{p8[52]}}) & kept[43:0]) != 44'd0;
    wire signed [9:0] whole = too_big ? {p8[52], {9{!p8[52]}}} : nearer[10:1];
    wire away = nearer[0] && ((twice & ~kept) != 54'd0 || nearer[1]);
    reg signed [10:0] r9;
    wire signed [11:0] y9 = {r9[10], r9} + {4'd0, bias9};
    reg [7:0] y10;

    reg [11:0] acc11;
    wire [11:0] acc = first11 ? {4'd0, y10} : pool_sum ? acc11 + {4'd0, y10}
        : pool_max && acc11[7:0] > y10 ? acc11 : {4'd0, y10};
    wire [11:0] mean = acc11 >> pool_shift;
    assign result = mean[7:0];

    always @(posedge clk) begin
        if (p_we && !p_bank) begin
            bn_a <= p_bn;
            c_a <= p_c;
        end
        if (p_we && p_bank) begin
            bn_b <= p_bn;
            c_b <= p_c;
        end
        if (seg_we) segment[seg_windex] <= seg_wdata;
        if (seg_we && seg_windex[1:0] == 2'd1) second[seg_wquarter] <= seg_wleast;
        if (seg_we && seg_windex[1:0] == 2'd2) third[seg_wquarter] <= seg_wleast;
        if (seg_we && seg_windex[1:0] == 2'd3) fourth[seg_wquarter] <= seg_wleast;
        if (en) begin
            if (valid[1]) begin
                tx1 <= arg_x * $signed({1'b0, xsum});
                sum1 <= sum;
            end
            if (valid[2]) alu2 <= sum1 + tx1s[35:0] + (bank2 ? c_b : c_a);
            if (valid[3]) prod3 <= alu2 * mul3;
            if (valid[4]) v4 <= prod3s[35:0] + add4;
            if (valid[5]) begin
                quarter5 <= highest(past_quarter);
                v5 <= v4;
            end
            if (valid[6]) begin
                index6 <= {quarter5, highest(in_quarter)};
                v6 <= v5;
            end
            if (valid[7]) begin
                d7 <= {v6[35], v6} - {seg7[57], seg7[57:22]};
                mul7 <= seg7[21:6];
                shift7 <= seg7[5:0];
                bias7 <= seg7[65:58];
            end
            if (valid[8]) begin
                p8 <= d7 * mul7;
                shift8 <= shift7;
                bias8 <= bias7;
            end
            if (valid[9]) begin
                r9 <= {whole[9], whole} + {{10{away && p8[52]}}, away};
                bias9 <= bias8;
            end
            if (valid[10]) y10 <= y9[11] ? 8'd0 : y9[10:8] != 3'd0 ? 8'd255 : y9[7:0];
            if (valid[11]) acc11 <= acc;
        end
    end

    wire _unused = &{1'b0, tx1s[46:36], prod3s[59:36], near[53:18], nearer[17:11], mean[11:8]};
endmodule

`resetall
