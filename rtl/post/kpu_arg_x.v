// SPDX-License-Identifier: Apache-2.0
// arg_x * S_x for the lanes of a segment (spec/kpu-hardware.md 5.1): stages 1 to 3 of kpu_lane.
//
// All lanes of a segment take the same pixel column, so they share one product of 24 by 22 bits: lane 0 multiplies the lower
// half of S_x, lane 1 the upper half. On the depthwise path every lane has a window of its own, whose S_x fits in
// 12 bits, and so its multiplier to itself. A segment of one lane has the whole product.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_arg_x #(
    parameter LPS = 2  // lanes of the segment
) (
    input  wire               clk,
    input  wire               en,
    input  wire [3:1]         valid,  // the stage takes a value
    input  wire               dw,     // a window per lane
    input  wire signed [23:0] arg_x,
    input  wire [LPS*22-1:0]  xsums,
    output reg  [LPS*47-1:0]  products
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LPS < 1 || LPS > 8 || (LPS & (LPS - 1)) != 0) begin : rule0
            kpu_arg_x_LPS_must_be_a_power_of_two_up_to_8 refused ();
        end
    endgenerate

    genvar i;
    generate
        if (LPS == 1) begin : alone
            reg [21:0] share;
            reg signed [46:0] product;
            always @(posedge clk) if (en) begin
                if (valid[1]) share <= xsums;
                if (valid[2]) product <= arg_x * $signed({1'b0, share});
                if (valid[3]) products <= product;
            end
            wire _unused = &{1'b0, dw};
        end else begin : together
            wire signed [36:0] part [0:LPS-1];
            wire signed [46:0] lower = {{10{part[0][36]}}, part[0]};
            wire signed [46:0] upper = {part[1][35:0], 11'd0};
            for (i = 0; i < LPS; i = i + 1) begin : lane
                reg [11:0] share;
                reg signed [36:0] product;
                assign part[i] = product;
                always @(posedge clk) if (en) begin
                    if (valid[1]) share <= dw ? xsums[22*i+:12] : {1'b0, i == 1 ? xsums[33+:11] : xsums[22*i+:11]};
                    if (valid[2]) product <= arg_x * $signed({1'b0, share});
                    if (valid[3]) products[47*i+:47] <= dw ? {{10{product[36]}}, product} : lower + upper;
                end
            end
            wire _unused = &{1'b0, xsums};  // on the depthwise path their upper bits are 0
        end
    endgenerate
endmodule

`resetall
