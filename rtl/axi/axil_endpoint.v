// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite end point for a block of 64-bit registers.
//
// One write and one read at a time, each answered in the cycle after it was taken, so
// a register block only has to look at wr_en / rd_en. A write that is not a whole
// 64-bit store answers SLVERR and changes nothing: no register has a useful half.
// rd_data is combinational in rd_addr; rd_en marks reads with side effects.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axil_endpoint #(
    parameter ADDR_BITS = 12
) (
    input  wire                 clk,
    input  wire                 rst,

    input  wire                 s_axil_awvalid,
    output wire                 s_axil_awready,
    input  wire [ADDR_BITS-1:0] s_axil_awaddr,
    input  wire                 s_axil_wvalid,
    output wire                 s_axil_wready,
    input  wire [63:0]          s_axil_wdata,
    input  wire [7:0]           s_axil_wstrb,
    output reg                  s_axil_bvalid,
    input  wire                 s_axil_bready,
    output reg  [1:0]           s_axil_bresp,
    input  wire                 s_axil_arvalid,
    output wire                 s_axil_arready,
    input  wire [ADDR_BITS-1:0] s_axil_araddr,
    output reg                  s_axil_rvalid,
    input  wire                 s_axil_rready,
    output reg  [63:0]          s_axil_rdata,
    output wire [1:0]           s_axil_rresp,

    output wire                 wr_en,
    output wire [ADDR_BITS-1:0] wr_addr,
    output wire [63:0]          wr_data,
    output wire                 rd_en,
    output wire [ADDR_BITS-1:0] rd_addr,
    input  wire [63:0]          rd_data
);

    localparam [1:0] OKAY = 2'b00;
    localparam [1:0] SLVERR = 2'b10;

    wire wr_take = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid;

    assign s_axil_awready = wr_take;
    assign s_axil_wready = wr_take;
    assign wr_en = wr_take && (&s_axil_wstrb);
    assign wr_addr = s_axil_awaddr;
    assign wr_data = s_axil_wdata;

    assign s_axil_arready = !s_axil_rvalid;
    assign s_axil_rresp = OKAY;
    assign rd_en = s_axil_arvalid && s_axil_arready;
    assign rd_addr = s_axil_araddr;

    always @(posedge clk) begin
        if (s_axil_bready) s_axil_bvalid <= 1'b0;
        if (wr_take) begin
            s_axil_bvalid <= 1'b1;
            s_axil_bresp <= (&s_axil_wstrb) ? OKAY : SLVERR;
        end
        if (s_axil_rready) s_axil_rvalid <= 1'b0;
        if (rd_en) begin
            s_axil_rvalid <= 1'b1;
            s_axil_rdata <= rd_data;
        end
        if (rst) begin
            s_axil_bvalid <= 1'b0;
            s_axil_rvalid <= 1'b0;
        end
    end

endmodule

`resetall
