// Stand-in for kpu_core with its ports: a "layer" streams out the parameters it fetched.
//
// Twelve descriptor words make a layer; it reads para_size bytes at para_start_addr in
// bursts of 16 (several outstanding), sends every word to the stream, waits as many
// cycles as word 3 says, counts itself in ext_layers and sets calc_done. The AI RAM is
// plain memory. Keeps benches of the SoC
// small and quick; the real core has its own.
`timescale 1ns / 1ps
`default_nettype none

module kpu_core #(
    parameter SEGS = 8,
    parameter SEGLEN = 8,
    parameter LPS = 4,
    parameter DEPTH = 128,
    parameter AIRAM_ROWS = 1024,
    parameter WEIGHT_ENTRIES = 8192,
    parameter ID_W = 4
) (
    input  wire            clk,
    input  wire            rst,
    output wire            irq,

    input  wire            s_axil_awvalid,
    output wire            s_axil_awready,
    input  wire [15:0]     s_axil_awaddr,
    input  wire            s_axil_wvalid,
    output wire            s_axil_wready,
    input  wire [63:0]     s_axil_wdata,
    input  wire [7:0]      s_axil_wstrb,
    output wire            s_axil_bvalid,
    input  wire            s_axil_bready,
    output wire [1:0]      s_axil_bresp,
    input  wire            s_axil_arvalid,
    output wire            s_axil_arready,
    input  wire [15:0]     s_axil_araddr,
    output wire            s_axil_rvalid,
    input  wire            s_axil_rready,
    output wire [63:0]     s_axil_rdata,
    output wire [1:0]      s_axil_rresp,

    input  wire            s_axi_awvalid,
    output wire            s_axi_awready,
    input  wire [ID_W-1:0] s_axi_awid,
    input  wire [20:0]     s_axi_awaddr,
    input  wire [7:0]      s_axi_awlen,
    input  wire [2:0]      s_axi_awsize,
    input  wire [1:0]      s_axi_awburst,
    input  wire            s_axi_wvalid,
    output wire            s_axi_wready,
    input  wire [63:0]     s_axi_wdata,
    input  wire [7:0]      s_axi_wstrb,
    input  wire            s_axi_wlast,
    output wire            s_axi_bvalid,
    input  wire            s_axi_bready,
    output wire [ID_W-1:0] s_axi_bid,
    output wire [1:0]      s_axi_bresp,
    input  wire            s_axi_arvalid,
    output wire            s_axi_arready,
    input  wire [ID_W-1:0] s_axi_arid,
    input  wire [20:0]     s_axi_araddr,
    input  wire [7:0]      s_axi_arlen,
    input  wire [2:0]      s_axi_arsize,
    input  wire [1:0]      s_axi_arburst,
    output wire            s_axi_rvalid,
    input  wire            s_axi_rready,
    output wire [ID_W-1:0] s_axi_rid,
    output wire [63:0]     s_axi_rdata,
    output wire [1:0]      s_axi_rresp,
    output wire            s_axi_rlast,

    output reg             m_axi_arvalid,
    input  wire            m_axi_arready,
    output wire [ID_W-1:0] m_axi_arid,
    output reg  [31:0]     m_axi_araddr,
    output wire [7:0]      m_axi_arlen,
    output wire [2:0]      m_axi_arsize,
    output wire [1:0]      m_axi_arburst,
    input  wire            m_axi_rvalid,
    output wire            m_axi_rready,
    input  wire [ID_W-1:0] m_axi_rid,
    input  wire [63:0]     m_axi_rdata,
    input  wire [1:0]      m_axi_rresp,
    input  wire            m_axi_rlast,

    output wire            m_axis_tvalid,
    input  wire            m_axis_tready,
    output wire [63:0]     m_axis_tdata,
    output wire [7:0]      m_axis_tkeep,
    output wire            m_axis_tlast
);

    `include "kpu_fields.vh"

    axi_sram #(.BYTES(AIRAM_ROWS * 64)) airam (
        .clk(clk), .rst(rst),
        .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready),
        .s_axi_araddr(s_axi_araddr[$clog2(AIRAM_ROWS*64)-1:0]), .s_axi_arlen(s_axi_arlen),
        .s_axi_arsize(s_axi_arsize), .s_axi_arburst(s_axi_arburst), .s_axi_rvalid(s_axi_rvalid),
        .s_axi_rready(s_axi_rready), .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp),
        .s_axi_rlast(s_axi_rlast), .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready),
        .s_axi_awaddr(s_axi_awaddr[$clog2(AIRAM_ROWS*64)-1:0]), .s_axi_awlen(s_axi_awlen),
        .s_axi_awsize(s_axi_awsize), .s_axi_awburst(s_axi_awburst), .s_axi_wvalid(s_axi_wvalid),
        .s_axi_wready(s_axi_wready), .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb),
        .s_axi_wlast(s_axi_wlast), .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready),
        .s_axi_bresp(s_axi_bresp)
    );
    assign s_axi_bid = {ID_W{1'b0}};
    assign s_axi_rid = {ID_W{1'b0}};

    // ---- registers
    wire        wr_en;
    wire [15:0] wr_addr;
    wire [63:0] wr_data;
    wire        rd_en;
    wire [15:0] rd_addr;
    reg         calc_done;
    reg  [15:0] layers;
    reg  [3:0]  words;
    reg  [63:0] size_word;
    reg  [15:0] wait_word;
    reg         queue_valid;
    wire        queue_full;

    axil_endpoint #(.ADDR_BITS(16)) endpoint (
        .clk(clk), .rst(rst),
        .s_axil_awvalid(s_axil_awvalid), .s_axil_awready(s_axil_awready), .s_axil_awaddr(s_axil_awaddr),
        .s_axil_wvalid(s_axil_wvalid), .s_axil_wready(s_axil_wready), .s_axil_wdata(s_axil_wdata),
        .s_axil_wstrb(s_axil_wstrb), .s_axil_bvalid(s_axil_bvalid), .s_axil_bready(s_axil_bready),
        .s_axil_bresp(s_axil_bresp), .s_axil_arvalid(s_axil_arvalid), .s_axil_arready(s_axil_arready),
        .s_axil_araddr(s_axil_araddr), .s_axil_rvalid(s_axil_rvalid), .s_axil_rready(s_axil_rready),
        .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp),
        .wr_en(wr_en), .wr_addr(wr_addr), .wr_data(wr_data), .rd_en(rd_en), .rd_addr(rd_addr),
        .rd_data(rd_addr == KPU_R_EXT_LAYERS ? {48'd0, layers}
                 : rd_addr == KPU_R_INTERRUPT_STATUS ? {63'd0, calc_done} : 64'd0)
    );

    wire        layer_valid;
    wire [64:0] layer;  // cycles to wait, para_size, para_start_addr
    wire        layer_end;

    kpu_queue #(.WIDTH(65), .LGDEPTH(4)) queue (
        .clk(clk), .rst(rst), .s_valid(queue_valid), .s_ready(queue_full),
        .s_data({wait_word, size_word[31:15], size_word[63:32]}),
        .m_valid(layer_valid), .m_ready(layer_end), .m_data(layer)
    );

    assign irq = calc_done;
    always @(posedge clk) begin
        queue_valid <= 1'b0;
        if (wr_en && wr_addr == KPU_R_INTERRUPT_CLEAR && wr_data[0]) calc_done <= 1'b0;
        if (wr_en && wr_addr == KPU_R_LAYER_ARGUMENT_FIFO) begin
            words <= words == 4'd11 ? 4'd0 : words + 4'd1;
            if (words == KPU_D_PARA_SIZE_WORD) size_word <= wr_data;
            if (words == 4'd3) wait_word <= wr_data[15:0];
            queue_valid <= words == 4'd11;
        end
        if (layer_end) begin
            calc_done <= 1'b1;
            layers <= layers + 16'd1;
        end
        if (rst) begin
            words <= 4'd0;
            calc_done <= 1'b0;
            layers <= 16'd0;
            queue_valid <= 1'b0;
        end
    end

    // ---- a layer: para_size is a multiple of 128, para_start_addr of 128
    reg         running;
    reg  [16:0] asked;
    reg  [16:0] got;
    reg  [15:0] waited;

    assign layer_end = running && got == layer[48:32] && waited == layer[64:49];
    assign m_axi_arid = {ID_W{1'b0}};
    assign m_axi_arlen = 8'd15;
    assign m_axi_arsize = 3'd3;
    assign m_axi_arburst = 2'b01;
    assign m_axi_rready = m_axis_tready;
    assign m_axis_tvalid = m_axi_rvalid;
    assign m_axis_tdata = m_axi_rdata;
    assign m_axis_tkeep = 8'hFF;
    assign m_axis_tlast = 1'b0;

    always @(posedge clk) begin
        if (m_axi_arready) m_axi_arvalid <= 1'b0;
        if (running && asked != layer[48:32] && (!m_axi_arvalid || m_axi_arready)) begin
            m_axi_arvalid <= 1'b1;
            m_axi_araddr <= layer[31:0] + {15'd0, asked};
            asked <= asked + 17'd128;
        end
        if (m_axi_rvalid && m_axi_rready) got <= got + 17'd8;
        if (got == layer[48:32]) waited <= waited + 16'd1;
        if (layer_end) running <= 1'b0;
        if (layer_valid && !running) begin
            running <= 1'b1;
            asked <= 17'd0;
            got <= 17'd0;
            waited <= 16'd0;
        end
        if (rst) begin
            running <= 1'b0;
            m_axi_arvalid <= 1'b0;
        end
    end

endmodule

`default_nettype wire
