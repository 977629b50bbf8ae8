// SPDX-License-Identifier: Apache-2.0
// Command queue: a few words in distributed RAM, first word falls through.
//
// Carries commands between the units of the data path. One word in and one word out per cycle, latency one
// cycle. For data in block RAM see ram_fifo.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_queue #(
    parameter WIDTH = 8,   // >= 1
    parameter LGDEPTH = 2  // log2 of the number of words, 1..8
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             s_valid,
    output wire             s_ready,
    input  wire [WIDTH-1:0] s_data,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [WIDTH-1:0] m_data
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (WIDTH < 1) begin : rule0
            kpu_queue_WIDTH_must_be_at_least_1 refused ();
        end
        if (LGDEPTH < 1 || LGDEPTH > 8) begin : rule1
            kpu_queue_LGDEPTH_must_be_1_to_8 refused ();
        end
    endgenerate

    (* ram_style = "distributed" *) reg [WIDTH-1:0] mem [0:(1<<LGDEPTH)-1];
    reg [LGDEPTH:0] wp, rp;

    assign m_valid = wp != rp;
    assign s_ready = !(wp[LGDEPTH] != rp[LGDEPTH] && wp[LGDEPTH-1:0] == rp[LGDEPTH-1:0]);
    assign m_data = mem[rp[LGDEPTH-1:0]];

    always @(posedge clk) begin
        if (s_valid && s_ready) begin
            mem[wp[LGDEPTH-1:0]] <= s_data;
            wp <= wp + 1'b1;
        end
        if (m_valid && m_ready) rp <= rp + 1'b1;
        if (rst) begin
            wp <= {LGDEPTH + 1{1'b0}};
            rp <= {LGDEPTH + 1{1'b0}};
        end
    end
endmodule

`resetall
