// SPDX-License-Identifier: Apache-2.0
// Fills: asks the external memory for lines and hands them over, whole and in the order they were asked for.
//
// A line is one 64-byte row, read as one INCR burst of eight 8-byte beats. Up to eight lines are under way, so that the
// memory's latency is paid once for a run of misses. A line that is complete is offered until `line_taken`; the next
// one's first beat is accepted from that cycle on.
//
// `asked` and `filled` count lines modulo 16: a read that waits for a line keeps `asked` and is served when `filled` has
// come up to it.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module cache_fill #(
    parameter ROW_BITS = 15,         // 1 to 15
    parameter ID_W = 4,
    parameter [31:0] BASE = 32'd0    // address of row 0 in the external memory, a multiple of 64
) (
    input  wire                clk,
    input  wire                rst,
    // a line to fetch
    input  wire                ask,        // only while `room`
    output wire                room,
    input  wire [ROW_BITS-1:0] ask_row,
    output reg  [3:0]          asked,
    output reg  [3:0]          filled,
    // a line that has come
    output wire                line_valid,
    input  wire                line_taken,
    output wire [ROW_BITS-1:0] line_row,
    output reg  [511:0]        line,
    output reg                 error,      // pulse: a beat came with an error response
    // AXI4 read channel
    output wire                m_axi_arvalid,
    input  wire                m_axi_arready,
    output wire [ID_W-1:0]  m_axi_arid,
    output wire [31:0]         m_axi_araddr,
    output wire [7:0]          m_axi_arlen,
    output wire [2:0]          m_axi_arsize,
    output wire [1:0]          m_axi_arburst,
    input  wire                m_axi_rvalid,
    output wire                m_axi_rready,
    input  wire [63:0]         m_axi_rdata,
    input  wire [1:0]          m_axi_rresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (ROW_BITS < 1 || ROW_BITS > 15) begin : rule0
            cache_fill_ROW_BITS_must_be_1_to_15 refused ();
        end
    endgenerate

    wire [ROW_BITS-1:0] address_row;
    wire address_ready, rows_ready, rows_valid;
    reg [2:0] beat;
    reg complete;
    wire take = m_axi_rvalid && m_axi_rready;

    assign room = address_ready && rows_ready;
    kpu_queue #(.WIDTH(ROW_BITS), .LGDEPTH(3)) addresses (
        .clk(clk), .rst(rst), .s_valid(ask), .s_ready(address_ready), .s_data(ask_row),
        .m_valid(m_axi_arvalid), .m_ready(m_axi_arready), .m_data(address_row)
    );
    kpu_queue #(.WIDTH(ROW_BITS), .LGDEPTH(3)) rows (
        .clk(clk), .rst(rst), .s_valid(ask), .s_ready(rows_ready), .s_data(ask_row),
        .m_valid(rows_valid), .m_ready(line_taken), .m_data(line_row)
    );

    assign m_axi_arid = {ID_W{1'b0}};
    assign m_axi_araddr = BASE + {{26 - ROW_BITS{1'b0}}, address_row, 6'd0};
    assign m_axi_arlen = 8'd7;
    assign m_axi_arsize = 3'd3;
    assign m_axi_arburst = 2'b01;
    assign m_axi_rready = !complete || line_taken;
    assign line_valid = complete;

    always @(posedge clk) begin
        if (line_taken) begin
            complete <= 1'b0;
            filled <= filled + 4'd1;
        end
        if (ask) asked <= asked + 4'd1;
        if (take) begin
            line <= {m_axi_rdata, line[511:64]};
            beat <= beat + 3'd1;
            if (beat == 3'd7) complete <= 1'b1;
        end
        error <= take && m_axi_rresp[1];
        if (rst) begin
            complete <= 1'b0;
            beat <= 3'd0;
            asked <= 4'd0;
            filled <= 4'd0;
            error <= 1'b0;
        end
    end

    wire _unused = &{1'b0, rows_valid, m_axi_rresp[0]};
endmodule

`resetall
