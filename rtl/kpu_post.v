// Post-processing: the lanes, their controls, and the activation table.
//
// One token per cycle comes in, from the drain or (depthwise) from the issue unit, together with the read that brings
// the lanes' values one cycle later. It travels beside the lanes for ten stages and leaves with the results. Everything
// stands still while `en` is low.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_post #(
    parameter SEGS = 8,
    parameter LPS = 4,
    parameter LGSEGS = $clog2(SEGS)
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   en,
    input  wire [`PLAN_W-1:0]     layer,
    // token
    input  wire                   t_valid,
    input  wire                   t_first,
    input  wire                   t_last,
    input  wire [5:0]             t_pos,
    input  wire                   t_line_end,
    input  wire                   t_params_end,
    output wire                   params_free,   // pulse
    // values, one cycle after the token
    input  wire [SEGS*LPS*36-1:0] sums,
    input  wire [SEGS*LPS*22-1:0] xsums,
    // lane parameters
    input  wire                   p_we,
    input  wire                   p_bank,
    input  wire [LGSEGS-1:0]      p_seg,
    input  wire [LGSEGS-1:0]      p_mask,
    input  wire                   p_all,
    input  wire [2:0]             p_lane,
    input  wire [59:0]            p_bn,
    input  wire [35:0]            p_c,
    // activation table writes from the parameter fetch
    input  wire                   act_we,
    input  wire                   act_wbank,
    input  wire [4:0]             act_windex,
    input  wire [63:0]            act_wdata,
    input  wire                   act_bank,      // table of the layer in execution
    // results
    output wire                   r_valid,
    output wire [5:0]             r_pos,
    output wire                   r_line_end,
    output wire [SEGS*LPS*8-1:0]  results
);
    // Activation tables.
    reg [16*36-1:0] start_a, start_b;
    reg [16*8-1:0] bias_a, bias_b;
    integer e;
    // Shifts of 64 and more behave as 63 (spec 12.1).
    wire [57:0] seg_wdata = {act_wdata[59:8], act_wdata[7:6] != 2'd0 ? 6'd63 : act_wdata[5:0]};
    wire seg_we = act_we && !act_windex[4];
    always @(posedge clk) begin
        for (e = 0; e < 16; e = e + 1) begin
            if (seg_we && act_windex[3:0] == e[3:0]) begin
                if (act_wbank) start_b[36*e+:36] <= act_wdata[59:24];
                else start_a[36*e+:36] <= act_wdata[59:24];
            end
        end
        if (act_we && act_windex[4]) begin
            if (act_wbank) bias_b[64*act_windex[0]+:64] <= act_wdata;
            else bias_a[64*act_windex[0]+:64] <= act_wdata;
        end
    end
    wire [16*36-1:0] x_start = act_bank ? start_b : start_a;
    wire [16*8-1:0] y_bias = act_bank ? bias_b : bias_a;

    // Token pipeline.
    reg [10:1] valid, first, last, line_end;
    reg [4:1] bank, params_end;
    reg [5:0] pos [1:10];
    reg bank0;
    integer k;
    always @(posedge clk) begin
        if (en) begin
            valid <= {valid[9:1], t_valid};
            first <= {first[9:1], t_first};
            last <= {last[9:1], t_last};
            line_end <= {line_end[9:1], t_line_end};
            bank <= {bank[3:1], bank0};
            params_end <= {params_end[3:1], t_params_end};
            pos[1] <= t_pos;
            for (k = 2; k <= 10; k = k + 1) pos[k] <= pos[k-1];
            if (t_valid && t_params_end) bank0 <= !bank0;
        end
        if (rst) begin
            valid <= 10'd0;
            bank0 <= 1'b0;
        end
    end
    assign params_free = en && valid[4] && params_end[4];
    assign r_valid = valid[10] && last[10];
    assign r_pos = pos[10];
    assign r_line_end = line_end[10];

    reg pool_max, pool_sum;
    reg [2:0] pool_shift;
    always @* begin
        pool_max = 1'b0;
        pool_sum = 1'b0;
        pool_shift = 3'd0;
        case (layer[`PL_POOL])
            4'd1, 4'd3, 4'd9: pool_max = 1'b1;
            4'd2, 4'd8: begin pool_sum = 1'b1; pool_shift = 3'd2; end
            4'd4: begin pool_sum = 1'b1; pool_shift = 3'd4; end
            default: ;
        endcase
    end

    genvar s, i;
    generate
        for (s = 0; s < SEGS; s = s + 1) begin : seg
            wire mine = p_we && ((s[LGSEGS-1:0] ^ p_seg) & p_mask) == {LGSEGS{1'b0}};
            for (i = 0; i < LPS; i = i + 1) begin : lane
                kpu_lane u (
                    .clk(clk), .en(en), .valid(valid), .bank2(bank[2]), .bank3(bank[3]), .bank4(bank[4]),
                    .first10(first[10]), .pool_max(pool_max), .pool_sum(pool_sum), .pool_shift(pool_shift),
                    .p_we(mine && (p_all || p_lane == i[2:0])), .p_bank(p_bank), .p_bn(p_bn), .p_c(p_c),
                    .arg_x(layer[`PL_ARG_X]), .shr_x(layer[`PL_SHR_X]),
                    .seg_we(seg_we), .seg_windex({act_wbank, act_windex[3:0]}), .seg_wdata(seg_wdata),
                    .act_bank(act_bank), .x_start(x_start), .y_bias(y_bias),
                    .sum(sums[36*(s*LPS+i)+:36]), .xsum(xsums[22*(s*LPS+i)+:22]),
                    .result(results[8*(s*LPS+i)+:8])
                );
            end
        end
    endgenerate

    wire _unused = &{1'b0, layer};
endmodule

`resetall
