// SPDX-License-Identifier: Apache-2.0
// Sum of nine bytes, as a tree: a chain of eight adders would set the clock.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_sum_of_nine (
    input  wire [71:0] bytes,
    output wire [11:0] sum
);
    wire [8:0] s0 = {1'b0, bytes[7:0]} + {1'b0, bytes[15:8]};
    wire [8:0] s1 = {1'b0, bytes[23:16]} + {1'b0, bytes[31:24]};
    wire [8:0] s2 = {1'b0, bytes[39:32]} + {1'b0, bytes[47:40]};
    wire [8:0] s3 = {1'b0, bytes[55:48]} + {1'b0, bytes[63:56]};
    wire [9:0] low = {1'b0, s0} + {1'b0, s1};
    wire [9:0] high = {1'b0, s2} + {1'b0, s3};
    wire [10:0] eight = {1'b0, low} + {1'b0, high};
    assign sum = {1'b0, eight} + {4'd0, bytes[71:64]};
endmodule

`resetall
