// SPDX-License-Identifier: Apache-2.0
// axi_interconnect with the chip's slaves: SRAM, an outside memory, register blocks, and a read-only SRAM.
`timescale 1ns / 1ps

module tb_interconnect (
    input  wire         clk,
    input  wire         rst,
    input  wire [3:0]   s0_axi_arid,
    input  wire [31:0]  s0_axi_araddr,
    input  wire [7:0]   s0_axi_arlen,
    input  wire [2:0]   s0_axi_arsize,
    input  wire [1:0]   s0_axi_arburst,
    input  wire         s0_axi_arvalid,
    output wire         s0_axi_arready,
    output wire [3:0]   s0_axi_rid,
    output wire [63:0]  s0_axi_rdata,
    output wire [1:0]   s0_axi_rresp,
    output wire         s0_axi_rlast,
    output wire         s0_axi_rvalid,
    input  wire         s0_axi_rready,
    input  wire [3:0]   s0_axi_awid,
    input  wire [31:0]  s0_axi_awaddr,
    input  wire [7:0]   s0_axi_awlen,
    input  wire [2:0]   s0_axi_awsize,
    input  wire [1:0]   s0_axi_awburst,
    input  wire         s0_axi_awvalid,
    output wire         s0_axi_awready,
    input  wire [63:0]  s0_axi_wdata,
    input  wire [7:0]   s0_axi_wstrb,
    input  wire         s0_axi_wlast,
    input  wire         s0_axi_wvalid,
    output wire         s0_axi_wready,
    output wire [3:0]   s0_axi_bid,
    output wire [1:0]   s0_axi_bresp,
    output wire         s0_axi_bvalid,
    input  wire         s0_axi_bready,
    input  wire [3:0]   s1_axi_arid,
    input  wire [31:0]  s1_axi_araddr,
    input  wire [7:0]   s1_axi_arlen,
    input  wire [2:0]   s1_axi_arsize,
    input  wire [1:0]   s1_axi_arburst,
    input  wire         s1_axi_arvalid,
    output wire         s1_axi_arready,
    output wire [3:0]   s1_axi_rid,
    output wire [63:0]  s1_axi_rdata,
    output wire [1:0]   s1_axi_rresp,
    output wire         s1_axi_rlast,
    output wire         s1_axi_rvalid,
    input  wire         s1_axi_rready,
    input  wire [3:0]   s1_axi_awid,
    input  wire [31:0]  s1_axi_awaddr,
    input  wire [7:0]   s1_axi_awlen,
    input  wire [2:0]   s1_axi_awsize,
    input  wire [1:0]   s1_axi_awburst,
    input  wire         s1_axi_awvalid,
    output wire         s1_axi_awready,
    input  wire [63:0]  s1_axi_wdata,
    input  wire [7:0]   s1_axi_wstrb,
    input  wire         s1_axi_wlast,
    input  wire         s1_axi_wvalid,
    output wire         s1_axi_wready,
    output wire [3:0]   s1_axi_bid,
    output wire [1:0]   s1_axi_bresp,
    output wire         s1_axi_bvalid,
    input  wire         s1_axi_bready,
    input  wire [3:0]   s2_axi_arid,
    input  wire [31:0]  s2_axi_araddr,
    input  wire [7:0]   s2_axi_arlen,
    input  wire [2:0]   s2_axi_arsize,
    input  wire [1:0]   s2_axi_arburst,
    input  wire         s2_axi_arvalid,
    output wire         s2_axi_arready,
    output wire [3:0]   s2_axi_rid,
    output wire [63:0]  s2_axi_rdata,
    output wire [1:0]   s2_axi_rresp,
    output wire         s2_axi_rlast,
    output wire         s2_axi_rvalid,
    input  wire         s2_axi_rready,
    output wire [3:0]   m_axi_arid,
    output wire [31:0]  m_axi_araddr,
    output wire [7:0]   m_axi_arlen,
    output wire [2:0]   m_axi_arsize,
    output wire [1:0]   m_axi_arburst,
    output wire         m_axi_arvalid,
    input  wire         m_axi_arready,
    input  wire [3:0]   m_axi_rid,
    input  wire [63:0]  m_axi_rdata,
    input  wire [1:0]   m_axi_rresp,
    input  wire         m_axi_rlast,
    input  wire         m_axi_rvalid,
    output wire         m_axi_rready,
    output wire [3:0]   m_axi_awid,
    output wire [31:0]  m_axi_awaddr,
    output wire [7:0]   m_axi_awlen,
    output wire [2:0]   m_axi_awsize,
    output wire [1:0]   m_axi_awburst,
    output wire         m_axi_awvalid,
    input  wire         m_axi_awready,
    output wire [63:0]  m_axi_wdata,
    output wire [7:0]   m_axi_wstrb,
    output wire         m_axi_wlast,
    output wire         m_axi_wvalid,
    input  wire         m_axi_wready,
    input  wire [3:0]   m_axi_bid,
    input  wire [1:0]   m_axi_bresp,
    input  wire         m_axi_bvalid,
    output wire         m_axi_bready,
    output wire [15:0]  l0_axil_awaddr,
    output wire [2:0]   l0_axil_awprot,
    output wire         l0_axil_awvalid,
    input  wire         l0_axil_awready,
    output wire [63:0]  l0_axil_wdata,
    output wire [7:0]   l0_axil_wstrb,
    output wire         l0_axil_wvalid,
    input  wire         l0_axil_wready,
    input  wire [1:0]   l0_axil_bresp,
    input  wire         l0_axil_bvalid,
    output wire         l0_axil_bready,
    output wire [15:0]  l0_axil_araddr,
    output wire [2:0]   l0_axil_arprot,
    output wire         l0_axil_arvalid,
    input  wire         l0_axil_arready,
    input  wire [63:0]  l0_axil_rdata,
    input  wire [1:0]   l0_axil_rresp,
    input  wire         l0_axil_rvalid,
    output wire         l0_axil_rready,
    output wire [15:0]  l1_axil_awaddr,
    output wire [2:0]   l1_axil_awprot,
    output wire         l1_axil_awvalid,
    input  wire         l1_axil_awready,
    output wire [63:0]  l1_axil_wdata,
    output wire [7:0]   l1_axil_wstrb,
    output wire         l1_axil_wvalid,
    input  wire         l1_axil_wready,
    input  wire [1:0]   l1_axil_bresp,
    input  wire         l1_axil_bvalid,
    output wire         l1_axil_bready,
    output wire [15:0]  l1_axil_araddr,
    output wire [2:0]   l1_axil_arprot,
    output wire         l1_axil_arvalid,
    input  wire         l1_axil_arready,
    input  wire [63:0]  l1_axil_rdata,
    input  wire [1:0]   l1_axil_rresp,
    input  wire         l1_axil_rvalid,
    output wire         l1_axil_rready
);

    localparam BASES = {32'h5400_0000, 32'h4080_0000, 32'h4060_0000, 32'h4000_0000};
    localparam SIZES = {32'h0001_0000, 32'h00C0_0000, 32'h0020_0000, 32'h0001_0000};

    assign {l0_axil_awprot, l0_axil_arprot, l1_axil_awprot, l1_axil_arprot, m_axi_arid, m_axi_awid} = 20'd0;

    wire [3:0] x_arvalid;
    wire [3:0] x_arready;
    wire [127:0] x_araddr;
    wire [31:0] x_arlen;
    wire [11:0] x_arsize;
    wire [7:0] x_arburst;
    wire [3:0] x_rvalid;
    wire [3:0] x_rready;
    wire [255:0] x_rdata;
    wire [7:0] x_rresp;
    wire [3:0] x_rlast;
    wire [3:0] x_awvalid;
    wire [3:0] x_awready;
    wire [127:0] x_awaddr;
    wire [31:0] x_awlen;
    wire [11:0] x_awsize;
    wire [7:0] x_awburst;
    wire [3:0] x_wvalid;
    wire [3:0] x_wready;
    wire [255:0] x_wdata;
    wire [31:0] x_wstrb;
    wire [3:0] x_wlast;
    wire [3:0] x_bvalid;
    wire [3:0] x_bready;
    wire [7:0] x_bresp;

    wire [8:0] no_writes;
    axi_interconnect #(.MASTERS(3), .SLAVES(4), .ID_W(4), .BASES(BASES), .SIZES(SIZES), .WRITABLE(4'b0111)) dut (
        .clk(clk), .rst(rst),
        .s_axi_arvalid({s2_axi_arvalid, s1_axi_arvalid, s0_axi_arvalid}),
        .s_axi_arready({s2_axi_arready, s1_axi_arready, s0_axi_arready}),
        .s_axi_arid({s2_axi_arid, s1_axi_arid, s0_axi_arid}),
        .s_axi_araddr({s2_axi_araddr, s1_axi_araddr, s0_axi_araddr}),
        .s_axi_arlen({s2_axi_arlen, s1_axi_arlen, s0_axi_arlen}),
        .s_axi_arsize({s2_axi_arsize, s1_axi_arsize, s0_axi_arsize}),
        .s_axi_arburst({s2_axi_arburst, s1_axi_arburst, s0_axi_arburst}),
        .s_axi_rvalid({s2_axi_rvalid, s1_axi_rvalid, s0_axi_rvalid}),
        .s_axi_rready({s2_axi_rready, s1_axi_rready, s0_axi_rready}),
        .s_axi_rid({s2_axi_rid, s1_axi_rid, s0_axi_rid}),
        .s_axi_rdata({s2_axi_rdata, s1_axi_rdata, s0_axi_rdata}),
        .s_axi_rresp({s2_axi_rresp, s1_axi_rresp, s0_axi_rresp}),
        .s_axi_rlast({s2_axi_rlast, s1_axi_rlast, s0_axi_rlast}),
        .s_axi_awvalid({1'b0, s1_axi_awvalid, s0_axi_awvalid}),
        .s_axi_awready({no_writes[0], s1_axi_awready, s0_axi_awready}),
        .s_axi_awid({4'd0, s1_axi_awid, s0_axi_awid}),
        .s_axi_awaddr({32'd0, s1_axi_awaddr, s0_axi_awaddr}),
        .s_axi_awlen({8'd0, s1_axi_awlen, s0_axi_awlen}),
        .s_axi_awsize({3'd0, s1_axi_awsize, s0_axi_awsize}),
        .s_axi_awburst({2'd0, s1_axi_awburst, s0_axi_awburst}),
        .s_axi_wvalid({1'b0, s1_axi_wvalid, s0_axi_wvalid}),
        .s_axi_wready({no_writes[1], s1_axi_wready, s0_axi_wready}),
        .s_axi_wdata({64'd0, s1_axi_wdata, s0_axi_wdata}),
        .s_axi_wstrb({8'd0, s1_axi_wstrb, s0_axi_wstrb}),
        .s_axi_wlast({1'b0, s1_axi_wlast, s0_axi_wlast}),
        .s_axi_bvalid({no_writes[2], s1_axi_bvalid, s0_axi_bvalid}),
        .s_axi_bready({1'b0, s1_axi_bready, s0_axi_bready}),
        .s_axi_bid({no_writes[6:3], s1_axi_bid, s0_axi_bid}),
        .s_axi_bresp({no_writes[8:7], s1_axi_bresp, s0_axi_bresp}),
        .m_axi_arvalid(x_arvalid),
        .m_axi_arready(x_arready),
        .m_axi_araddr(x_araddr),
        .m_axi_arlen(x_arlen),
        .m_axi_arsize(x_arsize),
        .m_axi_arburst(x_arburst),
        .m_axi_rvalid(x_rvalid),
        .m_axi_rready(x_rready),
        .m_axi_rdata(x_rdata),
        .m_axi_rresp(x_rresp),
        .m_axi_rlast(x_rlast),
        .m_axi_awvalid(x_awvalid),
        .m_axi_awready(x_awready),
        .m_axi_awaddr(x_awaddr),
        .m_axi_awlen(x_awlen),
        .m_axi_awsize(x_awsize),
        .m_axi_awburst(x_awburst),
        .m_axi_wvalid(x_wvalid),
        .m_axi_wready(x_wready),
        .m_axi_wdata(x_wdata),
        .m_axi_wstrb(x_wstrb),
        .m_axi_wlast(x_wlast),
        .m_axi_bvalid(x_bvalid),
        .m_axi_bready(x_bready),
        .m_axi_bresp(x_bresp)
    );

    assign m_axi_arvalid = x_arvalid[1];
    assign x_arready[1] = m_axi_arready;
    assign m_axi_araddr = x_araddr[63:32];
    assign m_axi_arlen = x_arlen[15:8];
    assign m_axi_arsize = x_arsize[5:3];
    assign m_axi_arburst = x_arburst[3:2];
    assign x_rvalid[1] = m_axi_rvalid;
    assign m_axi_rready = x_rready[1];
    assign x_rdata[127:64] = m_axi_rdata;
    assign x_rresp[3:2] = m_axi_rresp;
    assign x_rlast[1] = m_axi_rlast;
    assign m_axi_awvalid = x_awvalid[1];
    assign x_awready[1] = m_axi_awready;
    assign m_axi_awaddr = x_awaddr[63:32];
    assign m_axi_awlen = x_awlen[15:8];
    assign m_axi_awsize = x_awsize[5:3];
    assign m_axi_awburst = x_awburst[3:2];
    assign m_axi_wvalid = x_wvalid[1];
    assign x_wready[1] = m_axi_wready;
    assign m_axi_wdata = x_wdata[127:64];
    assign m_axi_wstrb = x_wstrb[15:8];
    assign m_axi_wlast = x_wlast[1];
    assign x_bvalid[1] = m_axi_bvalid;
    assign m_axi_bready = x_bready[1];
    assign x_bresp[3:2] = m_axi_bresp;

    axi_sram #(.BYTES(65536)) sram (
        .clk(clk), .rst(rst),
        .s_axi_arvalid(x_arvalid[0]),
        .s_axi_arready(x_arready[0]),
        .s_axi_araddr(x_araddr[15:0]),
        .s_axi_arlen(x_arlen[7:0]),
        .s_axi_arsize(x_arsize[2:0]),
        .s_axi_arburst(x_arburst[1:0]),
        .s_axi_rvalid(x_rvalid[0]),
        .s_axi_rready(x_rready[0]),
        .s_axi_rdata(x_rdata[63:0]),
        .s_axi_rresp(x_rresp[1:0]),
        .s_axi_rlast(x_rlast[0]),
        .s_axi_awvalid(x_awvalid[0]),
        .s_axi_awready(x_awready[0]),
        .s_axi_awaddr(x_awaddr[15:0]),
        .s_axi_awlen(x_awlen[7:0]),
        .s_axi_awsize(x_awsize[2:0]),
        .s_axi_awburst(x_awburst[1:0]),
        .s_axi_wvalid(x_wvalid[0]),
        .s_axi_wready(x_wready[0]),
        .s_axi_wdata(x_wdata[63:0]),
        .s_axi_wstrb(x_wstrb[7:0]),
        .s_axi_wlast(x_wlast[0]),
        .s_axi_bvalid(x_bvalid[0]),
        .s_axi_bready(x_bready[0]),
        .s_axi_bresp(x_bresp[1:0])
    );

    axi_sram #(.BYTES(65536)) rom (
        .clk(clk), .rst(rst),
        .s_axi_arvalid(x_arvalid[3]),
        .s_axi_arready(x_arready[3]),
        .s_axi_araddr(x_araddr[111:96]),
        .s_axi_arlen(x_arlen[31:24]),
        .s_axi_arsize(x_arsize[11:9]),
        .s_axi_arburst(x_arburst[7:6]),
        .s_axi_rvalid(x_rvalid[3]),
        .s_axi_rready(x_rready[3]),
        .s_axi_rdata(x_rdata[255:192]),
        .s_axi_rresp(x_rresp[7:6]),
        .s_axi_rlast(x_rlast[3]),
        .s_axi_awvalid(x_awvalid[3]),
        .s_axi_awready(x_awready[3]),
        .s_axi_awaddr(x_awaddr[111:96]),
        .s_axi_awlen(x_awlen[31:24]),
        .s_axi_awsize(x_awsize[11:9]),
        .s_axi_awburst(x_awburst[7:6]),
        .s_axi_wvalid(x_wvalid[3]),
        .s_axi_wready(x_wready[3]),
        .s_axi_wdata(x_wdata[255:192]),
        .s_axi_wstrb(x_wstrb[31:24]),
        .s_axi_wlast(x_wlast[3]),
        .s_axi_bvalid(x_bvalid[3]),
        .s_axi_bready(x_bready[3]),
        .s_axi_bresp(x_bresp[7:6])
    );

    axi_to_axil #(.BLOCKS(2), .FIRST_BLOCK(4'd8)) registers (
        .clk(clk), .rst(rst),
        .s_axi_arvalid(x_arvalid[2]),
        .s_axi_arready(x_arready[2]),
        .s_axi_araddr(x_araddr[87:64]),
        .s_axi_arlen(x_arlen[23:16]),
        .s_axi_arsize(x_arsize[8:6]),
        .s_axi_arburst(x_arburst[5:4]),
        .s_axi_rvalid(x_rvalid[2]),
        .s_axi_rready(x_rready[2]),
        .s_axi_rdata(x_rdata[191:128]),
        .s_axi_rresp(x_rresp[5:4]),
        .s_axi_rlast(x_rlast[2]),
        .s_axi_awvalid(x_awvalid[2]),
        .s_axi_awready(x_awready[2]),
        .s_axi_awaddr(x_awaddr[87:64]),
        .s_axi_awlen(x_awlen[23:16]),
        .s_axi_awsize(x_awsize[8:6]),
        .s_axi_awburst(x_awburst[5:4]),
        .s_axi_wvalid(x_wvalid[2]),
        .s_axi_wready(x_wready[2]),
        .s_axi_wdata(x_wdata[191:128]),
        .s_axi_wstrb(x_wstrb[23:16]),
        .s_axi_wlast(x_wlast[2]),
        .s_axi_bvalid(x_bvalid[2]),
        .s_axi_bready(x_bready[2]),
        .s_axi_bresp(x_bresp[5:4]),
        .m_axil_awvalid({l1_axil_awvalid, l0_axil_awvalid}),
        .m_axil_awready({l1_axil_awready, l0_axil_awready}),
        .m_axil_wvalid({l1_axil_wvalid, l0_axil_wvalid}),
        .m_axil_wready({l1_axil_wready, l0_axil_wready}),
        .m_axil_bvalid({l1_axil_bvalid, l0_axil_bvalid}),
        .m_axil_bready({l1_axil_bready, l0_axil_bready}),
        .m_axil_bresp({l1_axil_bresp, l0_axil_bresp}),
        .m_axil_arvalid({l1_axil_arvalid, l0_axil_arvalid}),
        .m_axil_arready({l1_axil_arready, l0_axil_arready}),
        .m_axil_rvalid({l1_axil_rvalid, l0_axil_rvalid}),
        .m_axil_rready({l1_axil_rready, l0_axil_rready}),
        .m_axil_rdata({l1_axil_rdata, l0_axil_rdata}),
        .m_axil_rresp({l1_axil_rresp, l0_axil_rresp}),
        .m_axil_awaddr(l0_axil_awaddr), .m_axil_wdata(l0_axil_wdata), .m_axil_wstrb(l0_axil_wstrb),
        .m_axil_araddr(l0_axil_araddr)
    );

    assign l1_axil_awaddr = l0_axil_awaddr;
    assign l1_axil_wdata = l0_axil_wdata;
    assign l1_axil_wstrb = l0_axil_wstrb;
    assign l1_axil_araddr = l0_axil_araddr;

endmodule
