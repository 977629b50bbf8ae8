// SPDX-License-Identifier: Apache-2.0
// DMA engine: registers and CHANNELS independent channels.
//
// Every channel is an AXI4 master of its own (packed vectors, channel 0 in the low
// bits); the interconnect arbitrates between them burst by burst. The KPU's output
// stream goes to the lowest channel that runs a descriptor with src_stream; without
// one it is stalled, never dropped. Register map: openkpu/hw/fields.py DMA_REGISTERS.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module dma_engine #(
    parameter CHANNELS = 3,    // 1 to 8
    parameter BURST = 16,      // beats of a burst, a power of two, 2 to 32
    parameter FIFO_WORDS = 64  // per channel, a power of two, at least 2 * BURST + 4
) (
    input  wire                   clk,
    input  wire                   rst,
    output wire                   irq,

    input  wire                   s_axil_awvalid,
    output wire                   s_axil_awready,
    input  wire [15:0]            s_axil_awaddr,
    input  wire                   s_axil_wvalid,
    output wire                   s_axil_wready,
    input  wire [63:0]            s_axil_wdata,
    input  wire [7:0]             s_axil_wstrb,
    output wire                   s_axil_bvalid,
    input  wire                   s_axil_bready,
    output wire [1:0]             s_axil_bresp,
    input  wire                   s_axil_arvalid,
    output wire                   s_axil_arready,
    input  wire [15:0]            s_axil_araddr,
    output wire                   s_axil_rvalid,
    input  wire                   s_axil_rready,
    output wire [63:0]            s_axil_rdata,
    output wire [1:0]             s_axil_rresp,

    input  wire                   s_axis_tvalid,
    output wire                   s_axis_tready,
    input  wire [63:0]            s_axis_tdata,

    output wire [CHANNELS-1:0]    m_axi_arvalid,
    input  wire [CHANNELS-1:0]    m_axi_arready,
    output wire [CHANNELS*32-1:0] m_axi_araddr,
    output wire [CHANNELS*8-1:0]  m_axi_arlen,
    output wire [CHANNELS*3-1:0]  m_axi_arsize,
    output wire [CHANNELS*2-1:0]  m_axi_arburst,
    input  wire [CHANNELS-1:0]    m_axi_rvalid,
    output wire [CHANNELS-1:0]    m_axi_rready,
    input  wire [CHANNELS*64-1:0] m_axi_rdata,
    input  wire [CHANNELS*2-1:0]  m_axi_rresp,
    input  wire [CHANNELS-1:0]    m_axi_rlast,
    output wire [CHANNELS-1:0]    m_axi_awvalid,
    input  wire [CHANNELS-1:0]    m_axi_awready,
    output wire [CHANNELS*32-1:0] m_axi_awaddr,
    output wire [CHANNELS*8-1:0]  m_axi_awlen,
    output wire [CHANNELS*3-1:0]  m_axi_awsize,
    output wire [CHANNELS*2-1:0]  m_axi_awburst,
    output wire [CHANNELS-1:0]    m_axi_wvalid,
    input  wire [CHANNELS-1:0]    m_axi_wready,
    output wire [CHANNELS*64-1:0] m_axi_wdata,
    output wire [CHANNELS*8-1:0]  m_axi_wstrb,
    output wire [CHANNELS-1:0]    m_axi_wlast,
    input  wire [CHANNELS-1:0]    m_axi_bvalid,
    output wire [CHANNELS-1:0]    m_axi_bready,
    input  wire [CHANNELS*2-1:0]  m_axi_bresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (CHANNELS < 1 || CHANNELS > 8) begin : rule0
            dma_engine_CHANNELS_must_be_1_to_8 refused ();
        end
        if (BURST < 2 || BURST > 32 || (BURST & (BURST - 1)) != 0) begin : rule1
            dma_engine_BURST_must_be_a_power_of_two_from_2_to_32 refused ();
        end
        if (FIFO_WORDS < 2 * BURST + 4 || (FIFO_WORDS & (FIFO_WORDS - 1)) != 0) begin : rule2
            dma_engine_FIFO_WORDS_must_be_a_power_of_two_and_hold_two_bursts_and_4 refused ();
        end
    endgenerate

    `include "kpu_fields.vh"

    wire        wr_en;
    wire [15:0] wr_addr;
    wire [63:0] wr_data;
    wire        rd_en;
    wire [15:0] rd_addr;
    reg  [63:0] rd_data;

    reg  [CHANNELS-1:0] irq_enable;
    wire [CHANNELS-1:0] has_event;
    wire [CHANNELS-1:0] stream_claim;
    wire [CHANNELS-1:0] stream_ready;
    wire [CHANNELS-1:0] stream_owner = stream_claim & (~stream_claim + {{CHANNELS-1{1'b0}}, 1'b1});
    wire [CHANNELS*64-1:0] channel_rd_data;

    assign irq = |(has_event & irq_enable);
    assign s_axis_tready = |(stream_owner & stream_ready);

    axil_endpoint #(.ADDR_BITS(16)) endpoint (
        .clk(clk),
        .rst(rst),
        .s_axil_awvalid(s_axil_awvalid),
        .s_axil_awready(s_axil_awready),
        .s_axil_awaddr(s_axil_awaddr),
        .s_axil_wvalid(s_axil_wvalid),
        .s_axil_wready(s_axil_wready),
        .s_axil_wdata(s_axil_wdata),
        .s_axil_wstrb(s_axil_wstrb),
        .s_axil_bvalid(s_axil_bvalid),
        .s_axil_bready(s_axil_bready),
        .s_axil_bresp(s_axil_bresp),
        .s_axil_arvalid(s_axil_arvalid),
        .s_axil_arready(s_axil_arready),
        .s_axil_araddr(s_axil_araddr),
        .s_axil_rvalid(s_axil_rvalid),
        .s_axil_rready(s_axil_rready),
        .s_axil_rdata(s_axil_rdata),
        .s_axil_rresp(s_axil_rresp),
        .wr_en(wr_en),
        .wr_addr(wr_addr),
        .wr_data(wr_data),
        .rd_en(rd_en),
        .rd_addr(rd_addr),
        .rd_data(rd_data)
    );

    localparam [7:0] CHANNEL_COUNT = CHANNELS;

    integer n;
    always @* begin
        rd_data = 64'd0;
        case (rd_addr)
            KPU_R_DMA_ID: rd_data = KPU_R_DMA_ID_RESET | ({56'd0, CHANNEL_COUNT} << KPU_R_DMA_ID_CHANNELS_LSB);
            KPU_R_DMA_IRQ_STATUS: rd_data = {{64-CHANNELS{1'b0}}, has_event & irq_enable};
            KPU_R_DMA_IRQ_ENABLE: rd_data = {{64-CHANNELS{1'b0}}, irq_enable};
            default:
                for (n = 0; n < CHANNELS; n = n + 1) rd_data = rd_data | channel_rd_data[64*n+:64];
        endcase
    end

    always @(posedge clk) begin
        if (wr_en && wr_addr == KPU_R_DMA_IRQ_ENABLE) irq_enable <= wr_data[CHANNELS-1:0];
        if (rst) irq_enable <= {CHANNELS{1'b0}};
    end

    genvar i;
    generate
        for (i = 0; i < CHANNELS; i = i + 1) begin : g_channel
            localparam [31:0] OFFSET = i * KPU_R_DMA_STRIDE;
            localparam [15:0] AT = OFFSET[15:0];

            reg  [31:0] first;
            reg  [63:0] window0;
            reg  [63:0] window1;
            reg  [31:0] idle_cycles;
            reg  [63:0] word;

            wire [6:0]  events;
            wire        busy;
            wire [15:0] descriptors;
            wire [31:0] bytes;
            wire [31:0] current;
            wire [31:0] fault;

            wire control = wr_en && wr_addr == KPU_R_DMA_CONTROL + AT;
            wire clear = wr_en && wr_addr == KPU_R_DMA_CLEAR + AT;

            assign has_event[i] = events != 7'd0;
            assign channel_rd_data[64*i+:64] = word;
            assign m_axi_arsize[3*i+:3] = 3'd3;
            assign m_axi_awsize[3*i+:3] = 3'd3;

            always @* begin
                word = 64'd0;
                case (rd_addr)
                    KPU_R_DMA_STATUS + AT: word = {32'd0, descriptors, busy, 8'd0, events};
                    KPU_R_DMA_FIRST + AT: word = {32'd0, first};
                    KPU_R_DMA_WINDOW0 + AT: word = window0;
                    KPU_R_DMA_WINDOW1 + AT: word = window1;
                    KPU_R_DMA_TIMEOUT + AT: word = {32'd0, idle_cycles};
                    KPU_R_DMA_BYTES + AT: word = {32'd0, bytes};
                    KPU_R_DMA_CURRENT + AT: word = {fault, current};
                    default: ;
                endcase
            end

            always @(posedge clk) begin
                if (wr_en && wr_addr == KPU_R_DMA_FIRST + AT) first <= wr_data[31:0];
                if (wr_en && wr_addr == KPU_R_DMA_WINDOW0 + AT) window0 <= wr_data;
                if (wr_en && wr_addr == KPU_R_DMA_WINDOW1 + AT) window1 <= wr_data;
                if (wr_en && wr_addr == KPU_R_DMA_TIMEOUT + AT) idle_cycles <= wr_data[31:0];
                if (rst) begin
                    first <= 32'd0;
                    window0 <= 64'd0;
                    window1 <= 64'd0;
                    idle_cycles <= KPU_R_DMA_TIMEOUT_RESET[31:0];
                end
            end

            dma_channel #(.BURST(BURST), .FIFO_WORDS(FIFO_WORDS)) channel (
                .clk(clk),
                .rst(rst),
                .start(control && wr_data[KPU_R_DMA_CONTROL_START_LSB]),
                .cancel(control && wr_data[KPU_R_DMA_CONTROL_ABORT_LSB]),
                .first(first),
                .window0(window0),
                .window1(window1),
                .idle_cycles(idle_cycles),
                .clear_events(clear ? wr_data[6:0] : 7'd0),
                .events(events),
                .busy(busy),
                .descriptors(descriptors),
                .bytes(bytes),
                .current(current),
                .fault(fault),
                .stream_claim(stream_claim[i]),
                .s_axis_tvalid(s_axis_tvalid && stream_owner[i]),
                .s_axis_tready(stream_ready[i]),
                .s_axis_tdata(s_axis_tdata),
                .m_axi_arvalid(m_axi_arvalid[i]),
                .m_axi_arready(m_axi_arready[i]),
                .m_axi_araddr(m_axi_araddr[32*i+:32]),
                .m_axi_arlen(m_axi_arlen[8*i+:8]),
                .m_axi_arburst(m_axi_arburst[2*i+:2]),
                .m_axi_rvalid(m_axi_rvalid[i]),
                .m_axi_rready(m_axi_rready[i]),
                .m_axi_rdata(m_axi_rdata[64*i+:64]),
                .m_axi_rresp(m_axi_rresp[2*i+:2]),
                .m_axi_rlast(m_axi_rlast[i]),
                .m_axi_awvalid(m_axi_awvalid[i]),
                .m_axi_awready(m_axi_awready[i]),
                .m_axi_awaddr(m_axi_awaddr[32*i+:32]),
                .m_axi_awlen(m_axi_awlen[8*i+:8]),
                .m_axi_awburst(m_axi_awburst[2*i+:2]),
                .m_axi_wvalid(m_axi_wvalid[i]),
                .m_axi_wready(m_axi_wready[i]),
                .m_axi_wdata(m_axi_wdata[64*i+:64]),
                .m_axi_wstrb(m_axi_wstrb[8*i+:8]),
                .m_axi_wlast(m_axi_wlast[i]),
                .m_axi_bvalid(m_axi_bvalid[i]),
                .m_axi_bready(m_axi_bready[i]),
                .m_axi_bresp(m_axi_bresp[2*i+:2])
            );
        end
    endgenerate

    wire _unused = &{1'b0, rd_en};

endmodule

`resetall
