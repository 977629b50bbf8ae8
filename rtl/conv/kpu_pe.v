// SPDX-License-Identifier: Apache-2.0
// Processing element: weights, the sum of nine products, and a memory of partial sums.
//
// kpu_segment multiplies, since two PEs may share their multipliers. The next pass's weights arrive beside those in use, and
// take their place at w_move. Two banks of partial sums, so that one block is drained while the next accumulates. A pixel
// group enters with its controls (stage A), its dot product is added to the partial sum one cycle later (stage B); the
// same address may come again after two cycles. Sums are kept modulo 2^36, which is all that spec 5.2 keeps of alu.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_pe #(
    parameter DEPTH = 128,           // partial sums per bank
    parameter ADDR_W = $clog2(DEPTH)
) (
    input  wire              clk,
    // weights
    input  wire              w_we,
    input  wire [71:0]       w_data,
    input  wire              w_move,
    output reg  [71:0]       w,          // in use
    // stage A
    input  wire [9*16-1:0]   products,   // of pixels and weights
    input  wire              dot_en,
    input  wire              a_valid,
    input  wire              a_bank,
    input  wire [ADDR_W-1:0] a_addr,
    // stage B
    input  wire              b_valid,
    input  wire              b_bank,
    input  wire              b_first,
    input  wire              b_high,
    input  wire [ADDR_W-1:0] b_addr,
    output wire [19:0]       dot,
    // drain: sum one cycle after d_re
    input  wire              d_re,
    input  wire              d_bank,
    input  wire [ADDR_W-1:0] d_addr,
    input  wire              d_bank_q,
    output wire [35:0]       d_sum
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (DEPTH < 64 || DEPTH > 512 || (DEPTH & (DEPTH - 1)) != 0) begin : rule0
            kpu_pe_DEPTH_must_be_a_power_of_two_from_64_to_512 refused ();
        end
    endgenerate

    reg [71:0] next_w;

    // The last additions stand behind the register, where there is more time.
    reg [17:0] dot0, dot1;
    reg [15:0] dot2;
    assign dot = ({2'd0, dot0} + {2'd0, dot1}) + {4'd0, dot2};

    wire [35:0] sum0, sum1;
    wire [35:0] so_far = b_first ? 36'd0 : b_bank ? sum1 : sum0;
    wire [35:0] after = so_far + (b_high ? {8'd0, dot, 8'd0} : {16'd0, dot});
    wire acc0 = a_valid && !a_bank;
    wire acc1 = a_valid && a_bank;

    kpu_ram #(.WIDTH(36), .DEPTH(DEPTH)) bank0 (
        .clk(clk), .we(b_valid && !b_bank), .waddr(b_addr), .wdata(after),
        .re(acc0 || (d_re && !d_bank)), .raddr(acc0 ? a_addr : d_addr), .rdata(sum0)
    );
    kpu_ram #(.WIDTH(36), .DEPTH(DEPTH)) bank1 (
        .clk(clk), .we(b_valid && b_bank), .waddr(b_addr), .wdata(after),
        .re(acc1 || (d_re && d_bank)), .raddr(acc1 ? a_addr : d_addr), .rdata(sum1)
    );
    assign d_sum = d_bank_q ? sum1 : sum0;

    always @(posedge clk) begin
        if (w_we) next_w <= w_data;
        if (w_move) w <= next_w;
        if (dot_en) begin
            dot0 <= ({2'd0, products[0+:16]} + {2'd0, products[16+:16]})
                + ({2'd0, products[32+:16]} + {2'd0, products[48+:16]});
            dot1 <= ({2'd0, products[64+:16]} + {2'd0, products[80+:16]})
                + ({2'd0, products[96+:16]} + {2'd0, products[112+:16]});
            dot2 <= products[128+:16];
        end
    end
endmodule

`resetall
