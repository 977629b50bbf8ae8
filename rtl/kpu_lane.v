// Post-processing lane: affine, activation, pooling of one value per cycle (spec/kpu-hardware.md 5 to 8).
//
// Stages: 1 arg_x * S_x, 2 alu, 3 alu * norm_mul, 4 v, 5 segment, 6 v - x_start, 7 * y_mul, 8 round, 9 bias and clamp,
// 10 pool. The stages advance together with `en`; valid[k] says that stage k takes a value. Parameters come in two sets,
// so that the next channel's arrive early; stage 4 is the last to use them.
//
// Every lane has its own copy of the activation table's segments: a small memory is cheaper than a multiplexer. Their
// starts are needed all at once as well, and come from kpu_post.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_lane (
    input  wire                clk,
    input  wire                en,
    input  wire [10:1]         valid,
    input  wire                bank2,      // parameter set of stages 2, 3 and 4
    input  wire                bank3,
    input  wire                bank4,
    input  wire                first10,    // first value of a window
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
    // activation table write: start, multiplier and shift of segment seg_windex[3:0] in bank seg_windex[4]
    input  wire                seg_we,
    input  wire [4:0]          seg_windex,
    input  wire [57:0]         seg_wdata,
    // activation table in use
    input  wire                act_bank,
    input  wire [16*36-1:0]    x_start,
    input  wire [16*8-1:0]     y_bias,
    // values
    input  wire [35:0]         sum,
    input  wire [21:0]         xsum,
    output wire [7:0]          result      // combinational from stage 10's input, valid with its last value
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
    reg signed [35:0] v4, v5;
    wire [35:0] add4 = {{4{bn4[31]}}, bn4[31:0]};

    (* ram_style = "distributed" *) reg [57:0] segment [0:31];
    reg [3:0] index5, index6, index7;
    integer i;
    wire [57:0] seg6 = segment[{act_bank, index5}];
    reg signed [36:0] d6;
    reg signed [15:0] mul6;
    reg [5:0] shift6, shift7;
    reg [36:0] to_start;  // its sign alone is a comparison without the gates for an overflow

    // Rounding. `twice` has one bit below the integer part, so that its shift brings the half bit along; in two
    // steps, since only ten bits of the integer part are used: a larger one saturates whatever the bias is.
    reg signed [52:0] p7;
    wire signed [53:0] twice = {p7, 1'b0};
    wire signed [53:0] near = twice >>> {shift7[5:3], 3'd0};
    wire [17:0] nearer = near[17:0] >> shift7[2:0];
    wire [53:0] kept = {54{1'b1}} << shift7;
    wire too_big = ((twice[53:10] ^ {44{p7[52]}}) & kept[43:0]) != 44'd0;
    wire signed [9:0] whole = too_big ? {p7[52], {9{!p7[52]}}} : nearer[10:1];
    wire away = nearer[0] && ((twice & ~kept) != 54'd0 || nearer[1]);
    reg signed [10:0] r8;
    reg [7:0] bias8;
    wire signed [11:0] y8 = {r8[10], r8} + {4'd0, bias8};
    reg [7:0] y9;

    reg [11:0] acc10;
    wire [11:0] acc = first10 ? {4'd0, y9} : pool_sum ? acc10 + {4'd0, y9}
        : pool_max && acc10[7:0] > y9 ? acc10 : {4'd0, y9};
    wire [11:0] mean = acc >> pool_shift;
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
        if (en) begin
            if (valid[1]) begin
                tx1 <= arg_x * $signed({1'b0, xsum});
                sum1 <= sum;
            end
            if (valid[2]) alu2 <= sum1 + tx1s[35:0] + (bank2 ? c_b : c_a);
            if (valid[3]) prod3 <= alu2 * mul3;
            if (valid[4]) v4 <= prod3s[35:0] + add4;
            if (valid[5]) begin
                // Highest segment that starts strictly below v; segment 0 if there is none.
                index5 <= 4'd0;
                for (i = 1; i < 16; i = i + 1) begin
                    to_start = {x_start[36*i+35], x_start[36*i+:36]} - {v4[35], v4};
                    if (to_start[36]) index5 <= i[3:0];
                end
                v5 <= v4;
            end
            if (valid[6]) begin
                d6 <= {v5[35], v5} - {seg6[57], seg6[57:22]};
                mul6 <= seg6[21:6];
                shift6 <= seg6[5:0];
                index6 <= index5;
            end
            if (valid[7]) begin
                p7 <= d6 * mul6;
                shift7 <= shift6;
                index7 <= index6;
            end
            if (valid[8]) begin
                r8 <= {whole[9], whole} + {{10{away && p7[52]}}, away};
                bias8 <= y_bias[{index7, 3'd0}+:8];
            end
            if (valid[9]) y9 <= y8[11] ? 8'd0 : y8[10:8] != 3'd0 ? 8'd255 : y8[7:0];
            if (valid[10]) acc10 <= acc;
        end
    end

    wire _unused = &{1'b0, tx1s[46:36], prod3s[59:36], near[53:18], nearer[17:11], to_start[35:0], mean[11:8]};
endmodule

`resetall
