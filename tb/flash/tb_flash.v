// SPDX-License-Identifier: Apache-2.0
// spi_flash with a flash on its pins.
`timescale 1ns / 1ps

module tb_flash #(
    parameter MEM_DEPTH = 65536,
    parameter DUMMY = 4
) (
    input  wire        clk,
    input  wire        rst,
    output wire        irq,
    input  wire        present,      // 0: nothing drives the lanes but `absent_level`
    input  wire        absent_level,
    output wire        spi_cs_n,
    output wire        spi_sclk,

    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [15:0] s_axil_awaddr,
    input  wire [2:0]  s_axil_awprot,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    input  wire [63:0] s_axil_wdata,
    input  wire [7:0]  s_axil_wstrb,
    output wire        s_axil_bvalid,
    input  wire        s_axil_bready,
    output wire [1:0]  s_axil_bresp,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    input  wire [15:0] s_axil_araddr,
    input  wire [2:0]  s_axil_arprot,
    output wire        s_axil_rvalid,
    input  wire        s_axil_rready,
    output wire [63:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,

    input  wire        s_axi_arvalid,
    output wire        s_axi_arready,
    input  wire [7:0]  s_axi_arid,
    input  wire [23:0] s_axi_araddr,
    input  wire [7:0]  s_axi_arlen,
    input  wire [2:0]  s_axi_arsize,
    input  wire [1:0]  s_axi_arburst,
    output wire        s_axi_rvalid,
    input  wire        s_axi_rready,
    output reg  [7:0]  s_axi_rid,
    output wire [63:0] s_axi_rdata,
    output wire [1:0]  s_axi_rresp,
    output wire        s_axi_rlast
);

    wire [3:0] io_o;
    wire [3:0] io_oe;
    wire [3:0] io_i;

    always @(posedge clk) if (s_axi_arvalid && s_axi_arready) s_axi_rid <= s_axi_arid;

    spi_flash dut (
        .clk(clk), .rst(rst), .irq(irq),
        .s_axil_awvalid(s_axil_awvalid), .s_axil_awready(s_axil_awready), .s_axil_awaddr(s_axil_awaddr),
        .s_axil_wvalid(s_axil_wvalid), .s_axil_wready(s_axil_wready), .s_axil_wdata(s_axil_wdata),
        .s_axil_wstrb(s_axil_wstrb), .s_axil_bvalid(s_axil_bvalid), .s_axil_bready(s_axil_bready),
        .s_axil_bresp(s_axil_bresp), .s_axil_arvalid(s_axil_arvalid), .s_axil_arready(s_axil_arready),
        .s_axil_araddr(s_axil_araddr), .s_axil_rvalid(s_axil_rvalid), .s_axil_rready(s_axil_rready),
        .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp),
        .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready), .s_axi_araddr(s_axi_araddr),
        .s_axi_arlen(s_axi_arlen), .s_axi_arsize(s_axi_arsize), .s_axi_arburst(s_axi_arburst),
        .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready), .s_axi_rdata(s_axi_rdata),
        .s_axi_rresp(s_axi_rresp), .s_axi_rlast(s_axi_rlast),
        .spi_cs_n(spi_cs_n), .spi_sclk(spi_sclk), .spi_io_o(io_o), .spi_io_oe(io_oe), .spi_io_i(io_i)
    );

    flash_pins #(.MEM_DEPTH(MEM_DEPTH), .DUMMY(DUMMY)) pins (
        .present(present), .absent_level(absent_level), .spi_cs_n(spi_cs_n), .spi_sclk(spi_sclk),
        .spi_io_o(io_o), .spi_io_oe(io_oe), .spi_io_i(io_i)
    );

endmodule
