// SPDX-License-Identifier: Apache-2.0
// AXI4 slave to several AXI4-Lite register blocks, 64 bits.
//
// One beat becomes one register access, one access at a time in each direction; a FIXED
// burst therefore pops or pushes a FIFO register beat by beat. Block n occupies the
// 1 MB that begins at (FIRST_BLOCK + n) x 1 MB and decodes 64 KB of it; other addresses
// answer DECERR. The response of a write burst is the worst one of its beats.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_to_axil #(
    parameter BLOCKS = 3,              // 1 to 8
    parameter [3:0] FIRST_BLOCK = 4'd8
) (
    input  wire                 clk,
    input  wire                 rst,

    input  wire                 s_axi_arvalid,
    output wire                 s_axi_arready,
    input  wire [23:0]          s_axi_araddr,
    input  wire [7:0]           s_axi_arlen,
    input  wire [2:0]           s_axi_arsize,
    input  wire [1:0]           s_axi_arburst,
    output wire                 s_axi_rvalid,
    input  wire                 s_axi_rready,
    output reg  [63:0]          s_axi_rdata,
    output reg  [1:0]           s_axi_rresp,
    output wire                 s_axi_rlast,
    input  wire                 s_axi_awvalid,
    output wire                 s_axi_awready,
    input  wire [23:0]          s_axi_awaddr,
    input  wire [7:0]           s_axi_awlen,
    input  wire [2:0]           s_axi_awsize,
    input  wire [1:0]           s_axi_awburst,
    input  wire                 s_axi_wvalid,
    output wire                 s_axi_wready,
    input  wire [63:0]          s_axi_wdata,
    input  wire [7:0]           s_axi_wstrb,
    input  wire                 s_axi_wlast,
    output wire                 s_axi_bvalid,
    input  wire                 s_axi_bready,
    output reg  [1:0]           s_axi_bresp,

    // Address and write data are common to all blocks.
    output wire [15:0]          m_axil_awaddr,
    output wire [BLOCKS-1:0]    m_axil_awvalid,
    input  wire [BLOCKS-1:0]    m_axil_awready,
    output reg  [63:0]          m_axil_wdata,
    output reg  [7:0]           m_axil_wstrb,
    output wire [BLOCKS-1:0]    m_axil_wvalid,
    input  wire [BLOCKS-1:0]    m_axil_wready,
    input  wire [BLOCKS-1:0]    m_axil_bvalid,
    output wire [BLOCKS-1:0]    m_axil_bready,
    input  wire [BLOCKS*2-1:0]  m_axil_bresp,
    output wire [15:0]          m_axil_araddr,
    output wire [BLOCKS-1:0]    m_axil_arvalid,
    input  wire [BLOCKS-1:0]    m_axil_arready,
    input  wire [BLOCKS-1:0]    m_axil_rvalid,
    output wire [BLOCKS-1:0]    m_axil_rready,
    input  wire [BLOCKS*64-1:0] m_axil_rdata,
    input  wire [BLOCKS*2-1:0]  m_axil_rresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (BLOCKS < 1 || BLOCKS > 8) begin : rule0
            axi_to_axil_BLOCKS_must_be_1_to_8 refused ();
        end
    endgenerate

    localparam [1:0] DECERR = 2'b11;

    function [BLOCKS-1:0] block;
        input [7:0] top;
        integer n;
        for (n = 0; n < BLOCKS; n = n + 1)
            block[n] = top == {FIRST_BLOCK + n[3:0], 4'd0};
    endfunction

    // ---- read
    localparam [1:0] R_IDLE = 2'd0;
    localparam [1:0] R_ADDR = 2'd1;
    localparam [1:0] R_DATA = 2'd2;
    localparam [1:0] R_BEAT = 2'd3;

    reg  [1:0]  read_state;
    reg  [23:0] read_addr;
    wire [23:0] read_next;
    wire read_legal;
    reg  [7:0]  read_len;
    reg  [7:0]  read_left;
    reg  [2:0]  read_size;
    reg  [1:0]  read_burst;

    wire [BLOCKS-1:0] read_block = block(read_addr[23:16]);
    reg  [65:0]       read_word;

    assign s_axi_arready = read_state == R_IDLE;
    assign s_axi_rvalid = read_state == R_BEAT;
    assign s_axi_rlast = read_left == 8'd0;
    assign m_axil_araddr = {read_addr[15:3], 3'b000};
    assign m_axil_arvalid = read_block & {BLOCKS{read_state == R_ADDR}};
    assign m_axil_rready = read_block & {BLOCKS{read_state == R_DATA}};

    axi_burst_next #(.ADDR_BITS(24)) read_stepper (
        .addr(read_addr),
        .len(read_len),
        .size(read_size),
        .burst(read_burst),
        .next(read_next),
        .legal(read_legal)
    );

    integer r;
    always @* begin
        read_word = 66'd0;
        for (r = 0; r < BLOCKS; r = r + 1)
            if (read_block[r]) read_word = {m_axil_rresp[2*r+:2], m_axil_rdata[64*r+:64]};
    end

    always @(posedge clk) begin
        case (read_state)
            R_IDLE: if (s_axi_arvalid) begin
                read_state <= R_ADDR;
                read_addr <= s_axi_araddr;
                read_len <= s_axi_arlen;
                read_left <= s_axi_arlen;
                read_size <= s_axi_arsize;
                read_burst <= s_axi_arburst;
            end
            R_ADDR: if (read_block == {BLOCKS{1'b0}}) begin
                read_state <= R_BEAT;
                s_axi_rdata <= 64'd0;
                s_axi_rresp <= DECERR;
            end else if (|(read_block & m_axil_arready)) read_state <= R_DATA;
            R_DATA: if (|(read_block & m_axil_rvalid)) begin
                read_state <= R_BEAT;
                {s_axi_rresp, s_axi_rdata} <= read_word;
            end
            default: if (s_axi_rready) begin
                read_state <= s_axi_rlast ? R_IDLE : R_ADDR;
                read_addr <= read_next;
                read_left <= read_left - 8'd1;
            end
        endcase
        if (rst) read_state <= R_IDLE;
    end

    // ---- write
    localparam [2:0] W_IDLE = 3'd0;
    localparam [2:0] W_BEAT = 3'd1;
    localparam [2:0] W_SEND = 3'd2;
    localparam [2:0] W_ANSWER = 3'd3;
    localparam [2:0] W_RESPONSE = 3'd4;

    reg  [2:0]  write_state;
    reg  [23:0] write_addr;
    wire [23:0] write_next;
    wire write_legal;
    reg  [7:0]  write_len;
    reg  [2:0]  write_size;
    reg  [1:0]  write_burst;
    reg         write_last;
    reg         aw_sent;
    reg         w_sent;
    reg  [1:0]  write_word_resp;

    wire [BLOCKS-1:0] write_block = block(write_addr[23:16]);
    wire nothing = write_block == {BLOCKS{1'b0}} || m_axil_wstrb == 8'd0;
    wire aw_now = |(m_axil_awvalid & m_axil_awready);
    wire w_now = |(m_axil_wvalid & m_axil_wready);

    assign s_axi_awready = write_state == W_IDLE;
    assign s_axi_wready = write_state == W_BEAT;
    assign s_axi_bvalid = write_state == W_RESPONSE;
    assign m_axil_awaddr = {write_addr[15:3], 3'b000};
    assign m_axil_awvalid = write_block & {BLOCKS{write_state == W_SEND && !nothing && !aw_sent}};
    assign m_axil_wvalid = write_block & {BLOCKS{write_state == W_SEND && !nothing && !w_sent}};
    assign m_axil_bready = write_block & {BLOCKS{write_state == W_ANSWER}};

    axi_burst_next #(.ADDR_BITS(24)) write_stepper (
        .addr(write_addr),
        .len(write_len),
        .size(write_size),
        .burst(write_burst),
        .next(write_next),
        .legal(write_legal)
    );

    integer w;
    always @* begin
        write_word_resp = 2'b00;
        for (w = 0; w < BLOCKS; w = w + 1)
            if (write_block[w]) write_word_resp = m_axil_bresp[2*w+:2];
    end

    always @(posedge clk) begin
        case (write_state)
            W_IDLE: if (s_axi_awvalid) begin
                write_state <= W_BEAT;
                write_addr <= s_axi_awaddr;
                write_len <= s_axi_awlen;
                write_size <= s_axi_awsize;
                write_burst <= s_axi_awburst;
                s_axi_bresp <= 2'b00;
            end
            W_BEAT: if (s_axi_wvalid) begin
                write_state <= W_SEND;
                m_axil_wdata <= s_axi_wdata;
                m_axil_wstrb <= s_axi_wstrb;
                write_last <= s_axi_wlast;
                aw_sent <= 1'b0;
                w_sent <= 1'b0;
            end
            W_SEND: begin
                if (aw_now) aw_sent <= 1'b1;
                if (w_now) w_sent <= 1'b1;
                if ((aw_sent || aw_now) && (w_sent || w_now)) write_state <= W_ANSWER;
                // A beat without bytes (AXI allows it) writes no register.
                if (nothing) begin
                    write_state <= write_last ? W_RESPONSE : W_BEAT;
                    write_addr <= write_next;
                    if (write_block == {BLOCKS{1'b0}}) s_axi_bresp <= DECERR;
                end
            end
            W_ANSWER: if (|(write_block & m_axil_bvalid)) begin
                write_state <= write_last ? W_RESPONSE : W_BEAT;
                write_addr <= write_next;
                s_axi_bresp <= s_axi_bresp | write_word_resp;
            end
            default: if (s_axi_bready) write_state <= W_IDLE;
        endcase
        if (rst) write_state <= W_IDLE;
    end

    // The masters keep to legal bursts.
    wire unused_legal = &{1'b0, read_legal, write_legal};

endmodule

`resetall
