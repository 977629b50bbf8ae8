// SPDX-License-Identifier: Apache-2.0
// One pixel times the weights of two output channels.
//
// A module of its own because FPGAs whose multipliers are wider than 16 bits can do both in one of them: rtl/synth/ecp5_arith.v.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_two_products (
    input  wire [7:0]  x,
    input  wire [7:0]  a,
    input  wire [7:0]  b,
    output wire [15:0] xa,
    output wire [15:0] xb
);
    assign xa = x * a;
    assign xb = x * b;
endmodule

`resetall
