// SPDX-License-Identifier: Apache-2.0
// Post-processing lane: affine, activation, pooling of one value per cycle (spec/kpu-hardware.md 5 to 8).
//
// Stages: 1 the sum as the partial sums' RAM gives it, 2 and 3 beside kpu_arg_x, 4 alu, 5 alu * norm_mul, 6 v, 7 quarter of
// the table, 8 segment in it, 9 v - x_start, 10 * y_mul, 11 round, 12 bias and clamp, 13 pool. The stages advance together
// with `en`; valid[k] says that stage k takes a value. The result follows from what stage 13 keeps. Parameters come in two
// sets, so that the next channel's arrive early; stage 6 is the last to use them.
//
// Every lane has its own copy of the activation table: a small memory is cheaper than a multiplexer. The segment is
// searched by `least`, the lowest start of a segment and all above it: the highest segment that starts below v is the
// highest whose `least` is below v, and `least` never falls, so that three comparisons find the quarter and three more
// the segment.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_lane #(
    parameter TABLE_BLOCK = 0  // 1: the activation table lies in block RAM
) (
    input  wire                clk,
    input  wire                en,
    input  wire [13:1]         valid,
    input  wire                bank4,      // parameter set of stages 4, 5 and 6
    input  wire                bank5,
    input  wire                bank6,
    input  wire                first13,    // first value of a window
    input  wire                pool_max,
    input  wire                pool_sum,
    input  wire [2:0]          pool_shift,
    // parameter write
    input  wire                p_we,
    input  wire                p_bank,
    input  wire [59:0]         p_bn,
    input  wire [35:0]         p_c,
    input  wire [3:0]          shr_x,      // constant of the layer
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
    input  wire signed [46:0]  product,    // arg_x * S_x, from stage 3 of kpu_arg_x
    output wire [7:0]          result      // one stage behind a window's last value in stage 13
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (TABLE_BLOCK != 0 && TABLE_BLOCK != 1) begin : rule0
            kpu_lane_TABLE_BLOCK_must_be_0_or_1 refused ();
        end
    endgenerate

    reg [59:0] bn_a, bn_b;
    reg [35:0] c_a, c_b;
    wire [23:0] bn5 = bank5 ? bn_b[23:0] : bn_a[23:0];
    wire [35:0] bn6 = bank6 ? bn_b[59:24] : bn_a[59:24];

    reg [35:0] sum1, sum2, sum3;
    wire signed [46:0] shifted = product >>> shr_x;
    reg signed [35:0] alu4;
    reg signed [59:0] prod5;
    wire signed [23:0] mul5 = bn5;
    wire signed [59:0] prod5s = prod5 >>> bn6[35:32];
    reg signed [35:0] v6, v7, v8;
    wire [35:0] add6 = {{4{bn6[31]}}, bn6[31:0]};

    // `least` of the second, third and fourth segment of every quarter.
    (* ram_style = "distributed" *) reg [35:0] second [0:7];
    (* ram_style = "distributed" *) reg [35:0] third [0:7];
    (* ram_style = "distributed" *) reg [35:0] fourth [0:7];
    wire [2:0] seg_wquarter = seg_windex[4:2];
    reg [1:0] quarter7;
    wire [2:0] at7 = {act_bank, quarter7};
    wire [2:0] in_quarter = {below(fourth[at7], v7), below(third[at7], v7), below(second[at7], v7)};
    wire [2:0] past_quarter = {below(quarters[2*36+:36], v6), below(quarters[36+:36], v6), below(quarters[0+:36], v6)};

    // The sign of the difference is the comparison, without the gates for an overflow.
    function below(input [35:0] a, input [35:0] b);
        below = (({a[35], a} - {b[35], b}) & 37'h10_0000_0000) != 37'd0;
    endfunction

    function [1:0] highest(input [2:0] under);
        highest = under[2] ? 2'd3 : under[1] ? 2'd2 : {1'b0, under[0]};
    endfunction

    wire [65:0] seg9;
    kpu_ram #(.WIDTH(66), .DEPTH(32), .BLOCK(TABLE_BLOCK)) segments (
        .clk(clk), .we(seg_we), .waddr(seg_windex), .wdata(seg_wdata),
        .re(en && valid[8]), .raddr({act_bank, quarter7, highest(in_quarter)}), .rdata(seg9)
    );
    reg signed [36:0] d9;
    reg signed [15:0] mul9;
    reg [5:0] shift9, shift10;
    reg [7:0] bias9, bias10, bias11;

    // Rounding. `twice` has one bit below the integer part, so that its shift brings the half bit along; in two
    // steps, whole bytes first, since only ten bits of the integer part are used: a larger one saturates whatever the bias
    // is. What lies above those ten and below the half bit is told by groups of eight bits, and by bits in the group where
    // the second step cuts.
    reg signed [52:0] p10;
    wire signed [53:0] twice = {p10, 1'b0};
    wire [2:0] eights = shift10[5:3];
    wire signed [53:0] near = twice >>> {eights, 3'd0};
    wire [17:0] nearer = near[17:0] >> shift10[2:0];
    wire [7:0] kept = 8'hFF << shift10[2:0];
    wire [57:0] sign_differs = {4'd0, twice ^ {54{p10[52]}}};
    wire [55:0] padded = {2'd0, twice};
    reg [7:0] beyond, under;  // something differs from the sign from 18 + 8 * k on; something is not 0 below 8 * k
    integer k;
    always @* begin
        beyond = 8'd0;
        for (k = 4; k >= 0; k = k - 1) beyond[k] = beyond[k+1] || sign_differs[8*k+18+:8] != 8'd0;
        under = 8'd0;
        for (k = 1; k < 8; k = k + 1) under[k] = under[k-1] || padded[8*k-8+:8] != 8'd0;
    end
    wire too_big = beyond[eights] || ((near[17:10] ^ {8{p10[52]}}) & kept) != 8'd0;
    wire signed [9:0] whole = too_big ? {p10[52], {9{!p10[52]}}} : nearer[10:1];
    wire away = nearer[0] && (under[eights] || (near[7:0] & ~kept) != 8'd0 || nearer[1]);
    reg signed [10:0] r11;
    wire signed [11:0] y11 = {r11[10], r11} + {4'd0, bias11};
    reg [7:0] y12;

    reg [11:0] acc13;
    wire [11:0] acc = first13 ? {4'd0, y12} : pool_sum ? acc13 + {4'd0, y12}
        : pool_max && acc13[7:0] > y12 ? acc13 : {4'd0, y12};
    wire [11:0] mean = acc13 >> pool_shift;
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
        if (seg_we && seg_windex[1:0] == 2'd1) second[seg_wquarter] <= seg_wleast;
        if (seg_we && seg_windex[1:0] == 2'd2) third[seg_wquarter] <= seg_wleast;
        if (seg_we && seg_windex[1:0] == 2'd3) fourth[seg_wquarter] <= seg_wleast;
        if (en) begin
            if (valid[1]) sum1 <= sum;
            if (valid[2]) sum2 <= sum1;
            if (valid[3]) sum3 <= sum2;
            if (valid[4]) alu4 <= sum3 + shifted[35:0] + (bank4 ? c_b : c_a);
            if (valid[5]) prod5 <= alu4 * mul5;
            if (valid[6]) v6 <= prod5s[35:0] + add6;
            if (valid[7]) begin
                quarter7 <= highest(past_quarter);
                v7 <= v6;
            end
            if (valid[8]) v8 <= v7;
            if (valid[9]) begin
                d9 <= {v8[35], v8} - {seg9[57], seg9[57:22]};
                mul9 <= seg9[21:6];
                shift9 <= seg9[5:0];
                bias9 <= seg9[65:58];
            end
            if (valid[10]) begin
                p10 <= d9 * mul9;
                shift10 <= shift9;
                bias10 <= bias9;
            end
            if (valid[11]) begin
                r11 <= {whole[9], whole} + {{10{away && p10[52]}}, away};
                bias11 <= bias10;
            end
            if (valid[12]) y12 <= y11[11] ? 8'd0 : y11[10:8] != 3'd0 ? 8'd255 : y11[7:0];
            if (valid[13]) acc13 <= acc;
        end
    end

    wire _unused = &{1'b0, shifted[46:36], prod5s[59:36], near[53:18], nearer[17:11], sign_differs[17:0], mean[11:8]};
endmodule

`resetall
