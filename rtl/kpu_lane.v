// Post-processing lane: affine, activation, pooling of one value per cycle (spec/kpu-hardware.md 5 to 8).
//
// Stages: 1 arg_x * S_x, 2 alu, 3 alu * norm_mul, 4 v, 5 segment, 6 v - x_start, 7 * y_mul, 8 round, 9 bias and clamp,
// 10 pool. The stages advance together with `en`; valid[k] says that stage k takes a value. Parameters come in two sets,
// so that the next channel's arrive early; stage 4 is the last to use them.
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
    // activation table
    input  wire [16*36-1:0]    x_start,
    input  wire [16*16-1:0]    y_mul,
    input  wire [16*6-1:0]     y_shift,
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

    // Highest segment that starts strictly below v; segment 0 if there is none.
    reg [15:0] above5;
    integer i;
    reg signed [36:0] d6;
    reg signed [15:0] mul6;
    reg [5:0] shift6, shift7;
    reg [7:0] bias6, bias7, bias8;
    reg signed [35:0] start;

    reg signed [52:0] p7;
    // Below the integer part: the half bit on top, then everything that makes it more than a half.
    wire [63:0] p7x = {{11{p7[52]}}, p7};
    wire [63:0] below = p7x << (7'd64 - {1'b0, shift7});
    wire signed [63:0] whole = $signed(p7x) >>> shift7;
    wire away = below[63] && (below[62:0] != 63'd0 || whole[0]);
    reg signed [53:0] r8;
    wire signed [54:0] y8 = {r8[53], r8} + {47'd0, bias8};
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
        if (en) begin
            if (valid[1]) begin
                tx1 <= arg_x * $signed({1'b0, xsum});
                sum1 <= sum;
            end
            if (valid[2]) alu2 <= sum1 + tx1s[35:0] + (bank2 ? c_b : c_a);
            if (valid[3]) prod3 <= alu2 * mul3;
            if (valid[4]) v4 <= prod3s[35:0] + add4;
            if (valid[5]) begin
                for (i = 0; i < 16; i = i + 1) begin
                    start = x_start[36*i+:36];
                    above5[i] <= v4 > start;
                end
                v5 <= v4;
            end
            if (valid[6]) begin
                d6 <= {v5[35], v5} - {x_start[35], x_start[35:0]};
                mul6 <= y_mul[15:0];
                shift6 <= y_shift[5:0];
                bias6 <= y_bias[7:0];
                for (i = 1; i < 16; i = i + 1) begin
                    if (above5[i]) begin
                        d6 <= {v5[35], v5} - {x_start[36*i+35], x_start[36*i+:36]};
                        mul6 <= y_mul[16*i+:16];
                        shift6 <= y_shift[6*i+:6];
                        bias6 <= y_bias[8*i+:8];
                    end
                end
            end
            if (valid[7]) begin
                p7 <= d6 * mul6;
                shift7 <= shift6;
                bias7 <= bias6;
            end
            if (valid[8]) begin
                r8 <= !away ? whole[53:0] : p7[52] ? whole[53:0] - 54'd1 : whole[53:0] + 54'd1;
                bias8 <= bias7;
            end
            if (valid[9]) y9 <= y8[54] ? 8'd0 : y8[53:8] != 46'd0 ? 8'd255 : y8[7:0];
            if (valid[10]) acc10 <= acc;
        end
    end

    wire _unused = &{1'b0, tx1s[46:36], prod3s[59:36], whole[63:54], mean[11:8]};
endmodule

`resetall
