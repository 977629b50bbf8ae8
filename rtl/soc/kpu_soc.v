// SPDX-License-Identifier: Apache-2.0
// The system on a chip around the KPU: core, flash, DMA, SRAM and interconnect at the chip's addresses.
//
// Masters of the interconnect: the host port (on a board a UART bridge or a CPU), the
// KPU's parameter port, and each DMA channel by itself. Slaves: SRAM at 0x4000_0000,
// AI RAM at 0x4060_0000, the register blocks (KPU 0x4080_0000, flash 0x4090_0000, DMA
// 0x40A0_0000) and the flash window at 0x5400_0000. The KPU's output stream is wired to
// the DMA engine; without a DMA chain that takes it, fifo_data_out can be read instead.
// Latency from a read to its first word in SRAM: five cycles, for the KPU seven. A write
// to a full layer FIFO stalls the register blocks' write port until a layer ends, so the
// DMA that drains the output has to be started first. One clock; SPI divides it.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_soc #(
    parameter SEGS = 8,               // of kpu_core, as are the next five
    parameter SEGLEN = 8,
    parameter LPS = 8,
    parameter DEPTH = 128,
    parameter AIRAM_ROWS = 32768,
    parameter WEIGHT_ENTRIES = 8192,
    parameter SRAM_BYTES = 6291456,   // a multiple of 4096, 65536 to 6 MiB
    parameter DMA_CHANNELS = 3,       // 1 to 8
    parameter ID_W = 4
) (
    input  wire               clk,
    input  wire               rst,
    output wire [2:0]         irq,    // level: 0 KPU, 1 DMA, 2 flash

    input  wire               s_axi_awvalid,
    output wire               s_axi_awready,
    input  wire [ID_W-1:0] s_axi_awid,
    input  wire [31:0]        s_axi_awaddr,
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
    input  wire [31:0]        s_axi_araddr,
    input  wire [7:0]         s_axi_arlen,
    input  wire [2:0]         s_axi_arsize,
    input  wire [1:0]         s_axi_arburst,
    output wire               s_axi_rvalid,
    input  wire               s_axi_rready,
    output wire [ID_W-1:0] s_axi_rid,
    output wire [63:0]        s_axi_rdata,
    output wire [1:0]         s_axi_rresp,
    output wire               s_axi_rlast,

    output wire               spi_cs_n,
    output wire               spi_sclk,
    output wire [3:0]         spi_io_o,
    output wire [3:0]         spi_io_oe,
    input  wire [3:0]         spi_io_i
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_soc_SEGS_must_be_2_4_or_8 refused ();
        end
        if (SEGLEN < 2 || SEGLEN > 8 || (SEGLEN & (SEGLEN - 1)) != 0) begin : rule1
            kpu_soc_SEGLEN_must_be_2_4_or_8 refused ();
        end
        if (LPS < 1 || LPS > SEGLEN || (LPS & (LPS - 1)) != 0) begin : rule2
            kpu_soc_LPS_must_be_a_power_of_two_up_to_SEGLEN refused ();
        end
        if (DEPTH < 64 || DEPTH > 512 || (DEPTH & (DEPTH - 1)) != 0) begin : rule3
            kpu_soc_DEPTH_must_be_a_power_of_two_from_64_to_512 refused ();
        end
        if (AIRAM_ROWS < 2 || AIRAM_ROWS > 32768) begin : rule4
            kpu_soc_AIRAM_ROWS_must_be_2_to_32768 refused ();
        end
        if (WEIGHT_ENTRIES < 256 || WEIGHT_ENTRIES > 8192 || (WEIGHT_ENTRIES & (WEIGHT_ENTRIES - 1)) != 0) begin : rule5
            kpu_soc_WEIGHT_ENTRIES_must_be_a_power_of_two_from_256_to_8192 refused ();
        end
        if (SRAM_BYTES < 65536 || SRAM_BYTES > 6291456 || SRAM_BYTES % 4096 != 0) begin : rule6
            kpu_soc_SRAM_BYTES_must_be_a_multiple_of_4096_from_65536_to_6_MiB refused ();
        end
        if (DMA_CHANNELS < 1 || DMA_CHANNELS > 8) begin : rule7
            kpu_soc_DMA_CHANNELS_must_be_1_to_8 refused ();
        end
        if (ID_W < 1) begin : rule8
            kpu_soc_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    `include "kpu_fields.vh"

    localparam MASTERS = 2 + DMA_CHANNELS;
    localparam SLAVES = 4;
    localparam SRAM_ADDR_BITS = $clog2(SRAM_BYTES);

    // Slaves, last to first: flash window, register blocks, AI RAM, SRAM.
    localparam [31:0] REGS_SIZE = 32'h00C0_0000;
    localparam [31:0] AIRAM_SIZE = AIRAM_ROWS * 64;
    localparam [31:0] SRAM_SIZE = SRAM_BYTES;
    localparam [31:0] WINDOW_SIZE = 32'h0100_0000;
    localparam [SLAVES*32-1:0] BASES = {KPU_FLASH_WINDOW_BASE, KPU_REGS_BASE, KPU_AIRAM_BASE, KPU_SRAM_BASE};
    localparam [SLAVES*32-1:0] SIZES = {WINDOW_SIZE, REGS_SIZE, AIRAM_SIZE, SRAM_SIZE};

    wire kpu_arvalid;
    wire kpu_arready;
    wire [31:0] kpu_araddr;
    wire [7:0] kpu_arlen;
    wire [2:0] kpu_arsize;
    wire [1:0] kpu_arburst;
    wire kpu_rvalid;
    wire kpu_rready;
    wire [ID_W-1:0] kpu_rid;
    wire [63:0] kpu_rdata;
    wire [1:0] kpu_rresp;
    wire kpu_rlast;

    wire [DMA_CHANNELS-1:0] dma_arvalid;
    wire [DMA_CHANNELS-1:0] dma_arready;
    wire [DMA_CHANNELS*32-1:0] dma_araddr;
    wire [DMA_CHANNELS*8-1:0] dma_arlen;
    wire [DMA_CHANNELS*3-1:0] dma_arsize;
    wire [DMA_CHANNELS*2-1:0] dma_arburst;
    wire [DMA_CHANNELS-1:0] dma_rvalid;
    wire [DMA_CHANNELS-1:0] dma_rready;
    wire [DMA_CHANNELS*64-1:0] dma_rdata;
    wire [DMA_CHANNELS*2-1:0] dma_rresp;
    wire [DMA_CHANNELS-1:0] dma_rlast;
    wire [DMA_CHANNELS-1:0] dma_awvalid;
    wire [DMA_CHANNELS-1:0] dma_awready;
    wire [DMA_CHANNELS*32-1:0] dma_awaddr;
    wire [DMA_CHANNELS*8-1:0] dma_awlen;
    wire [DMA_CHANNELS*3-1:0] dma_awsize;
    wire [DMA_CHANNELS*2-1:0] dma_awburst;
    wire [DMA_CHANNELS-1:0] dma_wvalid;
    wire [DMA_CHANNELS-1:0] dma_wready;
    wire [DMA_CHANNELS*64-1:0] dma_wdata;
    wire [DMA_CHANNELS*8-1:0] dma_wstrb;
    wire [DMA_CHANNELS-1:0] dma_wlast;
    wire [DMA_CHANNELS-1:0] dma_bvalid;
    wire [DMA_CHANNELS-1:0] dma_bready;
    wire [DMA_CHANNELS*2-1:0] dma_bresp;

    wire [SLAVES-1:0] slave_arvalid;
    wire [SLAVES-1:0] slave_arready;
    wire [SLAVES*32-1:0] slave_araddr;
    wire [SLAVES*8-1:0] slave_arlen;
    wire [SLAVES*3-1:0] slave_arsize;
    wire [SLAVES*2-1:0] slave_arburst;
    wire [SLAVES-1:0] slave_rvalid;
    wire [SLAVES-1:0] slave_rready;
    wire [SLAVES*64-1:0] slave_rdata;
    wire [SLAVES*2-1:0] slave_rresp;
    wire [SLAVES-1:0] slave_rlast;
    wire [SLAVES-1:0] slave_awvalid;
    wire [SLAVES-1:0] slave_awready;
    wire [SLAVES*32-1:0] slave_awaddr;
    wire [SLAVES*8-1:0] slave_awlen;
    wire [SLAVES*3-1:0] slave_awsize;
    wire [SLAVES*2-1:0] slave_awburst;
    wire [SLAVES-1:0] slave_wvalid;
    wire [SLAVES-1:0] slave_wready;
    wire [SLAVES*64-1:0] slave_wdata;
    wire [SLAVES*8-1:0] slave_wstrb;
    wire [SLAVES-1:0] slave_wlast;
    wire [SLAVES-1:0] slave_bvalid;
    wire [SLAVES-1:0] slave_bready;
    wire [SLAVES*2-1:0] slave_bresp;

    // Answers to ports that the master behind does not have.
    wire                            kpu_awready;
    wire                            kpu_wready;
    wire                            kpu_bvalid;
    wire [ID_W-1:0]              kpu_bid;
    wire [1:0]                      kpu_bresp;
    wire [DMA_CHANNELS*ID_W-1:0] dma_rid;
    wire [DMA_CHANNELS*ID_W-1:0] dma_bid;
    wire [DMA_CHANNELS*ID_W-1:0] dma_id = {DMA_CHANNELS*ID_W{1'b0}};

    axi_interconnect #(
        .MASTERS(MASTERS),
        .SLAVES(SLAVES),
        .ID_W(ID_W),
        .BASES(BASES),
        .SIZES(SIZES),
        .WRITABLE(4'b0111)
    ) bus (
        .clk(clk),
        .rst(rst),
        .s_axi_arvalid({dma_arvalid, kpu_arvalid, s_axi_arvalid}),
        .s_axi_arready({dma_arready, kpu_arready, s_axi_arready}),
        .s_axi_arid({dma_id, {ID_W{1'b0}}, s_axi_arid}),
        .s_axi_araddr({dma_araddr, kpu_araddr, s_axi_araddr}),
        .s_axi_arlen({dma_arlen, kpu_arlen, s_axi_arlen}),
        .s_axi_arsize({dma_arsize, kpu_arsize, s_axi_arsize}),
        .s_axi_arburst({dma_arburst, kpu_arburst, s_axi_arburst}),
        .s_axi_rvalid({dma_rvalid, kpu_rvalid, s_axi_rvalid}),
        .s_axi_rready({dma_rready, kpu_rready, s_axi_rready}),
        .s_axi_rid({dma_rid, kpu_rid, s_axi_rid}),
        .s_axi_rdata({dma_rdata, kpu_rdata, s_axi_rdata}),
        .s_axi_rresp({dma_rresp, kpu_rresp, s_axi_rresp}),
        .s_axi_rlast({dma_rlast, kpu_rlast, s_axi_rlast}),
        .s_axi_awvalid({dma_awvalid, 1'b0, s_axi_awvalid}),
        .s_axi_awready({dma_awready, kpu_awready, s_axi_awready}),
        .s_axi_awid({dma_id, {ID_W{1'b0}}, s_axi_awid}),
        .s_axi_awaddr({dma_awaddr, 32'd0, s_axi_awaddr}),
        .s_axi_awlen({dma_awlen, 8'd0, s_axi_awlen}),
        .s_axi_awsize({dma_awsize, 3'd0, s_axi_awsize}),
        .s_axi_awburst({dma_awburst, 2'd0, s_axi_awburst}),
        .s_axi_wvalid({dma_wvalid, 1'b0, s_axi_wvalid}),
        .s_axi_wready({dma_wready, kpu_wready, s_axi_wready}),
        .s_axi_wdata({dma_wdata, 64'd0, s_axi_wdata}),
        .s_axi_wstrb({dma_wstrb, 8'd0, s_axi_wstrb}),
        .s_axi_wlast({dma_wlast, 1'b0, s_axi_wlast}),
        .s_axi_bvalid({dma_bvalid, kpu_bvalid, s_axi_bvalid}),
        .s_axi_bready({dma_bready, 1'b0, s_axi_bready}),
        .s_axi_bid({dma_bid, kpu_bid, s_axi_bid}),
        .s_axi_bresp({dma_bresp, kpu_bresp, s_axi_bresp}),
        .m_axi_arvalid(slave_arvalid),
        .m_axi_arready(slave_arready),
        .m_axi_araddr(slave_araddr),
        .m_axi_arlen(slave_arlen),
        .m_axi_arsize(slave_arsize),
        .m_axi_arburst(slave_arburst),
        .m_axi_rvalid(slave_rvalid),
        .m_axi_rready(slave_rready),
        .m_axi_rdata(slave_rdata),
        .m_axi_rresp(slave_rresp),
        .m_axi_rlast(slave_rlast),
        .m_axi_awvalid(slave_awvalid),
        .m_axi_awready(slave_awready),
        .m_axi_awaddr(slave_awaddr),
        .m_axi_awlen(slave_awlen),
        .m_axi_awsize(slave_awsize),
        .m_axi_awburst(slave_awburst),
        .m_axi_wvalid(slave_wvalid),
        .m_axi_wready(slave_wready),
        .m_axi_wdata(slave_wdata),
        .m_axi_wstrb(slave_wstrb),
        .m_axi_wlast(slave_wlast),
        .m_axi_bvalid(slave_bvalid),
        .m_axi_bready(slave_bready),
        .m_axi_bresp(slave_bresp)
    );

    axi_sram #(.BYTES(SRAM_BYTES)) sram (
        .clk(clk),
        .rst(rst),
        .s_axi_arvalid(slave_arvalid[0]),
        .s_axi_arready(slave_arready[0]),
        .s_axi_araddr(slave_araddr[0+:SRAM_ADDR_BITS]),
        .s_axi_arlen(slave_arlen[7:0]),
        .s_axi_arsize(slave_arsize[2:0]),
        .s_axi_arburst(slave_arburst[1:0]),
        .s_axi_rvalid(slave_rvalid[0]),
        .s_axi_rready(slave_rready[0]),
        .s_axi_rdata(slave_rdata[63:0]),
        .s_axi_rresp(slave_rresp[1:0]),
        .s_axi_rlast(slave_rlast[0]),
        .s_axi_awvalid(slave_awvalid[0]),
        .s_axi_awready(slave_awready[0]),
        .s_axi_awaddr(slave_awaddr[0+:SRAM_ADDR_BITS]),
        .s_axi_awlen(slave_awlen[7:0]),
        .s_axi_awsize(slave_awsize[2:0]),
        .s_axi_awburst(slave_awburst[1:0]),
        .s_axi_wvalid(slave_wvalid[0]),
        .s_axi_wready(slave_wready[0]),
        .s_axi_wdata(slave_wdata[63:0]),
        .s_axi_wstrb(slave_wstrb[7:0]),
        .s_axi_wlast(slave_wlast[0]),
        .s_axi_bvalid(slave_bvalid[0]),
        .s_axi_bready(slave_bready[0]),
        .s_axi_bresp(slave_bresp[1:0])
    );

    // ---- registers: block 0 KPU, 1 flash, 2 DMA
    wire [15:0]  reg_awaddr;
    wire [2:0]   reg_awvalid;
    wire [2:0]   reg_awready;
    wire [63:0]  reg_wdata;
    wire [7:0]   reg_wstrb;
    wire [2:0]   reg_wvalid;
    wire [2:0]   reg_wready;
    wire [2:0]   reg_bvalid;
    wire [2:0]   reg_bready;
    wire [5:0]   reg_bresp;
    wire [15:0]  reg_araddr;
    wire [2:0]   reg_arvalid;
    wire [2:0]   reg_arready;
    wire [2:0]   reg_rvalid;
    wire [2:0]   reg_rready;
    wire [191:0] reg_rdata;
    wire [5:0]   reg_rresp;

    axi_to_axil #(.BLOCKS(3), .FIRST_BLOCK(KPU_REGS_BASE[23:20])) registers (
        .clk(clk),
        .rst(rst),
        .s_axi_arvalid(slave_arvalid[2]),
        .s_axi_arready(slave_arready[2]),
        .s_axi_araddr(slave_araddr[87:64]),
        .s_axi_arlen(slave_arlen[23:16]),
        .s_axi_arsize(slave_arsize[8:6]),
        .s_axi_arburst(slave_arburst[5:4]),
        .s_axi_rvalid(slave_rvalid[2]),
        .s_axi_rready(slave_rready[2]),
        .s_axi_rdata(slave_rdata[191:128]),
        .s_axi_rresp(slave_rresp[5:4]),
        .s_axi_rlast(slave_rlast[2]),
        .s_axi_awvalid(slave_awvalid[2]),
        .s_axi_awready(slave_awready[2]),
        .s_axi_awaddr(slave_awaddr[87:64]),
        .s_axi_awlen(slave_awlen[23:16]),
        .s_axi_awsize(slave_awsize[8:6]),
        .s_axi_awburst(slave_awburst[5:4]),
        .s_axi_wvalid(slave_wvalid[2]),
        .s_axi_wready(slave_wready[2]),
        .s_axi_wdata(slave_wdata[191:128]),
        .s_axi_wstrb(slave_wstrb[23:16]),
        .s_axi_wlast(slave_wlast[2]),
        .s_axi_bvalid(slave_bvalid[2]),
        .s_axi_bready(slave_bready[2]),
        .s_axi_bresp(slave_bresp[5:4]),
        .m_axil_awaddr(reg_awaddr),
        .m_axil_awvalid(reg_awvalid),
        .m_axil_awready(reg_awready),
        .m_axil_wdata(reg_wdata),
        .m_axil_wstrb(reg_wstrb),
        .m_axil_wvalid(reg_wvalid),
        .m_axil_wready(reg_wready),
        .m_axil_bvalid(reg_bvalid),
        .m_axil_bready(reg_bready),
        .m_axil_bresp(reg_bresp),
        .m_axil_araddr(reg_araddr),
        .m_axil_arvalid(reg_arvalid),
        .m_axil_arready(reg_arready),
        .m_axil_rvalid(reg_rvalid),
        .m_axil_rready(reg_rready),
        .m_axil_rdata(reg_rdata),
        .m_axil_rresp(reg_rresp)
    );

    // ---- KPU core
    wire        axis_tvalid;
    wire        axis_tready;
    wire [63:0] axis_tdata;
    wire [7:0]  axis_tkeep;
    wire        axis_tlast;
    wire [ID_W-1:0] airam_rid;
    wire [ID_W-1:0] airam_bid;
    wire [ID_W-1:0] core_arid;
    wire               core_arvalid;
    wire               core_arready;
    wire               core_rvalid;
    wire               core_rready;
    wire [ID_W-1:0] core_rid;
    wire [63:0]        core_rdata;
    wire [1:0]         core_rresp;
    wire               core_rlast;

    axi_read_buffer #(.WORDS(512), .ID_W(ID_W)) parameters (
        .clk(clk),
        .rst(rst),
        .s_axi_arvalid(core_arvalid),
        .s_axi_arready(core_arready),
        .s_axi_arlen(kpu_arlen),
        .s_axi_rvalid(core_rvalid),
        .s_axi_rready(core_rready),
        .s_axi_rid(core_rid),
        .s_axi_rdata(core_rdata),
        .s_axi_rresp(core_rresp),
        .s_axi_rlast(core_rlast),
        .m_axi_arvalid(kpu_arvalid),
        .m_axi_arready(kpu_arready),
        .m_axi_rvalid(kpu_rvalid),
        .m_axi_rready(kpu_rready),
        .m_axi_rid(kpu_rid),
        .m_axi_rdata(kpu_rdata),
        .m_axi_rresp(kpu_rresp),
        .m_axi_rlast(kpu_rlast)
    );

    wire [205:0] mem_unused;
    kpu_core #(
        .SEGS(SEGS),
        .SEGLEN(SEGLEN),
        .LPS(LPS),
        .DEPTH(DEPTH),
        .AIRAM_ROWS(AIRAM_ROWS),
        .WEIGHT_ENTRIES(WEIGHT_ENTRIES),
        .ID_W(ID_W)
    ) core (
        .clk(clk),
        .rst(rst),
        .irq(irq[0]),
        .s_axil_awvalid(reg_awvalid[0]),
        .s_axil_awready(reg_awready[0]),
        .s_axil_awaddr(reg_awaddr),
        .s_axil_wvalid(reg_wvalid[0]),
        .s_axil_wready(reg_wready[0]),
        .s_axil_wdata(reg_wdata),
        .s_axil_wstrb(reg_wstrb),
        .s_axil_bvalid(reg_bvalid[0]),
        .s_axil_bready(reg_bready[0]),
        .s_axil_bresp(reg_bresp[1:0]),
        .s_axil_arvalid(reg_arvalid[0]),
        .s_axil_arready(reg_arready[0]),
        .s_axil_araddr(reg_araddr),
        .s_axil_rvalid(reg_rvalid[0]),
        .s_axil_rready(reg_rready[0]),
        .s_axil_rdata(reg_rdata[63:0]),
        .s_axil_rresp(reg_rresp[1:0]),
        .s_axi_arvalid(slave_arvalid[1]),
        .s_axi_arready(slave_arready[1]),
        .s_axi_arid({ID_W{1'b0}}),
        .s_axi_araddr(slave_araddr[52:32]),
        .s_axi_arlen(slave_arlen[15:8]),
        .s_axi_arsize(slave_arsize[5:3]),
        .s_axi_arburst(slave_arburst[3:2]),
        .s_axi_rvalid(slave_rvalid[1]),
        .s_axi_rready(slave_rready[1]),
        .s_axi_rid(airam_rid),
        .s_axi_rdata(slave_rdata[127:64]),
        .s_axi_rresp(slave_rresp[3:2]),
        .s_axi_rlast(slave_rlast[1]),
        .s_axi_awvalid(slave_awvalid[1]),
        .s_axi_awready(slave_awready[1]),
        .s_axi_awid({ID_W{1'b0}}),
        .s_axi_awaddr(slave_awaddr[52:32]),
        .s_axi_awlen(slave_awlen[15:8]),
        .s_axi_awsize(slave_awsize[5:3]),
        .s_axi_awburst(slave_awburst[3:2]),
        .s_axi_wvalid(slave_wvalid[1]),
        .s_axi_wready(slave_wready[1]),
        .s_axi_wdata(slave_wdata[127:64]),
        .s_axi_wstrb(slave_wstrb[15:8]),
        .s_axi_wlast(slave_wlast[1]),
        .s_axi_bvalid(slave_bvalid[1]),
        .s_axi_bready(slave_bready[1]),
        .s_axi_bid(airam_bid),
        .s_axi_bresp(slave_bresp[3:2]),
        .m_axi_arvalid(core_arvalid),
        .m_axi_arready(core_arready),
        .m_axi_arid(core_arid),
        .m_axi_araddr(kpu_araddr),
        .m_axi_arlen(kpu_arlen),
        .m_axi_arsize(kpu_arsize),
        .m_axi_arburst(kpu_arburst),
        .m_axi_rvalid(core_rvalid),
        .m_axi_rready(core_rready),
        .m_axi_rid(core_rid),
        .m_axi_rdata(core_rdata),
        .m_axi_rresp(core_rresp),
        .m_axi_rlast(core_rlast),
        .m_axis_tvalid(axis_tvalid),
        .m_axis_tready(axis_tready),
        .m_axis_tdata(axis_tdata),
        .m_axis_tkeep(axis_tkeep),
        .m_axis_tlast(axis_tlast),
        // The AI RAM is on the chip: nothing is behind its memory port.
        .m_mem_awready(1'b0), .m_mem_wready(1'b0), .m_mem_bvalid(1'b0), .m_mem_bid({ID_W{1'b0}}), .m_mem_bresp(2'd0),
        .m_mem_arready(1'b0), .m_mem_rvalid(1'b0), .m_mem_rid({ID_W{1'b0}}), .m_mem_rdata(64'd0), .m_mem_rresp(2'd0),
        .m_mem_rlast(1'b0), .m_mem_awvalid(mem_unused[0]), .m_mem_awid(mem_unused[1+:ID_W]),
        .m_mem_awaddr(mem_unused[20+:32]), .m_mem_awlen(mem_unused[52+:8]), .m_mem_awsize(mem_unused[60+:3]),
        .m_mem_awburst(mem_unused[63+:2]), .m_mem_wvalid(mem_unused[65]), .m_mem_wdata(mem_unused[66+:64]),
        .m_mem_wstrb(mem_unused[130+:8]), .m_mem_wlast(mem_unused[138]), .m_mem_bready(mem_unused[139]),
        .m_mem_arvalid(mem_unused[140]), .m_mem_arid(mem_unused[141+:ID_W]), .m_mem_araddr(mem_unused[160+:32]),
        .m_mem_arlen(mem_unused[192+:8]), .m_mem_arsize(mem_unused[200+:3]), .m_mem_arburst(mem_unused[203+:2]),
        .m_mem_rready(mem_unused[205])
    );

    // ---- DMA
    dma_engine #(.CHANNELS(DMA_CHANNELS)) dma (
        .clk(clk),
        .rst(rst),
        .irq(irq[1]),
        .s_axil_awvalid(reg_awvalid[2]),
        .s_axil_awready(reg_awready[2]),
        .s_axil_awaddr(reg_awaddr),
        .s_axil_wvalid(reg_wvalid[2]),
        .s_axil_wready(reg_wready[2]),
        .s_axil_wdata(reg_wdata),
        .s_axil_wstrb(reg_wstrb),
        .s_axil_bvalid(reg_bvalid[2]),
        .s_axil_bready(reg_bready[2]),
        .s_axil_bresp(reg_bresp[5:4]),
        .s_axil_arvalid(reg_arvalid[2]),
        .s_axil_arready(reg_arready[2]),
        .s_axil_araddr(reg_araddr),
        .s_axil_rvalid(reg_rvalid[2]),
        .s_axil_rready(reg_rready[2]),
        .s_axil_rdata(reg_rdata[191:128]),
        .s_axil_rresp(reg_rresp[5:4]),
        .s_axis_tvalid(axis_tvalid),
        .s_axis_tready(axis_tready),
        .s_axis_tdata(axis_tdata),
        .m_axi_arvalid(dma_arvalid),
        .m_axi_arready(dma_arready),
        .m_axi_araddr(dma_araddr),
        .m_axi_arlen(dma_arlen),
        .m_axi_arsize(dma_arsize),
        .m_axi_arburst(dma_arburst),
        .m_axi_rvalid(dma_rvalid),
        .m_axi_rready(dma_rready),
        .m_axi_rdata(dma_rdata),
        .m_axi_rresp(dma_rresp),
        .m_axi_rlast(dma_rlast),
        .m_axi_awvalid(dma_awvalid),
        .m_axi_awready(dma_awready),
        .m_axi_awaddr(dma_awaddr),
        .m_axi_awlen(dma_awlen),
        .m_axi_awsize(dma_awsize),
        .m_axi_awburst(dma_awburst),
        .m_axi_wvalid(dma_wvalid),
        .m_axi_wready(dma_wready),
        .m_axi_wdata(dma_wdata),
        .m_axi_wstrb(dma_wstrb),
        .m_axi_wlast(dma_wlast),
        .m_axi_bvalid(dma_bvalid),
        .m_axi_bready(dma_bready),
        .m_axi_bresp(dma_bresp)
    );

    // ---- flash
    spi_flash flash (
        .clk(clk),
        .rst(rst),
        .irq(irq[2]),
        .s_axil_awvalid(reg_awvalid[1]),
        .s_axil_awready(reg_awready[1]),
        .s_axil_awaddr(reg_awaddr),
        .s_axil_wvalid(reg_wvalid[1]),
        .s_axil_wready(reg_wready[1]),
        .s_axil_wdata(reg_wdata),
        .s_axil_wstrb(reg_wstrb),
        .s_axil_bvalid(reg_bvalid[1]),
        .s_axil_bready(reg_bready[1]),
        .s_axil_bresp(reg_bresp[3:2]),
        .s_axil_arvalid(reg_arvalid[1]),
        .s_axil_arready(reg_arready[1]),
        .s_axil_araddr(reg_araddr),
        .s_axil_rvalid(reg_rvalid[1]),
        .s_axil_rready(reg_rready[1]),
        .s_axil_rdata(reg_rdata[127:64]),
        .s_axil_rresp(reg_rresp[3:2]),
        .s_axi_arvalid(slave_arvalid[3]),
        .s_axi_arready(slave_arready[3]),
        .s_axi_araddr(slave_araddr[119:96]),
        .s_axi_arlen(slave_arlen[31:24]),
        .s_axi_arsize(slave_arsize[11:9]),
        .s_axi_arburst(slave_arburst[7:6]),
        .s_axi_rvalid(slave_rvalid[3]),
        .s_axi_rready(slave_rready[3]),
        .s_axi_rdata(slave_rdata[255:192]),
        .s_axi_rresp(slave_rresp[7:6]),
        .s_axi_rlast(slave_rlast[3]),
        .spi_cs_n(spi_cs_n),
        .spi_sclk(spi_sclk),
        .spi_io_o(spi_io_o),
        .spi_io_oe(spi_io_oe),
        .spi_io_i(spi_io_i)
    );

    // The flash window cannot be written; the interconnect sends no write there.
    assign slave_awready[3] = 1'b0;
    assign slave_wready[3] = 1'b0;
    assign slave_bvalid[3] = 1'b0;
    assign slave_bresp[7:6] = 2'b00;

    wire _unused = &{1'b0, slave_araddr, slave_awaddr, slave_awlen, slave_awsize, slave_awburst, slave_awvalid,
                    slave_wvalid, slave_wdata, slave_wstrb, slave_wlast, slave_bready, kpu_awready, kpu_wready,
                    kpu_bvalid, kpu_bid, kpu_bresp, dma_rid, dma_bid, airam_rid, airam_bid, core_arid, axis_tkeep,
                    axis_tlast};

endmodule

`resetall
