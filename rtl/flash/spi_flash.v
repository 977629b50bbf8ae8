// SPDX-License-Identifier: Apache-2.0
// SPI NOR flash controller: registers, commands and the memory-mapped read window.
//
// Two users share one SPI sequencer: the window reads, the command engine identifies,
// programs and erases. A command waits for the window's present burst, and reads that
// arrive during a command are refused rather than stalled for an erase time. The read
// command (opcode, lanes, mode byte, dummy cycles) is a register, so any JEDEC read
// (03h 0Bh 3Bh BBh 6Bh EBh) works. Register map: openkpu/hw/fields.py FLASH_REGISTERS.
//
//   s_axil -> registers -> flash_command --+
//                                          +-> spi_sequencer -> spi_phy -> pins
//   s_axi ------------->  flash_window ----+
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spi_flash #(
    parameter FIFO_WORDS = 32  // 64-bit words of prefetch, a power of two, at least 8
) (
    input  wire        clk,
    input  wire        rst,
    output wire        irq,

    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [15:0] s_axil_awaddr,
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
    output wire        s_axil_rvalid,
    input  wire        s_axil_rready,
    output wire [63:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,

    input  wire        s_axi_arvalid,
    output wire        s_axi_arready,
    input  wire [23:0] s_axi_araddr,
    input  wire [7:0]  s_axi_arlen,
    input  wire [2:0]  s_axi_arsize,
    input  wire [1:0]  s_axi_arburst,
    output wire        s_axi_rvalid,
    input  wire        s_axi_rready,
    output wire [63:0] s_axi_rdata,
    output wire [1:0]  s_axi_rresp,
    output wire        s_axi_rlast,

    output wire        spi_cs_n,
    output wire        spi_sclk,
    output wire [3:0]  spi_io_o,
    output wire [3:0]  spi_io_oe,
    input  wire [3:0]  spi_io_i
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (FIFO_WORDS < 8 || (FIFO_WORDS & (FIFO_WORDS - 1)) != 0) begin : rule0
            spi_flash_FIFO_WORDS_must_be_a_power_of_two_from_8 refused ();
        end
    endgenerate

    localparam [24:0] MAX_BYTES = 25'h100_0000;

    `include "kpu_fields.vh"

    // ---- registers
    wire        wr_en;
    wire [15:0] wr_addr;
    wire [63:0] wr_data;
    wire        rd_en;
    wire [15:0] rd_addr;
    reg  [63:0] rd_data;

    reg         window_enable;
    reg         irq_enable;
    reg  [7:0]  divider;
    reg  [7:0]  cs_high;
    reg  [31:0] read_format;
    reg  [24:0] size;
    reg  [23:0] expect_id;
    reg  [23:0] burn_first;
    reg  [24:0] burn_end;
    reg  [31:0] busy_cycles;
    reg  [8:0]  events;

    reg  [5:0]  page_words;
    wire        page_full = page_words == 6'd32;
    wire        page_push = wr_en && wr_addr == KPU_R_FLASH_PAGE_DATA;
    wire        command = wr_en && wr_addr == KPU_R_FLASH_COMMAND;

    wire        busy;
    wire        finished;
    wire        err_no_flash;
    wire        err_wrong_id;
    wire        err_timeout;
    wire        err_protected;
    wire        err_range;
    wire        err_page_data;
    wire        err_unknown;
    wire [7:0]  device_status;
    wire [23:0] jedec;
    wire        refused;

    wire [8:0] new_events = {
        (command && busy) || (finished && err_unknown),
        refused,
        (finished && err_page_data) || (page_push && page_full),
        {5{finished}} & {err_range, err_protected, err_timeout, err_wrong_id, err_no_flash},
        finished
    };

    assign irq = irq_enable && events != 9'd0;

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

    always @* begin
        case (rd_addr)
            KPU_R_FLASH_ID: rd_data = KPU_R_FLASH_ID_RESET;
            KPU_R_FLASH_CONTROL: rd_data = {62'd0, irq_enable, window_enable};
            KPU_R_FLASH_TIMING: rd_data = {48'd0, cs_high, divider};
            KPU_R_FLASH_READ: rd_data = {32'd0, read_format};
            KPU_R_FLASH_SIZE: rd_data = {39'd0, size};
            KPU_R_FLASH_EXPECT: rd_data = {40'd0, expect_id};
            KPU_R_FLASH_BURN_WINDOW: rd_data = {7'd0, burn_end, 8'd0, burn_first};
            KPU_R_FLASH_TIMEOUT: rd_data = {32'd0, busy_cycles};
            KPU_R_FLASH_STATUS: rd_data = {34'd0, page_words, device_status, busy, 6'd0, events};
            KPU_R_FLASH_JEDEC: rd_data = {40'd0, jedec};
            default: rd_data = 64'd0;
        endcase
    end

    always @(posedge clk) begin
        events <= (events & ~((wr_en && wr_addr == KPU_R_FLASH_CLEAR) ? wr_data[8:0] : 9'd0)) | new_events;
        if (page_push && !page_full) page_words <= page_words + 6'd1;
        if (finished) page_words <= 6'd0;
        if (finished && (err_no_flash || err_wrong_id)) window_enable <= 1'b0;
        if (wr_en) begin
            case (wr_addr)
                KPU_R_FLASH_CONTROL: {irq_enable, window_enable} <= wr_data[1:0];
                KPU_R_FLASH_TIMING: {cs_high, divider} <= wr_data[15:0];
                KPU_R_FLASH_READ: read_format <= wr_data[31:0] & 32'hFFFF_1FFF;
                KPU_R_FLASH_SIZE: size <= (wr_data[24:0] > MAX_BYTES) ? MAX_BYTES : wr_data[24:0];
                KPU_R_FLASH_EXPECT: expect_id <= wr_data[23:0];
                KPU_R_FLASH_BURN_WINDOW: begin
                    burn_first <= wr_data[23:0];
                    burn_end <= wr_data[56:32];
                end
                KPU_R_FLASH_TIMEOUT: busy_cycles <= wr_data[31:0];
                default: ;
            endcase
        end
        if (rst) begin
            window_enable <= 1'b0;
            irq_enable <= 1'b0;
            {cs_high, divider} <= KPU_R_FLASH_TIMING_RESET[15:0];
            read_format <= KPU_R_FLASH_READ_RESET[31:0];
            size <= KPU_R_FLASH_SIZE_RESET[24:0];
            expect_id <= 24'd0;
            burn_first <= 24'd0;
            burn_end <= 25'd0;
            busy_cycles <= KPU_R_FLASH_TIMEOUT_RESET[31:0];
            events <= 9'd0;
            page_words <= 6'd0;
        end
    end

    // ---- page buffer
    wire [7:0]  page_index;
    wire [63:0] page_word;

    kpu_ram #(.WIDTH(64), .DEPTH(32)) page (
        .clk(clk),
        .we(page_push && !page_full),
        .waddr(page_words[4:0]),
        .wdata(wr_data),
        .re(1'b1),
        .raddr(page_index[7:3]),
        .rdata(page_word)
    );

    // ---- the two users of the SPI bus
    wire        window_active;
    wire        window_req;
    wire [23:0] window_addr;
    wire        window_stop;
    wire        window_room;
    wire        cmd_req;
    wire [7:0]  cmd_opcode;
    wire        cmd_addr_en;
    wire [23:0] cmd_addr;
    wire [1:0]  cmd_data_kind;
    wire [8:0]  cmd_length;
    wire        tx_valid;
    wire        tx_ready;
    wire [7:0]  tx_data;
    wire        req_ready;
    wire        done;
    wire        rx_valid;
    wire [7:0]  rx_data;

    flash_window #(.FIFO_WORDS(FIFO_WORDS)) window (
        .clk(clk),
        .rst(rst),
        .s_axi_arvalid(s_axi_arvalid),
        .s_axi_arready(s_axi_arready),
        .s_axi_araddr(s_axi_araddr),
        .s_axi_arlen(s_axi_arlen),
        .s_axi_arsize(s_axi_arsize),
        .s_axi_arburst(s_axi_arburst),
        .s_axi_rvalid(s_axi_rvalid),
        .s_axi_rready(s_axi_rready),
        .s_axi_rdata(s_axi_rdata),
        .s_axi_rresp(s_axi_rresp),
        .s_axi_rlast(s_axi_rlast),
        .enable(window_enable),
        .size(size),
        .hold(busy),
        .active(window_active),
        .refused(refused),
        .req_valid(window_req),
        .req_ready(req_ready),
        .req_addr(window_addr),
        .stop(window_stop),
        .done(done),
        .rx_valid(rx_valid && window_active),
        .rx_data(rx_data),
        .rx_room(window_room)
    );

    flash_command commands (
        .clk(clk),
        .rst(rst),
        .start(command && !busy),
        .op(wr_data[3:0]),
        .length(wr_data[16:8]),
        .address(wr_data[55:32]),
        .flash_size(size),
        .expect_id(expect_id),
        .burn_first(burn_first),
        .burn_end(burn_end),
        .busy_cycles(busy_cycles),
        .page_words(page_words),
        .busy(busy),
        .finished(finished),
        .err_no_flash(err_no_flash),
        .err_wrong_id(err_wrong_id),
        .err_timeout(err_timeout),
        .err_protected(err_protected),
        .err_range(err_range),
        .err_page_data(err_page_data),
        .err_unknown(err_unknown),
        .device_status(device_status),
        .jedec(jedec),
        .page_index(page_index),
        .page_byte(page_word[{page_index[2:0], 3'b000}+:8]),
        .window_active(window_active),
        .req_valid(cmd_req),
        .req_ready(req_ready),
        .req_opcode(cmd_opcode),
        .req_addr_en(cmd_addr_en),
        .req_addr(cmd_addr),
        .req_data_kind(cmd_data_kind),
        .req_length(cmd_length),
        .done(done),
        .tx_valid(tx_valid),
        .tx_ready(tx_ready),
        .tx_data(tx_data),
        .rx_valid(rx_valid && !window_active),
        .rx_data(rx_data)
    );

    wire       item_valid;
    wire       item_ready;
    wire [1:0] item_kind;
    wire [1:0] item_lanes;
    wire [7:0] item_data;
    wire       finish;
    wire       phy_idle;

    spi_sequencer sequencer (
        .clk(clk),
        .rst(rst),
        .req_valid(window_active ? window_req : cmd_req),
        .req_ready(req_ready),
        .req_opcode(window_active ? read_format[7:0] : cmd_opcode),
        .req_addr_en(window_active || cmd_addr_en),
        .req_addr(window_active ? window_addr : cmd_addr),
        .req_addr_lanes(window_active ? read_format[9:8] : 2'd0),
        .req_mode_en(window_active && read_format[12]),
        .req_mode(read_format[31:24]),
        .req_dummy(window_active ? read_format[23:16] : 8'd0),
        .req_data_kind(window_active ? 2'd1 : cmd_data_kind),
        .req_data_lanes(window_active ? read_format[11:10] : 2'd0),
        .req_length(window_active ? 9'd0 : cmd_length),
        .stop(window_stop),
        .done(done),
        .tx_valid(tx_valid),
        .tx_ready(tx_ready),
        .tx_data(tx_data),
        .rx_room(!window_active || window_room),
        .item_valid(item_valid),
        .item_ready(item_ready),
        .item_kind(item_kind),
        .item_lanes(item_lanes),
        .item_data(item_data),
        .finish(finish),
        .phy_idle(phy_idle)
    );

    spi_phy phy (
        .clk(clk),
        .rst(rst),
        .period(divider),
        .cs_high(cs_high),
        .item_valid(item_valid),
        .item_ready(item_ready),
        .item_kind(item_kind),
        .item_lanes(item_lanes),
        .item_data(item_data),
        .finish(finish),
        .rx_valid(rx_valid),
        .rx_data(rx_data),
        .idle(phy_idle),
        .spi_cs_n(spi_cs_n),
        .spi_sclk(spi_sclk),
        .spi_io_o(spi_io_o),
        .spi_io_oe(spi_io_oe),
        .spi_io_i(spi_io_i)
    );

    wire _unused = &{1'b0, rd_en};

endmodule

`resetall
