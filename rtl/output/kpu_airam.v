// SPDX-License-Identifier: Apache-2.0
// AI RAM: rows of 64 bytes behind one read and one write port of the core and an AXI4 slave.
//
// The bus has priority on both ports, because a bus that waits for the core could wait a
// whole layer: the core sees rd_ready go low, and writes no row in the cycle after wr_hold.
// A core read accepted in cycle t has its data in cycle t + 1, with rd_rvalid; a write in
// cycle t is seen by reads accepted in t + 1. Reading the row that is being written gives an
// undefined row. The core never sends a row outside the memory.
//
// The slave (airam_bus) moves one beat per cycle within a burst and answers SLVERR outside the memory.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_airam #(
    parameter ROWS = 32768,  // 64-byte rows, 2 to 32768
    parameter WR_BYTES = 64, // width of wr_data, a power of two up to 64
    parameter ID_W = 4
) (
    input  wire               clk,
    input  wire               rst,

    input  wire               rd_valid,
    output wire               rd_ready,
    input  wire [14:0]        rd_row,
    input  wire [2:0]         rd_lane,   // eight bytes of the row, for rd_piece
    input  wire               rd_stream, // a mark that comes back with the row
    output reg                rd_rvalid,
    output reg                rd_rstream,
    output wire [511:0]       rd_rdata,
    output wire [63:0]        rd_piece,

    input  wire               wr_valid,
    output wire               wr_hold,
    input  wire [14:0]        wr_row,
    input  wire [63:0]        wr_be,
    input  wire [WR_BYTES*8-1:0] wr_data,  // repeated over the row

    input  wire               s_axi_awvalid,
    output wire               s_axi_awready,
    input  wire [ID_W-1:0] s_axi_awid,
    input  wire [20:0]        s_axi_awaddr,
    input  wire [7:0]         s_axi_awlen,
    input  wire [2:0]         s_axi_awsize,
    input  wire [1:0]         s_axi_awburst,
    input  wire               s_axi_wvalid,
    output wire               s_axi_wready,
    input  wire [63:0]        s_axi_wdata,
    input  wire [7:0]         s_axi_wstrb,
    input  wire               s_axi_wlast,
    output wire               s_axi_bvalid,
    input  wire               s_axi_bready,
    output wire [ID_W-1:0] s_axi_bid,
    output wire [1:0]         s_axi_bresp,
    input  wire               s_axi_arvalid,
    output wire               s_axi_arready,
    input  wire [ID_W-1:0] s_axi_arid,
    input  wire [20:0]        s_axi_araddr,
    input  wire [7:0]         s_axi_arlen,
    input  wire [2:0]         s_axi_arsize,
    input  wire [1:0]         s_axi_arburst,
    output wire               s_axi_rvalid,
    input  wire               s_axi_rready,
    output wire [ID_W-1:0] s_axi_rid,
    output wire [63:0]        s_axi_rdata,
    output wire [1:0]         s_axi_rresp,
    output wire               s_axi_rlast
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (ROWS < 2 || ROWS > 32768) begin : rule0
            kpu_airam_ROWS_must_be_2_to_32768 refused ();
        end
        if (WR_BYTES < 1 || WR_BYTES > 64 || (WR_BYTES & (WR_BYTES - 1)) != 0) begin : rule1
            kpu_airam_WR_BYTES_must_be_a_power_of_two_up_to_64 refused ();
        end
        if (ID_W < 1) begin : rule2
            kpu_airam_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    localparam ROW_BITS = $clog2(ROWS);

    wire        bus_write;
    wire [20:3] bus_waddr;
    wire [63:0] bus_data;
    wire [7:0]  bus_strb;
    wire        bus_read;
    wire [20:3] bus_raddr;
    reg         bus_there;
    reg [2:0]   lane;

    airam_bus #(.ROWS(ROWS), .ID_W(ID_W)) bus (
        .clk(clk), .rst(rst),
        .w_want(bus_write), .w_done(!wr_valid), .w_addr(bus_waddr), .w_data(bus_data), .w_strb(bus_strb),
        .r_want(bus_read), .r_take(1'b1), .r_addr(bus_raddr), .r_there(bus_there), .r_data(rd_piece),
        .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready), .s_axi_awid(s_axi_awid),
        .s_axi_awaddr(s_axi_awaddr), .s_axi_awlen(s_axi_awlen), .s_axi_awsize(s_axi_awsize),
        .s_axi_awburst(s_axi_awburst), .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready),
        .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb), .s_axi_wlast(s_axi_wlast),
        .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready), .s_axi_bid(s_axi_bid), .s_axi_bresp(s_axi_bresp),
        .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready), .s_axi_arid(s_axi_arid),
        .s_axi_araddr(s_axi_araddr), .s_axi_arlen(s_axi_arlen), .s_axi_arsize(s_axi_arsize),
        .s_axi_arburst(s_axi_arburst), .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready),
        .s_axi_rid(s_axi_rid), .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rlast(s_axi_rlast)
    );

    wire [ROW_BITS-1:0] waddr = wr_valid ? wr_row[ROW_BITS-1:0] : bus_waddr[6+:ROW_BITS];
    wire [ROW_BITS-1:0] raddr = bus_read ? bus_raddr[6+:ROW_BITS] : rd_row[ROW_BITS-1:0];
    wire [63:0]         bus_be = {56'd0, bus_strb} << {bus_waddr[5:3], 3'b000};

    assign rd_ready = !bus_read;
    assign wr_hold = bus_write;
    assign rd_piece = rd_rdata[64*lane+:64];

    kpu_ram #(.WIDTH(512), .DEPTH(ROWS), .BYTE_ENABLES(1)) ram (
        .clk(clk),
        .we(wr_valid ? wr_be : bus_write ? bus_be : 64'd0),
        .waddr(waddr),
        .wdata(wr_valid ? {64 / WR_BYTES{wr_data}} : {8{bus_data}}),
        .re(rd_valid || bus_read),
        .raddr(raddr),
        .rdata(rd_rdata)
    );

    always @(posedge clk) begin
        lane <= bus_read ? bus_raddr[5:3] : rd_lane;
        bus_there <= bus_read;
        rd_rvalid <= rd_valid && rd_ready;
        rd_rstream <= rd_stream;
        if (rst) begin
            bus_there <= 1'b0;
            rd_rvalid <= 1'b0;
        end
    end

    wire _unused = &{1'b0, wr_row, rd_row, bus_waddr, bus_raddr};

endmodule

`resetall
