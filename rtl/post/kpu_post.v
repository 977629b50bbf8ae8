// SPDX-License-Identifier: Apache-2.0
// Post-processing: the lanes, their controls, and the activation table.
//
// One token per cycle comes in, from the drain or (depthwise) from the issue unit, together with the read that brings
// the lanes' values one cycle later. It travels beside the lanes for fourteen stages and leaves with the results. Everything
// stands still while `en` is low.
//
// An activation table comes word by word, segments first, and is kept until its last word. Then it is walked from the
// last segment to the first, which gives the lanes every segment together with the lowest start from there on, what
// they search by. The next table's biases come more than 17 cycles later, behind a mark and 16 segments.
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
    output wire                   act_busy,      // it is on its way to the lanes
    // results
    output wire                   r_valid,
    output wire [5:0]             r_pos,
    output wire                   r_line_end,
    output wire [SEGS*LPS*8-1:0]  results
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_post_SEGS_must_be_2_4_or_8 refused ();
        end
        if (LPS < 1 || LPS > 8 || (LPS & (LPS - 1)) != 0) begin : rule1
            kpu_post_LPS_must_be_a_power_of_two_up_to_8 refused ();
        end
    endgenerate

    // The table as it came.
    reg [127:0] biases;  // of the last segment first, once they move on
    // Shifts of 64 and more behave as 63 (spec 12.1).
    wire [57:0] act_segment = {act_wdata[59:8], act_wdata[7:6] != 2'd0 ? 6'd63 : act_wdata[5:0]};
    wire [57:0] segment;
    reg walking, walked;
    reg [3:0] walk_at, walked_at;
    reg walk_bank;
    kpu_ram #(.WIDTH(58), .DEPTH(32)) segments (
        .clk(clk), .we(act_we && !act_windex[4]), .waddr({act_wbank, act_windex[3:0]}), .wdata(act_segment),
        .re(walking), .raddr({walk_bank, walk_at}), .rdata(segment)
    );

    // The walk, and what it writes into the lanes.
    reg seg_we;
    reg [3:0] seg_windex;
    reg [65:0] seg_wdata;
    reg [35:0] least;
    wire [36:0] to_least = {segment[57], segment[57:22]} - {least[35], least};
    wire lower = walked_at == 4'd15 || to_least[36];
    assign act_busy = walk_bank == act_bank && (walking || walked || seg_we);
    always @(posedge clk) begin
        if (walking) begin
            walk_at <= walk_at - 4'd1;
            walking <= walk_at != 4'd0;
        end
        walked <= walking;
        walked_at <= walk_at;
        seg_we <= walked;
        seg_windex <= walked_at;
        if (walked) begin
            seg_wdata <= {biases[127:120], segment};
            biases <= {biases[119:0], 8'd0};
            if (lower) least <= segment[57:22];
        end
        if (act_we && act_windex[4]) begin
            biases[64*act_windex[0]+:64] <= act_wdata;
            if (act_windex[0]) begin
                walking <= 1'b1;
                walk_at <= 4'd15;
                walk_bank <= act_wbank;
            end
        end
        if (rst) begin
            walking <= 1'b0;
            walked <= 1'b0;
            seg_we <= 1'b0;
        end
    end

    // The lowest starts of segments 4, 8 and 12 and all above.
    reg [3*36-1:0] quarters_a, quarters_b;
    wire [3*36-1:0] quarters = act_bank ? quarters_b : quarters_a;
    integer e;
    always @(posedge clk) begin
        for (e = 0; e < 3; e = e + 1) begin
            if (seg_we && seg_windex == 4'd4 + {e[1:0], 2'd0}) begin
                if (walk_bank) quarters_b[36*e+:36] <= least;
                else quarters_a[36*e+:36] <= least;
            end
        end
    end

    // Token pipeline.
    reg [14:1] valid, last, line_end;
    reg [13:1] first;
    reg [6:1] bank, params_end;
    reg [5:0] pos [1:14];
    reg bank0;
    integer k;
    always @(posedge clk) begin
        if (en) begin
            valid <= {valid[13:1], t_valid};
            first <= {first[12:1], t_first};
            last <= {last[13:1], t_last};
            line_end <= {line_end[13:1], t_line_end};
            bank <= {bank[5:1], bank0};
            params_end <= {params_end[5:1], t_params_end};
            pos[1] <= t_pos;
            for (k = 2; k <= 14; k = k + 1) pos[k] <= pos[k-1];
            if (t_valid && t_params_end) bank0 <= !bank0;
        end
        if (rst) begin
            valid <= 14'd0;
            bank0 <= 1'b0;
        end
    end
    assign params_free = en && valid[6] && params_end[6];
    assign r_valid = valid[14] && last[14];
    assign r_pos = pos[14];
    assign r_line_end = line_end[14];

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
            wire [LPS*47-1:0] products;
            kpu_arg_x #(.LPS(LPS)) multiply (
                .clk(clk), .en(en), .valid(valid[3:1]), .dw(layer[`PL_DWFAST]), .arg_x(layer[`PL_ARG_X]),
                .xsums(xsums[22*s*LPS+:22*LPS]), .products(products)
            );
            for (i = 0; i < LPS; i = i + 1) begin : lane
                kpu_lane #(.TABLE_BLOCK(SEGS * LPS <= 16 ? 1 : 0)) u (
                    .clk(clk), .en(en), .valid(valid[13:1]), .bank4(bank[4]), .bank5(bank[5]), .bank6(bank[6]),
                    .first13(first[13]), .pool_max(pool_max), .pool_sum(pool_sum), .pool_shift(pool_shift),
                    .p_we(mine && (p_all || p_lane == i[2:0])), .p_bank(p_bank), .p_bn(p_bn), .p_c(p_c),
                    .shr_x(layer[`PL_SHR_X]),
                    .seg_we(seg_we), .seg_windex({walk_bank, seg_windex}), .seg_wdata(seg_wdata), .seg_wleast(least),
                    .act_bank(act_bank), .quarters(quarters),
                    .sum(sums[36*(s*LPS+i)+:36]), .product(products[47*i+:47]),
                    .result(results[8*(s*LPS+i)+:8])
                );
            end
        end
    endgenerate

    wire _unused = &{1'b0, layer, to_least[35:0]};
endmodule

`resetall
