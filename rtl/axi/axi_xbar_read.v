// SPDX-License-Identifier: Apache-2.0
// AXI4 read crossbar (AR and R channels).
//
// Different masters reach different slaves at the same time. A master may have up to
// 2^LGORDER reads outstanding as long as they go to one slave; a read for another slave
// waits until the earlier ones have been answered, so answers come in order. Slaves
// answer in order and need no id: a small FIFO per slave remembers whose answer is
// next. The last slave is the one that answers addresses nobody owns. `s_` ports face
// the masters, `m_` ports the slaves; vectors are packed, number 0 in the low bits.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_xbar_read #(
    parameter MASTERS = 2,
    parameter SLAVES = 2,   // with the one for unowned addresses
    parameter ID_W = 4,
    parameter LGORDER = 3,  // log2 of the reads outstanding per master and per slave
    parameter [(SLAVES-1)*32-1:0] BASES = 0,
    parameter [(SLAVES-1)*32-1:0] SIZES = 0
) (
    input  wire                       clk,
    input  wire                       rst,

    input  wire [MASTERS-1:0]         s_arvalid,
    output wire [MASTERS-1:0]         s_arready,
    input  wire [MASTERS*ID_W-1:0] s_arid,
    input  wire [MASTERS*32-1:0]      s_araddr,
    input  wire [MASTERS*8-1:0]       s_arlen,
    input  wire [MASTERS*3-1:0]       s_arsize,
    input  wire [MASTERS*2-1:0]       s_arburst,
    output wire [MASTERS-1:0]         s_rvalid,
    input  wire [MASTERS-1:0]         s_rready,
    output wire [MASTERS*ID_W-1:0] s_rid,
    output wire [MASTERS*64-1:0]      s_rdata,
    output wire [MASTERS*2-1:0]       s_rresp,
    output wire [MASTERS-1:0]         s_rlast,

    output wire [SLAVES-1:0]          m_arvalid,
    input  wire [SLAVES-1:0]          m_arready,
    output wire [SLAVES*32-1:0]       m_araddr,
    output wire [SLAVES*8-1:0]        m_arlen,
    output wire [SLAVES*3-1:0]        m_arsize,
    output wire [SLAVES*2-1:0]        m_arburst,
    input  wire [SLAVES-1:0]          m_rvalid,
    output wire [SLAVES-1:0]          m_rready,
    input  wire [SLAVES*64-1:0]       m_rdata,
    input  wire [SLAVES*2-1:0]        m_rresp,
    input  wire [SLAVES-1:0]          m_rlast
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (MASTERS < 2) begin : rule0
            axi_xbar_read_MASTERS_must_be_at_least_2 refused ();
        end
        if (SLAVES < 1) begin : rule1
            axi_xbar_read_SLAVES_must_be_at_least_1 refused ();
        end
        if (ID_W < 1) begin : rule2
            axi_xbar_read_ID_W_must_be_at_least_1 refused ();
        end
        if (LGORDER < 1 || LGORDER > 8) begin : rule3
            axi_xbar_read_LGORDER_must_be_1_to_8 refused ();
        end
    endgenerate

    localparam REQUEST_BITS = ID_W + 45;
    localparam ANSWER_BITS = ID_W + 67;

    wire [MASTERS*SLAVES-1:0] request;   // [j*MASTERS+i]: master i wants slave j
    wire [MASTERS*SLAVES-1:0] grant;
    wire [MASTERS*SLAVES-1:0] answer;    // slave j answers master i
    wire [SLAVES*ANSWER_BITS-1:0] answer_data;

    genvar i, j;
    generate
        for (i = 0; i < MASTERS; i = i + 1) begin : g_master
            wire [SLAVES-1:0] target;
            wire [SLAVES-1:0] granted;
            wire [SLAVES-1:0] answering;
            reg  [SLAVES-1:0] current;
            reg  [LGORDER:0]  outstanding;

            wire free = outstanding == {LGORDER+1{1'b0}} || (target == current && !outstanding[LGORDER]);
            wire sent = s_arvalid[i] && s_arready[i];
            wire ended = s_rvalid[i] && s_rready[i] && s_rlast[i];

            axi_decode #(.SLAVES(SLAVES - 1), .BASES(BASES), .SIZES(SIZES)) decode (
                .addr(s_araddr[32*i+:32]),
                .target(target)
            );

            for (j = 0; j < SLAVES; j = j + 1) begin : g_target
                assign request[j*MASTERS+i] = s_arvalid[i] && free && target[j];
                assign granted[j] = grant[j*MASTERS+i];
                assign answering[j] = answer[j*MASTERS+i];
            end

            assign s_arready[i] = |granted;

            reg [ANSWER_BITS-1:0] chosen;
            integer k;
            always @* begin
                chosen = {ANSWER_BITS{1'b0}};
                for (k = 0; k < SLAVES; k = k + 1)
                    if (answering[k]) chosen = chosen | answer_data[k*ANSWER_BITS+:ANSWER_BITS];
            end
            assign s_rvalid[i] = |answering;
            assign {s_rid[ID_W*i+:ID_W], s_rdata[64*i+:64], s_rresp[2*i+:2], s_rlast[i]} = chosen;

            always @(posedge clk) begin
                outstanding <= outstanding + {{LGORDER{1'b0}}, sent} - {{LGORDER{1'b0}}, ended};
                if (sent) current <= target;
                if (rst) outstanding <= {LGORDER+1{1'b0}};
            end
        end

        for (j = 0; j < SLAVES; j = j + 1) begin : g_slave
            reg                      valid;
            reg  [44:0]              payload;
            reg  [REQUEST_BITS-1:0]  chosen;
            wire [MASTERS-1:0]       grants;
            wire [MASTERS-1:0]       owner;
            wire [ID_W-1:0]       owner_id;
            wire                     order_ready;
            wire                     order_valid;

            wire free = (!valid || m_arready[j]) && order_ready;
            wire take = |grant[j*MASTERS+:MASTERS];
            wire ended = m_rvalid[j] && m_rready[j] && m_rlast[j];

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
                chosen = {REQUEST_BITS{1'b0}};
                for (k = 0; k < MASTERS; k = k + 1)
                    if (grants[k])
                        chosen = chosen | {s_arid[ID_W*k+:ID_W], s_araddr[32*k+:32], s_arlen[8*k+:8],
                                           s_arsize[3*k+:3], s_arburst[2*k+:2]};
            end

            kpu_queue #(.WIDTH(MASTERS + ID_W), .LGDEPTH(LGORDER)) order (
                .clk(clk),
                .rst(rst),
                .s_valid(take),
                .s_ready(order_ready),
                .s_data({grants, chosen[REQUEST_BITS-1-:ID_W]}),
                .m_valid(order_valid),
                .m_ready(ended),
                .m_data({owner, owner_id})
            );

            always @(posedge clk) begin
                if (m_arready[j]) valid <= 1'b0;
                if (take) begin
                    valid <= 1'b1;
                    payload <= chosen[44:0];
                end
                if (rst) valid <= 1'b0;
            end

            assign m_arvalid[j] = valid;
            assign {m_araddr[32*j+:32], m_arlen[8*j+:8], m_arsize[3*j+:3], m_arburst[2*j+:2]} = payload;
            assign m_rready[j] = order_valid && |(owner & s_rready);
            assign answer[j*MASTERS+:MASTERS] = owner & {MASTERS{m_rvalid[j] && order_valid}};
            assign answer_data[j*ANSWER_BITS+:ANSWER_BITS] =
                {owner_id, m_rdata[64*j+:64], m_rresp[2*j+:2], m_rlast[j]};
        end
    endgenerate

endmodule

`resetall
