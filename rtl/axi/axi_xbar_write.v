// SPDX-License-Identifier: Apache-2.0
// AXI4 write crossbar (AW, W and B channels).
//
// A slave belongs to one master from AW to B, and a master has one write outstanding;
// different masters write to different slaves at the same time. About four cycles per
// burst are lost to that, which the masters here (host and DMA) can afford. Ports as in
// axi_xbar_read.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_xbar_write #(
    parameter MASTERS = 2,
    parameter SLAVES = 2,  // with the one for unowned addresses
    parameter ID_W = 4,
    parameter [(SLAVES-1)*32-1:0] BASES = 0,
    parameter [(SLAVES-1)*32-1:0] SIZES = 0
) (
    input  wire                       clk,
    input  wire                       rst,

    input  wire [MASTERS-1:0]         s_awvalid,
    output wire [MASTERS-1:0]         s_awready,
    input  wire [MASTERS*ID_W-1:0] s_awid,
    input  wire [MASTERS*32-1:0]      s_awaddr,
    input  wire [MASTERS*8-1:0]       s_awlen,
    input  wire [MASTERS*3-1:0]       s_awsize,
    input  wire [MASTERS*2-1:0]       s_awburst,
    input  wire [MASTERS-1:0]         s_wvalid,
    output wire [MASTERS-1:0]         s_wready,
    input  wire [MASTERS*64-1:0]      s_wdata,
    input  wire [MASTERS*8-1:0]       s_wstrb,
    input  wire [MASTERS-1:0]         s_wlast,
    output wire [MASTERS-1:0]         s_bvalid,
    input  wire [MASTERS-1:0]         s_bready,
    output wire [MASTERS*ID_W-1:0] s_bid,
    output wire [MASTERS*2-1:0]       s_bresp,

    output wire [SLAVES-1:0]          m_awvalid,
    input  wire [SLAVES-1:0]          m_awready,
    output wire [SLAVES*32-1:0]       m_awaddr,
    output wire [SLAVES*8-1:0]        m_awlen,
    output wire [SLAVES*3-1:0]        m_awsize,
    output wire [SLAVES*2-1:0]        m_awburst,
    output wire [SLAVES-1:0]          m_wvalid,
    input  wire [SLAVES-1:0]          m_wready,
    output wire [SLAVES*64-1:0]       m_wdata,
    output wire [SLAVES*8-1:0]        m_wstrb,
    output wire [SLAVES-1:0]          m_wlast,
    input  wire [SLAVES-1:0]          m_bvalid,
    output wire [SLAVES-1:0]          m_bready,
    input  wire [SLAVES*2-1:0]        m_bresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (MASTERS < 2) begin : rule0
            axi_xbar_write_MASTERS_must_be_at_least_2 refused ();
        end
        if (SLAVES < 1) begin : rule1
            axi_xbar_write_SLAVES_must_be_at_least_1 refused ();
        end
        if (ID_W < 1) begin : rule2
            axi_xbar_write_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    wire [MASTERS*SLAVES-1:0] request;  // [j*MASTERS+i]: master i wants slave j
    wire [MASTERS*SLAVES-1:0] grant;
    wire [MASTERS*SLAVES-1:0] takes_w;  // slave j takes master i's data
    wire [MASTERS*SLAVES-1:0] answer;

    genvar i, j;
    generate
        for (i = 0; i < MASTERS; i = i + 1) begin : g_master
            wire [SLAVES-1:0]  target;
            wire [SLAVES-1:0]  granted;
            wire [SLAVES-1:0]  taking;
            wire [SLAVES-1:0]  answering;
            reg                busy;
            reg  [ID_W-1:0] id;
            reg  [1:0]         resp;

            axi_decode #(.SLAVES(SLAVES - 1), .BASES(BASES), .SIZES(SIZES)) decode (
                .addr(s_awaddr[32*i+:32]),
                .target(target)
            );

            for (j = 0; j < SLAVES; j = j + 1) begin : g_target
                assign request[j*MASTERS+i] = s_awvalid[i] && !busy && target[j];
                assign granted[j] = grant[j*MASTERS+i];
                assign taking[j] = takes_w[j*MASTERS+i];
                assign answering[j] = answer[j*MASTERS+i];
            end

            integer k;
            always @* begin
                resp = 2'b00;
                for (k = 0; k < SLAVES; k = k + 1)
                    if (answering[k]) resp = resp | m_bresp[2*k+:2];
            end

            assign s_awready[i] = |granted;
            assign s_wready[i] = |taking;
            assign s_bvalid[i] = |answering;
            assign s_bid[ID_W*i+:ID_W] = id;
            assign s_bresp[2*i+:2] = resp;

            always @(posedge clk) begin
                if (s_bvalid[i] && s_bready[i]) busy <= 1'b0;
                if (s_awvalid[i] && s_awready[i]) begin
                    busy <= 1'b1;
                    id <= s_awid[ID_W*i+:ID_W];
                end
                if (rst) busy <= 1'b0;
            end
        end

        for (j = 0; j < SLAVES; j = j + 1) begin : g_slave
            reg                aw_valid;
            reg  [44:0]        payload;
            reg  [44:0]        chosen;
            reg  [72:0]        data;
            reg  [MASTERS-1:0] owner;   // one-hot; zero while the slave is free
            reg                data_phase;
            wire [MASTERS-1:0] grants;

            wire free = owner == {MASTERS{1'b0}};
            wire take = free && grants != {MASTERS{1'b0}};

            axi_arbiter #(.N(MASTERS)) arbiter (
                .clk(clk),
                .rst(rst),
                .request(request[j*MASTERS+:MASTERS]),
                .grant(grants),
                .take(take)
            );
            assign grant[j*MASTERS+:MASTERS] = free ? grants : {MASTERS{1'b0}};

            integer k;
            always @* begin
                chosen = 45'd0;
                data = 73'd0;
                for (k = 0; k < MASTERS; k = k + 1) begin
                    if (grants[k])
                        chosen = chosen | {s_awaddr[32*k+:32], s_awlen[8*k+:8], s_awsize[3*k+:3], s_awburst[2*k+:2]};
                    if (owner[k]) data = data | {s_wdata[64*k+:64], s_wstrb[8*k+:8], s_wlast[k]};
                end
            end

            assign m_awvalid[j] = aw_valid;
            assign {m_awaddr[32*j+:32], m_awlen[8*j+:8], m_awsize[3*j+:3], m_awburst[2*j+:2]} = payload;
            assign m_wvalid[j] = data_phase && |(owner & s_wvalid);
            assign {m_wdata[64*j+:64], m_wstrb[8*j+:8], m_wlast[j]} = data;
            assign takes_w[j*MASTERS+:MASTERS] = owner & {MASTERS{data_phase && m_wready[j]}};
            assign m_bready[j] = |(owner & s_bready);
            assign answer[j*MASTERS+:MASTERS] = owner & {MASTERS{m_bvalid[j]}};

            always @(posedge clk) begin
                if (m_awready[j]) aw_valid <= 1'b0;
                if (m_wvalid[j] && m_wready[j] && m_wlast[j]) data_phase <= 1'b0;
                if (m_bvalid[j] && m_bready[j]) owner <= {MASTERS{1'b0}};
                if (take) begin
                    aw_valid <= 1'b1;
                    payload <= chosen;
                    owner <= grants;
                    data_phase <= 1'b1;
                end
                if (rst) begin
                    aw_valid <= 1'b0;
                    owner <= {MASTERS{1'b0}};
                    data_phase <= 1'b0;
                end
            end
        end
    endgenerate

endmodule

`resetall
