// SPDX-License-Identifier: Apache-2.0
// AXI4 interconnect: read crossbar, write crossbar, and DECERR for unowned addresses.
//
// MASTERS full masters (tie off what a read-only one lacks) and SLAVES slaves at BASES,
// SIZES (low 30 bits decoded). A slave outside WRITABLE answers writes with DECERR; its
// write ports stay idle. Every access is answered, so a master can never hang here.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_interconnect #(
    parameter MASTERS = 2,  // at least 2
    parameter SLAVES = 2,
    parameter ID_W = 4,
    parameter [SLAVES*32-1:0] BASES = 0,
    parameter [SLAVES*32-1:0] SIZES = 0,
    parameter [SLAVES-1:0] WRITABLE = {SLAVES{1'b1}}
) (
    input  wire                       clk,
    input  wire                       rst,

    input  wire [MASTERS-1:0]         s_axi_arvalid,
    output wire [MASTERS-1:0]         s_axi_arready,
    input  wire [MASTERS*ID_W-1:0] s_axi_arid,
    input  wire [MASTERS*32-1:0]      s_axi_araddr,
    input  wire [MASTERS*8-1:0]       s_axi_arlen,
    input  wire [MASTERS*3-1:0]       s_axi_arsize,
    input  wire [MASTERS*2-1:0]       s_axi_arburst,
    output wire [MASTERS-1:0]         s_axi_rvalid,
    input  wire [MASTERS-1:0]         s_axi_rready,
    output wire [MASTERS*ID_W-1:0] s_axi_rid,
    output wire [MASTERS*64-1:0]      s_axi_rdata,
    output wire [MASTERS*2-1:0]       s_axi_rresp,
    output wire [MASTERS-1:0]         s_axi_rlast,
    input  wire [MASTERS-1:0]         s_axi_awvalid,
    output wire [MASTERS-1:0]         s_axi_awready,
    input  wire [MASTERS*ID_W-1:0] s_axi_awid,
    input  wire [MASTERS*32-1:0]      s_axi_awaddr,
    input  wire [MASTERS*8-1:0]       s_axi_awlen,
    input  wire [MASTERS*3-1:0]       s_axi_awsize,
    input  wire [MASTERS*2-1:0]       s_axi_awburst,
    input  wire [MASTERS-1:0]         s_axi_wvalid,
    output wire [MASTERS-1:0]         s_axi_wready,
    input  wire [MASTERS*64-1:0]      s_axi_wdata,
    input  wire [MASTERS*8-1:0]       s_axi_wstrb,
    input  wire [MASTERS-1:0]         s_axi_wlast,
    output wire [MASTERS-1:0]         s_axi_bvalid,
    input  wire [MASTERS-1:0]         s_axi_bready,
    output wire [MASTERS*ID_W-1:0] s_axi_bid,
    output wire [MASTERS*2-1:0]       s_axi_bresp,

    output wire [SLAVES-1:0]          m_axi_arvalid,
    input  wire [SLAVES-1:0]          m_axi_arready,
    output wire [SLAVES*32-1:0]       m_axi_araddr,
    output wire [SLAVES*8-1:0]        m_axi_arlen,
    output wire [SLAVES*3-1:0]        m_axi_arsize,
    output wire [SLAVES*2-1:0]        m_axi_arburst,
    input  wire [SLAVES-1:0]          m_axi_rvalid,
    output wire [SLAVES-1:0]          m_axi_rready,
    input  wire [SLAVES*64-1:0]       m_axi_rdata,
    input  wire [SLAVES*2-1:0]        m_axi_rresp,
    input  wire [SLAVES-1:0]          m_axi_rlast,
    output wire [SLAVES-1:0]          m_axi_awvalid,
    input  wire [SLAVES-1:0]          m_axi_awready,
    output wire [SLAVES*32-1:0]       m_axi_awaddr,
    output wire [SLAVES*8-1:0]        m_axi_awlen,
    output wire [SLAVES*3-1:0]        m_axi_awsize,
    output wire [SLAVES*2-1:0]        m_axi_awburst,
    output wire [SLAVES-1:0]          m_axi_wvalid,
    input  wire [SLAVES-1:0]          m_axi_wready,
    output wire [SLAVES*64-1:0]       m_axi_wdata,
    output wire [SLAVES*8-1:0]        m_axi_wstrb,
    output wire [SLAVES-1:0]          m_axi_wlast,
    input  wire [SLAVES-1:0]          m_axi_bvalid,
    output wire [SLAVES-1:0]          m_axi_bready,
    input  wire [SLAVES*2-1:0]        m_axi_bresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (MASTERS < 2) begin : rule0
            axi_interconnect_MASTERS_must_be_at_least_2 refused ();
        end
        if (SLAVES < 1) begin : rule1
            axi_interconnect_SLAVES_must_be_at_least_1 refused ();
        end
        if (ID_W < 1) begin : rule2
            axi_interconnect_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    function [SLAVES*32-1:0] writable_sizes;
        input [SLAVES*32-1:0] sizes;
        integer n;
        for (n = 0; n < SLAVES; n = n + 1)
            writable_sizes[32*n+:32] = WRITABLE[n] ? sizes[32*n+:32] : 32'd0;
    endfunction

    wire        none_arvalid, none_arready, none_rvalid, none_rready, none_rlast;
    wire        none_awvalid, none_awready, none_wvalid, none_wready, none_wlast, none_bvalid, none_bready;
    wire [31:0] none_araddr, none_awaddr;
    wire [7:0]  none_arlen, none_awlen, none_wstrb;
    wire [2:0]  none_arsize, none_awsize;
    wire [1:0]  none_arburst, none_awburst, none_rresp, none_bresp;
    wire [63:0] none_rdata, none_wdata;

    axi_xbar_read #(
        .MASTERS(MASTERS),
        .SLAVES(SLAVES + 1),
        .ID_W(ID_W),
        .BASES(BASES),
        .SIZES(SIZES)
    ) read (
        .clk(clk),
        .rst(rst),
        .s_arvalid(s_axi_arvalid),
        .s_arready(s_axi_arready),
        .s_arid(s_axi_arid),
        .s_araddr(s_axi_araddr),
        .s_arlen(s_axi_arlen),
        .s_arsize(s_axi_arsize),
        .s_arburst(s_axi_arburst),
        .s_rvalid(s_axi_rvalid),
        .s_rready(s_axi_rready),
        .s_rid(s_axi_rid),
        .s_rdata(s_axi_rdata),
        .s_rresp(s_axi_rresp),
        .s_rlast(s_axi_rlast),
        .m_arvalid({none_arvalid, m_axi_arvalid}),
        .m_arready({none_arready, m_axi_arready}),
        .m_araddr({none_araddr, m_axi_araddr}),
        .m_arlen({none_arlen, m_axi_arlen}),
        .m_arsize({none_arsize, m_axi_arsize}),
        .m_arburst({none_arburst, m_axi_arburst}),
        .m_rvalid({none_rvalid, m_axi_rvalid}),
        .m_rready({none_rready, m_axi_rready}),
        .m_rdata({none_rdata, m_axi_rdata}),
        .m_rresp({none_rresp, m_axi_rresp}),
        .m_rlast({none_rlast, m_axi_rlast})
    );

    axi_xbar_write #(
        .MASTERS(MASTERS),
        .SLAVES(SLAVES + 1),
        .ID_W(ID_W),
        .BASES(BASES),
        .SIZES(writable_sizes(SIZES))
    ) write (
        .clk(clk),
        .rst(rst),
        .s_awvalid(s_axi_awvalid),
        .s_awready(s_axi_awready),
        .s_awid(s_axi_awid),
        .s_awaddr(s_axi_awaddr),
        .s_awlen(s_axi_awlen),
        .s_awsize(s_axi_awsize),
        .s_awburst(s_axi_awburst),
        .s_wvalid(s_axi_wvalid),
        .s_wready(s_axi_wready),
        .s_wdata(s_axi_wdata),
        .s_wstrb(s_axi_wstrb),
        .s_wlast(s_axi_wlast),
        .s_bvalid(s_axi_bvalid),
        .s_bready(s_axi_bready),
        .s_bid(s_axi_bid),
        .s_bresp(s_axi_bresp),
        .m_awvalid({none_awvalid, m_axi_awvalid}),
        .m_awready({none_awready, m_axi_awready}),
        .m_awaddr({none_awaddr, m_axi_awaddr}),
        .m_awlen({none_awlen, m_axi_awlen}),
        .m_awsize({none_awsize, m_axi_awsize}),
        .m_awburst({none_awburst, m_axi_awburst}),
        .m_wvalid({none_wvalid, m_axi_wvalid}),
        .m_wready({none_wready, m_axi_wready}),
        .m_wdata({none_wdata, m_axi_wdata}),
        .m_wstrb({none_wstrb, m_axi_wstrb}),
        .m_wlast({none_wlast, m_axi_wlast}),
        .m_bvalid({none_bvalid, m_axi_bvalid}),
        .m_bready({none_bready, m_axi_bready}),
        .m_bresp({none_bresp, m_axi_bresp})
    );

    axi_decerr none (
        .clk(clk),
        .rst(rst),
        .s_axi_arvalid(none_arvalid),
        .s_axi_arready(none_arready),
        .s_axi_arlen(none_arlen),
        .s_axi_rvalid(none_rvalid),
        .s_axi_rready(none_rready),
        .s_axi_rdata(none_rdata),
        .s_axi_rresp(none_rresp),
        .s_axi_rlast(none_rlast),
        .s_axi_awvalid(none_awvalid),
        .s_axi_awready(none_awready),
        .s_axi_wvalid(none_wvalid),
        .s_axi_wready(none_wready),
        .s_axi_wlast(none_wlast),
        .s_axi_bvalid(none_bvalid),
        .s_axi_bready(none_bready),
        .s_axi_bresp(none_bresp)
    );

    wire _unused = &{1'b0, none_araddr, none_arsize, none_arburst, none_awaddr, none_awlen, none_awsize, none_awburst,
                    none_wdata, none_wstrb};

endmodule

`resetall
