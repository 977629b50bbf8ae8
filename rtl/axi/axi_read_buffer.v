// SPDX-License-Identifier: Apache-2.0
// Read buffer for a master that may stop taking data for long.
//
// Without it a stalled master would hold the slave it reads from, and everybody else
// who needs that slave; with the KPU that could even be a dead lock (its parameters
// wait for the array, the array for the output stream, the stream for a DMA descriptor
// in the same memory). A burst is let through only when the buffer has room for all of
// it. Full throughput for bursts up to half of WORDS; two cycles of latency.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_read_buffer #(
    parameter WORDS = 512,  // a power of two, at least the longest burst (256)
    parameter ID_W = 4
) (
    input  wire               clk,
    input  wire               rst,

    input  wire               s_axi_arvalid,
    output wire               s_axi_arready,
    input  wire [7:0]         s_axi_arlen,
    output wire               s_axi_rvalid,
    input  wire               s_axi_rready,
    output wire [ID_W-1:0] s_axi_rid,
    output wire [63:0]        s_axi_rdata,
    output wire [1:0]         s_axi_rresp,
    output wire               s_axi_rlast,

    // The other AR signals go past this module.
    output wire               m_axi_arvalid,
    input  wire               m_axi_arready,
    input  wire               m_axi_rvalid,
    output wire               m_axi_rready,
    input  wire [ID_W-1:0] m_axi_rid,
    input  wire [63:0]        m_axi_rdata,
    input  wire [1:0]         m_axi_rresp,
    input  wire               m_axi_rlast
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (WORDS < 256 || (WORDS & (WORDS - 1)) != 0) begin : rule0
            axi_read_buffer_WORDS_must_be_a_power_of_two_from_256 refused ();
        end
        if (ID_W < 1) begin : rule1
            axi_read_buffer_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    localparam LEVEL_BITS = $clog2(WORDS) + 1;
    localparam [LEVEL_BITS-1:0] ALL = WORDS;

    reg  [LEVEL_BITS-1:0] free;  // words that are neither stored nor on their way
    wire [LEVEL_BITS-1:0] level;
    wire [LEVEL_BITS-1:0] wanted = {{LEVEL_BITS-8{1'b0}}, s_axi_arlen} + {{LEVEL_BITS-1{1'b0}}, 1'b1};
    wire enough = wanted <= free;
    wire sent = m_axi_arvalid && m_axi_arready;
    wire taken = s_axi_rvalid && s_axi_rready;

    assign m_axi_arvalid = s_axi_arvalid && enough;
    assign s_axi_arready = m_axi_arready && enough;

    ram_fifo #(.WIDTH(ID_W + 67), .DEPTH(WORDS)) fifo (
        .clk(clk),
        .rst(rst),
        .flush(1'b0),
        .in_valid(m_axi_rvalid),
        .in_ready(m_axi_rready),
        .in_data({m_axi_rid, m_axi_rdata, m_axi_rresp, m_axi_rlast}),
        .out_valid(s_axi_rvalid),
        .out_ready(s_axi_rready),
        .out_data({s_axi_rid, s_axi_rdata, s_axi_rresp, s_axi_rlast}),
        .level(level)
    );

    always @(posedge clk) begin
        free <= free - (sent ? wanted : {LEVEL_BITS{1'b0}}) + {{LEVEL_BITS-1{1'b0}}, taken};
        if (rst) free <= ALL;
    end

    wire _unused = &{1'b0, level};

endmodule

`resetall
