// SPDX-License-Identifier: Apache-2.0
// The flash as readable memory: an AXI4 read slave that prefetches.
//
// A read starts an endless SPI read at its address; the words go through a FIFO, and
// when that is full the SPI clock pauses. A following read at the next address simply
// continues, so sequential bursts run at the full speed of the SPI bus; any other
// address ends the SPI read and starts a new one. Bursts are INCR of 64-bit beats (a
// single beat may be narrower and gets its whole word). Everything else, and every
// read outside the flash, while disabled or while a command runs, answers SLVERR at
// once and pulses `refused`. One burst at a time; no writes.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module flash_window #(
    parameter FIFO_WORDS = 32  // 64-bit words of prefetch, a power of two, at least 8
) (
    input  wire        clk,
    input  wire        rst,

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

    input  wire        enable,
    input  wire [24:0] size,       // bytes of the flash
    input  wire        hold,       // a command wants the SPI bus
    output wire        active,     // the window uses the SPI bus or is about to
    output wire        refused,

    output wire        req_valid,
    input  wire        req_ready,
    output wire [23:0] req_addr,
    output wire        stop,
    input  wire        done,
    input  wire        rx_valid,
    input  wire [7:0]  rx_data,
    output wire        rx_room
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (FIFO_WORDS < 8 || (FIFO_WORDS & (FIFO_WORDS - 1)) != 0) begin : rule0
            flash_window_FIFO_WORDS_must_be_a_power_of_two_from_8 refused ();
        end
    endgenerate

    localparam LEVEL_BITS = $clog2(FIFO_WORDS) + 1;
    localparam [LEVEL_BITS-1:0] ROOM_LEVEL = FIFO_WORDS - 3;

    localparam [1:0] SLVERR = 2'b10;
    localparam [1:0] INCR = 2'b01;

    localparam [1:0] IDLE = 2'd0;
    localparam [1:0] START = 2'd1;
    localparam [1:0] STREAM = 2'd2;
    localparam [1:0] STOP = 2'd3;

    reg [1:0]  state;
    reg        burst;       // an AXI burst is being answered
    reg        refuse;      // ... with errors
    reg        restart;     // ... as soon as a new SPI read runs
    reg [7:0]  beats_left;
    reg [20:0] head;        // word address of the next word out of the FIFO

    reg [55:0] bytes;
    reg [2:0]  byte_count;

    wire [63:0] fifo_data;
    wire        fifo_valid;
    wire        fifo_in_ready;
    wire [LEVEL_BITS-1:0] fifo_level;
    wire        flush = state == STOP && done;

    wire take = s_axi_arvalid && s_axi_arready;
    wire [20:0] word = s_axi_araddr[23:3];
    wire [25:0] burst_end = {2'b0, word, 3'b0} + {15'd0, s_axi_arlen, 3'b0} + 26'd8;
    wire legal = enable && !hold && s_axi_arburst == INCR && burst_end <= {1'b0, size}
        && (s_axi_arsize == 3'd3 || s_axi_arlen == 8'd0);
    wire beat = s_axi_rvalid && s_axi_rready;

    assign s_axi_arready = !burst;
    assign s_axi_rvalid = burst && (refuse || (!restart && state == STREAM && fifo_valid));
    assign s_axi_rdata = refuse ? 64'd0 : fifo_data;
    assign s_axi_rresp = refuse ? SLVERR : 2'b00;
    assign s_axi_rlast = beats_left == 8'd0;
    assign refused = take && !legal;

    assign active = state != IDLE || (burst && !refuse);
    assign req_valid = state == START;
    assign req_addr = {head, 3'b0};
    assign stop = state == STOP;
    assign rx_room = fifo_level <= ROOM_LEVEL;

    ram_fifo #(.WIDTH(64), .DEPTH(FIFO_WORDS)) fifo (
        .clk(clk),
        .rst(rst),
        .flush(flush),
        .in_valid(rx_valid && byte_count == 3'd7),
        .in_ready(fifo_in_ready),
        .in_data({rx_data, bytes}),
        .out_valid(fifo_valid),
        .out_ready(beat && !refuse),
        .out_data(fifo_data),
        .level(fifo_level)
    );

    always @(posedge clk) begin
        if (rx_valid) begin
            bytes <= {rx_data, bytes[55:8]};
            byte_count <= byte_count + 3'd1;
        end

        if (beat) begin
            beats_left <= beats_left - 8'd1;
            if (!refuse) head <= head + 21'd1;
            if (s_axi_rlast) burst <= 1'b0;
        end
        if (take) begin
            burst <= 1'b1;
            refuse <= !legal;
            beats_left <= s_axi_arlen;
            if (legal && !(state == STREAM && head == word)) begin
                restart <= 1'b1;
                head <= word;
            end
        end

        case (state)
            IDLE: if (restart) state <= START;
            START: if (req_ready) begin
                state <= STREAM;
                restart <= 1'b0;
            end
            STREAM: if (restart || (hold && !burst)) state <= STOP;
            default: if (done) begin
                state <= restart ? START : IDLE;
                byte_count <= 3'd0;
            end
        endcase

        if (rst) begin
            state <= IDLE;
            burst <= 1'b0;
            refuse <= 1'b0;
            restart <= 1'b0;
            byte_count <= 3'd0;
        end
    end

    wire _unused = &{1'b0, s_axi_araddr[2:0], fifo_in_ready};

endmodule

`resetall
