// SPDX-License-Identifier: Apache-2.0
// Evictions: writes a line's changed bytes back to the external memory.
//
// One line is kept here while it leaves, from its first to its last changed 8-byte beat, with byte strobes. Up to four
// written lines may still wait for their response. Memory orders reads behind writes only after the response, so a row
// is `pending` until then and must not be fetched.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module cache_evict #(
    parameter ROW_BITS = 15,         // 1 to 15
    parameter ID_W = 4,
    parameter [31:0] BASE = 32'd0    // address of row 0 in the external memory, a multiple of 64
) (
    input  wire                clk,
    input  wire                rst,
    // a line to write: row and mask with `start`, its bytes from the data RAM in the cycle after
    input  wire                start,       // only while `room`
    output wire                room,
    input  wire [ROW_BITS-1:0] start_row,
    input  wire [63:0]         start_mask,  // changed bytes, at least one
    input  wire [511:0]        data,
    // rows on their way
    input  wire [ROW_BITS-1:0] query_row,
    output wire                pending,     // query_row is one of them
    output wire                idle,        // there is none
    output reg                 error,       // pulse: a response was an error
    // AXI4 write channels
    output reg                 m_axi_awvalid,
    input  wire                m_axi_awready,
    output wire [ID_W-1:0]  m_axi_awid,
    output wire [31:0]         m_axi_awaddr,
    output wire [7:0]          m_axi_awlen,
    output wire [2:0]          m_axi_awsize,
    output wire [1:0]          m_axi_awburst,
    output wire                m_axi_wvalid,
    input  wire                m_axi_wready,
    output wire [63:0]         m_axi_wdata,
    output wire [7:0]          m_axi_wstrb,
    output wire                m_axi_wlast,
    input  wire                m_axi_bvalid,
    output wire                m_axi_bready,
    input  wire [1:0]          m_axi_bresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (ROW_BITS < 1 || ROW_BITS > 15) begin : rule0
            cache_evict_ROW_BITS_must_be_1_to_15 refused ();
        end
    endgenerate

    // Rows without a response, oldest first; the last of them may still be leaving.
    reg [4*ROW_BITS-1:0] rows;
    reg [3:0] waiting;

    reg [ROW_BITS-1:0] row;
    reg [511:0] line;
    reg [63:0] mask;
    reg arriving;         // the bytes come from the data RAM in this cycle
    reg leaving;          // beats are to be sent
    reg [2:0] beat, last_beat, first_beat;

    wire [3:0] match;
    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : entry
            assign match[i] = waiting[i] && rows[ROW_BITS*i+:ROW_BITS] == query_row;
        end
    endgenerate

    wire respond = m_axi_bvalid && m_axi_bready;
    assign room = !arriving && !leaving && !m_axi_awvalid && !waiting[3];
    assign pending = |match || (arriving && row == query_row);
    assign idle = waiting == 4'd0 && !arriving;

    // First and last beat with a changed byte, while the bytes come.
    reg [2:0] first, last;
    reg [7:0] used;
    integer k;
    always @* begin
        first = 3'd0;
        last = 3'd0;
        for (k = 0; k < 8; k = k + 1) used[k] = |mask[8*k+:8];
        for (k = 0; k < 8; k = k + 1) begin
            if (used[7-k]) first = 3'd7 - k[2:0];
            if (used[k]) last = k[2:0];
        end
    end

    assign m_axi_awid = {ID_W{1'b0}};
    assign m_axi_awaddr = BASE + {{26 - ROW_BITS{1'b0}}, row, first_beat, 3'd0};
    assign m_axi_awlen = {5'd0, last_beat - first_beat};
    assign m_axi_awsize = 3'd3;
    assign m_axi_awburst = 2'b01;
    assign m_axi_wvalid = leaving;
    assign m_axi_wdata = line[64*beat+:64];
    assign m_axi_wstrb = mask[8*beat+:8];
    assign m_axi_wlast = beat == last_beat;
    assign m_axi_bready = 1'b1;

    wire [3:0] waiting_left = respond ? waiting >> 1 : waiting;
    wire [4*ROW_BITS-1:0] rows_left = respond ? rows >> ROW_BITS : rows;

    always @(posedge clk) begin
        arriving <= start;
        if (start) begin
            row <= start_row;
            mask <= start_mask;
        end
        if (arriving) begin
            line <= data;
            first_beat <= first;
            last_beat <= last;
            beat <= first;
            leaving <= 1'b1;
            m_axi_awvalid <= 1'b1;
        end
        if (m_axi_awready && m_axi_awvalid) m_axi_awvalid <= 1'b0;
        if (leaving && m_axi_wready) begin
            beat <= beat + 3'd1;
            if (m_axi_wlast) leaving <= 1'b0;
        end
        waiting <= waiting_left;
        rows <= rows_left;
        if (arriving) begin
            waiting <= waiting_left | (waiting_left + 4'd1);
            if (!waiting_left[0]) rows[0+:ROW_BITS] <= row;
            else if (!waiting_left[1]) rows[ROW_BITS+:ROW_BITS] <= row;
            else if (!waiting_left[2]) rows[2*ROW_BITS+:ROW_BITS] <= row;
            else rows[3*ROW_BITS+:ROW_BITS] <= row;
        end
        error <= respond && m_axi_bresp[1];
        if (rst) begin
            arriving <= 1'b0;
            leaving <= 1'b0;
            m_axi_awvalid <= 1'b0;
            waiting <= 4'd0;
            error <= 1'b0;
        end
    end

    wire _unused = &{1'b0, m_axi_bresp[0]};
endmodule

`resetall
