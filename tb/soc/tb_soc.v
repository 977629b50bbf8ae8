// SPDX-License-Identifier: Apache-2.0
// kpu_soc (small SRAM and AI RAM) with a flash on its pins.
`timescale 1ns / 1ps

module tb_soc #(
    parameter MEM_DEPTH = 65536,
    parameter DUMMY = 4,
    parameter SRAM_BYTES = 65536,
    parameter SEGS = 2,
    parameter SEGLEN = 2,
    parameter LPS = 1,
    parameter DEPTH = 64,
    parameter AIRAM_ROWS = 1024,
    parameter WEIGHT_ENTRIES = 512
) (
    input  wire        clk,
    input  wire        rst,
    output wire        irq_kpu,
    output wire        irq_dma,
    output wire        irq_flash,
    input  wire        present,
    input  wire        absent_level,

    input  wire         s_axi_awvalid,
    output wire         s_axi_awready,
    input  wire [3:0]   s_axi_awid,
    input  wire [31:0]  s_axi_awaddr,
    input  wire [7:0]   s_axi_awlen,
    input  wire [2:0]   s_axi_awsize,
    input  wire [1:0]   s_axi_awburst,
    input  wire         s_axi_wvalid,
    output wire         s_axi_wready,
    input  wire [63:0]  s_axi_wdata,
    input  wire [7:0]   s_axi_wstrb,
    input  wire         s_axi_wlast,
    output wire         s_axi_bvalid,
    input  wire         s_axi_bready,
    output wire [3:0]   s_axi_bid,
    output wire [1:0]   s_axi_bresp,
    input  wire         s_axi_arvalid,
    output wire         s_axi_arready,
    input  wire [3:0]   s_axi_arid,
    input  wire [31:0]  s_axi_araddr,
    input  wire [7:0]   s_axi_arlen,
    input  wire [2:0]   s_axi_arsize,
    input  wire [1:0]   s_axi_arburst,
    output wire         s_axi_rvalid,
    input  wire         s_axi_rready,
    output wire [3:0]   s_axi_rid,
    output wire [63:0]  s_axi_rdata,
    output wire [1:0]   s_axi_rresp,
    output wire         s_axi_rlast
);

    wire       cs_n;
    wire       sclk;
    wire [3:0] io_o;
    wire [3:0] io_oe;
    wire [3:0] io_i;

    kpu_soc #(
        .SEGS(SEGS), .SEGLEN(SEGLEN), .LPS(LPS), .DEPTH(DEPTH), .AIRAM_ROWS(AIRAM_ROWS),
        .WEIGHT_ENTRIES(WEIGHT_ENTRIES), .SRAM_BYTES(SRAM_BYTES), .DMA_CHANNELS(2)
    ) dut (
        .clk(clk), .rst(rst), .irq({irq_flash, irq_dma, irq_kpu}),
        .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready), .s_axi_awid(s_axi_awid),
        .s_axi_awaddr(s_axi_awaddr), .s_axi_awlen(s_axi_awlen), .s_axi_awsize(s_axi_awsize),
        .s_axi_awburst(s_axi_awburst), .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready),
        .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb), .s_axi_wlast(s_axi_wlast),
        .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready), .s_axi_bid(s_axi_bid),
        .s_axi_bresp(s_axi_bresp), .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready),
        .s_axi_arid(s_axi_arid), .s_axi_araddr(s_axi_araddr), .s_axi_arlen(s_axi_arlen),
        .s_axi_arsize(s_axi_arsize), .s_axi_arburst(s_axi_arburst), .s_axi_rvalid(s_axi_rvalid),
        .s_axi_rready(s_axi_rready), .s_axi_rid(s_axi_rid), .s_axi_rdata(s_axi_rdata),
        .s_axi_rresp(s_axi_rresp), .s_axi_rlast(s_axi_rlast),
        .spi_cs_n(cs_n), .spi_sclk(sclk), .spi_io_o(io_o), .spi_io_oe(io_oe), .spi_io_i(io_i)
    );

    flash_pins #(.MEM_DEPTH(MEM_DEPTH), .DUMMY(DUMMY)) pins (
        .present(present), .absent_level(absent_level), .spi_cs_n(cs_n), .spi_sclk(sclk),
        .spi_io_o(io_o), .spi_io_oe(io_oe), .spi_io_i(io_i)
    );

endmodule
