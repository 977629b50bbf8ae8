// SPDX-License-Identifier: Apache-2.0
// One DMA channel: fetches descriptors, runs them, reports how it ended.
//
// copy: reader -> FIFO -> writer (or the KPU's output stream -> FIFO -> writer); wait:
// polls a 64-bit word until (word & mask) >= value, so a chain can follow the KPU's
// progress without software. The first error ends the chain: the bursts on the bus are
// finished, the rest is dropped, and status and fault address stay. A channel that
// makes no progress for idle_cycles stops with `timeout`, so none hangs. Each channel
// has its own bus port: a slow flash read in one does not hold up another.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module dma_channel #(
    parameter BURST = 16,      // beats of a burst, a power of two, 2 to 32
    parameter FIFO_WORDS = 64  // a power of two, at least 2 * BURST + 4
) (
    input  wire        clk,
    input  wire        rst,

    input  wire        start,
    input  wire        cancel,
    input  wire [31:0] first,
    input  wire [63:0] window0,
    input  wire [63:0] window1,
    input  wire [31:0] idle_cycles,
    input  wire [6:0]  clear_events,

    output reg  [6:0]  events,
    output wire        busy,
    output reg  [15:0] descriptors,
    output reg  [31:0] bytes,
    output reg  [31:0] current,
    output reg  [31:0] fault,

    output wire        stream_claim,   // this channel wants the KPU's output stream
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    input  wire [63:0] s_axis_tdata,

    output wire        m_axi_arvalid,
    input  wire        m_axi_arready,
    output wire [31:0] m_axi_araddr,
    output wire [7:0]  m_axi_arlen,
    output wire [1:0]  m_axi_arburst,
    input  wire        m_axi_rvalid,
    output wire        m_axi_rready,
    input  wire [63:0] m_axi_rdata,
    input  wire [1:0]  m_axi_rresp,
    input  wire        m_axi_rlast,
    output wire        m_axi_awvalid,
    input  wire        m_axi_awready,
    output wire [31:0] m_axi_awaddr,
    output wire [7:0]  m_axi_awlen,
    output wire [1:0]  m_axi_awburst,
    output wire        m_axi_wvalid,
    input  wire        m_axi_wready,
    output wire [63:0] m_axi_wdata,
    output wire [7:0]  m_axi_wstrb,
    output wire        m_axi_wlast,
    input  wire        m_axi_bvalid,
    output wire        m_axi_bready,
    input  wire [1:0]  m_axi_bresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (BURST < 2 || BURST > 32 || (BURST & (BURST - 1)) != 0) begin : rule0
            dma_channel_BURST_must_be_a_power_of_two_from_2_to_32 refused ();
        end
        if (FIFO_WORDS < 2 * BURST + 4 || (FIFO_WORDS & (FIFO_WORDS - 1)) != 0) begin : rule1
            dma_channel_FIFO_WORDS_must_be_a_power_of_two_and_hold_two_bursts_and_4 refused ();
        end
    endgenerate

    `include "kpu_fields.vh"

    localparam LEVEL_BITS = $clog2(FIFO_WORDS) + 1;
    localparam [LEVEL_BITS-1:0] FIFO_SIZE = FIFO_WORDS;
    localparam [7:0] FETCH_BEATS = 8'd6;
    localparam [3:0] POLL_GAP = 4'd15;

    localparam [3:0] OP_COPY = 4'd1;
    localparam [3:0] OP_WAIT = 4'd2;
    localparam [1:0] INCR = 2'b01;

    localparam [3:0] IDLE = 4'd0;
    localparam [3:0] FETCH = 4'd1;
    localparam [3:0] FETCHING = 4'd2;
    localparam [3:0] DECODE = 4'd3;
    localparam [3:0] COPY = 4'd4;
    localparam [3:0] POLL = 4'd5;
    localparam [3:0] POLLING = 4'd6;
    localparam [3:0] PAUSE = 4'd7;
    localparam [3:0] NEXT = 4'd8;
    localparam [3:0] STOP = 4'd9;

    reg [3:0]  state;
    reg [63:0] word0, word1, word2, word3, mask, value;
    reg [2:0]  beat_index;
    reg        own_valid;      // a read of the channel itself (descriptor or poll) on AR
    reg        own_data;       // ... waiting for its data
    reg [31:0] own_addr;
    reg        own_fetch;
    reg [3:0]  gap;
    reg        go;
    reg [31:0] idle;
    reg [23:0] stream_left;
    reg        stop_seen;

    wire [3:0]  op = word0[KPU_DMA_D_OP_LSB+:KPU_DMA_D_OP_W];
    wire        want_irq = word0[KPU_DMA_D_IRQ_LSB];
    wire        src_fixed = word0[KPU_DMA_D_SRC_FIXED_LSB];
    wire        dst_fixed = word0[KPU_DMA_D_DST_FIXED_LSB];
    wire        src_stream = word0[KPU_DMA_D_SRC_STREAM_LSB];
    wire        swap32 = word0[KPU_DMA_D_SWAP32_LSB];
    wire [31:0] next = word0[KPU_DMA_D_NEXT_LSB+:KPU_DMA_D_NEXT_W];
    wire [31:0] src = word1[KPU_DMA_D_SRC_LSB+:KPU_DMA_D_SRC_W];
    wire [31:0] dst = word1[KPU_DMA_D_DST_LSB+:KPU_DMA_D_DST_W];
    wire [23:0] row_bytes = word2[KPU_DMA_D_ROW_BYTES_LSB+:KPU_DMA_D_ROW_BYTES_W];
    wire [15:0] rows = word2[KPU_DMA_D_ROWS_LSB+:KPU_DMA_D_ROWS_W];
    wire [31:0] src_stride = word3[KPU_DMA_D_SRC_STRIDE_LSB+:KPU_DMA_D_SRC_STRIDE_W];
    wire [31:0] dst_stride = word3[KPU_DMA_D_DST_STRIDE_LSB+:KPU_DMA_D_DST_STRIDE_W];

    wire legal_copy = op == OP_COPY && row_bytes != 24'd0 && rows != 16'd0
        && !(src_fixed && src[2:0] != 3'd0)
        && !(dst_fixed && (dst[2:0] != 3'd0 || row_bytes[2:0] != 3'd0))
        && !(src_stream && rows != 16'd1)
        && !(swap32 && row_bytes[1:0] != 2'd0);
    wire legal_wait = op == OP_WAIT && src[2:0] == 3'd0;

    // ---- data path
    wire        stop = state == STOP;
    wire        reader_on_bus;
    wire        reader_done;
    wire        reader_error;
    wire [31:0] reader_error_addr;
    wire        packed_valid;
    wire [63:0] packed_data;
    wire [3:0]  packed_bytes;
    wire        read_arvalid;
    wire [31:0] read_araddr;
    wire [7:0]  read_arlen;
    wire [1:0]  read_arburst;
    wire        writer_on_bus;
    wire        writer_done;
    wire        error_window;
    wire        error_bus;
    wire [31:0] writer_error_addr;
    wire        wrote;
    wire [8:0]  wrote_bytes;
    wire        fifo_valid;
    wire        fifo_ready;
    wire        fifo_in_ready;
    wire [63:0] fifo_data;
    wire [LEVEL_BITS-1:0] level;

    wire stream_take = s_axis_tvalid && s_axis_tready;
    wire last_word = stream_left <= 24'd8;
    wire [31:0] stream_swapped_low = {s_axis_tdata[7:0], s_axis_tdata[15:8], s_axis_tdata[23:16], s_axis_tdata[31:24]};
    wire [31:0] stream_swapped_high =
        {s_axis_tdata[39:32], s_axis_tdata[47:40], s_axis_tdata[55:48], s_axis_tdata[63:56]};

    wire        push = packed_valid || stream_take;
    wire [3:0]  push_bytes = packed_valid ? packed_bytes : last_word ? stream_left[3:0] : 4'd8;
    wire [63:0] push_data = packed_valid ? packed_data
        : swap32 ? {stream_swapped_high, stream_swapped_low} : s_axis_tdata;

    assign busy = state != IDLE;
    assign stream_claim = state == COPY && !go && src_stream && stream_left != 24'd0;
    assign s_axis_tready = stream_claim && fifo_in_ready;

    assign m_axi_arvalid = own_valid || read_arvalid;
    assign m_axi_araddr = own_valid ? own_addr : read_araddr;
    assign m_axi_arlen = own_valid ? (own_fetch ? FETCH_BEATS - 8'd1 : 8'd0) : read_arlen;
    assign m_axi_arburst = own_valid ? INCR : read_arburst;
    assign m_axi_rready = 1'b1;

    dma_reader #(.BURST(BURST), .LEVEL_BITS(LEVEL_BITS)) reader (
        .clk(clk),
        .rst(rst),
        .start(go && !src_stream),
        .addr(src),
        .row_bytes(row_bytes),
        .rows(rows),
        .stride(src_stride),
        .fixed(src_fixed),
        .swap32(swap32),
        .stop(stop),
        .on_bus(reader_on_bus),
        .done(reader_done),
        .error(reader_error),
        .error_addr(reader_error_addr),
        .room(FIFO_SIZE - level),
        .out_valid(packed_valid),
        .out_data(packed_data),
        .out_bytes(packed_bytes),
        .m_axi_arvalid(read_arvalid),
        .m_axi_arready(m_axi_arready),
        .m_axi_araddr(read_araddr),
        .m_axi_arlen(read_arlen),
        .m_axi_arburst(read_arburst),
        .m_axi_rvalid(m_axi_rvalid && !own_data),
        .m_axi_rdata(m_axi_rdata),
        .m_axi_rresp(m_axi_rresp),
        .m_axi_rlast(m_axi_rlast)
    );

    ram_fifo #(.WIDTH(64), .DEPTH(FIFO_WORDS)) fifo (
        .clk(clk),
        .rst(rst),
        .flush(go),
        .in_valid(push),
        .in_ready(fifo_in_ready),
        .in_data(push_data),
        .out_valid(fifo_valid),
        .out_ready(fifo_ready),
        .out_data(fifo_data),
        .level(level)
    );

    dma_writer #(.BURST(BURST)) writer (
        .clk(clk),
        .rst(rst),
        .start(go),
        .addr(dst),
        .row_bytes(row_bytes),
        .rows(rows),
        .stride(dst_stride),
        .fixed(dst_fixed),
        .window0_base(window0[29:0]),
        .window0_end(window0[61:32]),
        .window1_base(window1[29:0]),
        .window1_end(window1[61:32]),
        .stop(stop),
        .on_bus(writer_on_bus),
        .done(writer_done),
        .error_window(error_window),
        .error_bus(error_bus),
        .error_addr(writer_error_addr),
        .wrote(wrote),
        .wrote_bytes(wrote_bytes),
        .push(push),
        .push_bytes(push_bytes),
        .in_valid(fifo_valid),
        .in_ready(fifo_ready),
        .in_data(fifo_data),
        .m_axi_awvalid(m_axi_awvalid),
        .m_axi_awready(m_axi_awready),
        .m_axi_awaddr(m_axi_awaddr),
        .m_axi_awlen(m_axi_awlen),
        .m_axi_awburst(m_axi_awburst),
        .m_axi_wvalid(m_axi_wvalid),
        .m_axi_wready(m_axi_wready),
        .m_axi_wdata(m_axi_wdata),
        .m_axi_wstrb(m_axi_wstrb),
        .m_axi_wlast(m_axi_wlast),
        .m_axi_bvalid(m_axi_bvalid),
        .m_axi_bready(m_axi_bready),
        .m_axi_bresp(m_axi_bresp)
    );

    // ---- control
    wire own_beat = own_data && m_axi_rvalid;
    wire own_bad = m_axi_rresp != 2'b00;
    wire progress = push || wrote || state == IDLE || state == FETCH || state == DECODE || state == NEXT;
    wire expired = idle >= idle_cycles && state != STOP;
    wire quiet = !own_valid && !own_data && !reader_on_bus && !writer_on_bus;

    // An error in this cycle: event bits as in dma_status, and where it happened.
    reg [6:0]  trouble;
    reg [31:0] trouble_addr;
    always @* begin
        trouble = 7'd0;
        trouble_addr = current;
        if (cancel && busy && state != STOP) trouble[KPU_R_DMA_STATUS_ABORTED_LSB] = 1'b1;
        if (expired && busy && !progress) trouble[KPU_R_DMA_STATUS_TIMEOUT_LSB] = 1'b1;
        if ((state == FETCH && current[5:0] != 6'd0) || (state == DECODE && !legal_copy && !legal_wait))
            trouble[KPU_R_DMA_STATUS_DESCRIPTOR_LSB] = 1'b1;
        if (state == COPY && error_window) begin
            trouble[KPU_R_DMA_STATUS_WINDOW_LSB] = 1'b1;
            trouble_addr = writer_error_addr;
        end
        if (state == COPY && error_bus) begin
            trouble[KPU_R_DMA_STATUS_BUS_WRITE_LSB] = 1'b1;
            trouble_addr = writer_error_addr;
        end
        if (state == COPY && reader_error) begin
            trouble[KPU_R_DMA_STATUS_BUS_READ_LSB] = 1'b1;
            trouble_addr = reader_error_addr;
        end
        if (own_beat && own_bad && state != STOP) begin
            trouble[KPU_R_DMA_STATUS_BUS_READ_LSB] = 1'b1;
            trouble_addr = own_addr;
        end
    end

    wire finished = state == NEXT && (want_irq || next == 32'd0);

    always @(posedge clk) begin
        go <= 1'b0;
        idle <= progress ? 32'd0 : idle + 32'd1;
        events <= (events & ~clear_events) | trouble | {6'd0, finished};
        if (wrote) bytes <= bytes + {23'd0, wrote_bytes};
        if (stream_take) stream_left <= last_word ? 24'd0 : stream_left - 24'd8;

        if (m_axi_arready) own_valid <= 1'b0;
        if (own_beat) begin
            beat_index <= beat_index + 3'd1;
            if (m_axi_rlast) own_data <= 1'b0;
        end

        case (state)
            IDLE: if (start) begin
                state <= FETCH;
                current <= first;
                descriptors <= 16'd0;
                bytes <= 32'd0;
                fault <= 32'd0;
            end
            FETCH: begin
                state <= FETCHING;
                own_valid <= 1'b1;
                own_data <= 1'b1;
                own_fetch <= 1'b1;
                own_addr <= current;
                beat_index <= 3'd0;
            end
            FETCHING: if (own_beat) begin
                case (beat_index)
                    3'd0: word0 <= m_axi_rdata;
                    3'd1: word1 <= m_axi_rdata;
                    3'd2: word2 <= m_axi_rdata;
                    3'd3: word3 <= m_axi_rdata;
                    3'd4: mask <= m_axi_rdata;
                    default: value <= m_axi_rdata;
                endcase
                if (m_axi_rlast) state <= DECODE;
            end
            DECODE: begin
                go <= legal_copy;
                stream_left <= src_stream ? row_bytes : 24'd0;
                state <= legal_copy ? COPY : POLL;
            end
            COPY: if (writer_done) state <= NEXT;
            POLL: begin
                state <= POLLING;
                own_valid <= 1'b1;
                own_data <= 1'b1;
                own_fetch <= 1'b0;
                own_addr <= src;
            end
            POLLING: if (own_beat) begin
                state <= ((m_axi_rdata & mask) >= value) ? NEXT : PAUSE;
                gap <= POLL_GAP;
            end
            PAUSE: begin
                gap <= gap - 4'd1;
                if (gap == 4'd0) state <= POLL;
            end
            NEXT: begin
                descriptors <= descriptors + 16'd1;
                current <= next;
                state <= (next == 32'd0) ? IDLE : FETCH;
                if (next == 32'd0) current <= current;
            end
            default: begin
                // One cycle for a burst that was being decided to show up on the bus.
                stop_seen <= 1'b1;
                if (stop_seen && quiet) state <= IDLE;
            end
        endcase

        if (trouble != 7'd0) begin
            state <= STOP;
            stop_seen <= 1'b0;
            go <= 1'b0;
            own_valid <= own_valid && !m_axi_arready;
            if (state == FETCH || state == POLL) begin
                own_valid <= 1'b0;
                own_data <= 1'b0;
            end
            if (fault == 32'd0) fault <= trouble_addr;
            current <= current;
        end

        if (rst) begin
            state <= IDLE;
            events <= 7'd0;
            own_valid <= 1'b0;
            own_data <= 1'b0;
            go <= 1'b0;
            idle <= 32'd0;
            descriptors <= 16'd0;
            bytes <= 32'd0;
            current <= 32'd0;
            fault <= 32'd0;
            stream_left <= 24'd0;
        end
    end

    wire _unused = &{1'b0, reader_done, window0[63:62], window0[31:30], window1[63:62], window1[31:30],
                    word0[31:9], word2[63:48], word2[31:24]};

endmodule

`resetall
