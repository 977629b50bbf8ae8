// SPDX-License-Identifier: Apache-2.0
// SPI mode 0 on one, two or four lanes: moves one item (a byte out, a byte in, or
// dummy cycles) after the other without a gap.
//
// Between items the clock rests low with the flash still selected; that is how a
// reader with a full buffer makes the flash wait. `finish` ends the transaction: chip
// select rises half a period after the last clock and stays high for cs_high cycles.
// One SPI cycle is `period` cycles of clk (any number from 2), low part first. Data
// leave when SCLK falls and are sampled when it rises. IO2 and IO3 are held high
// unless four lanes are in use: they are WP# and HOLD# on most parts.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spi_phy (
    input  wire       clk,
    input  wire       rst,

    input  wire [7:0] period,      // at least 2
    input  wire [7:0] cs_high,

    input  wire       item_valid,
    output wire       item_ready,
    input  wire [1:0] item_kind,   // 0 byte out, 1 byte in, 2 dummy cycles
    input  wire [1:0] item_lanes,  // 0, 1, 2 = one, two, four lanes
    input  wire [7:0] item_data,   // byte to send, or number of dummy cycles (not 0)
    input  wire       finish,

    output reg        rx_valid,
    output wire [7:0] rx_data,
    output wire       idle,        // not selected, the next transaction may start

    output reg        spi_cs_n,
    output reg        spi_sclk,
    output reg  [3:0] spi_io_o,
    output reg  [3:0] spi_io_oe,
    input  wire [3:0] spi_io_i
);

    localparam [1:0] KIND_OUT = 2'd0;
    localparam [1:0] KIND_IN = 2'd1;
    localparam [1:0] KIND_DUMMY = 2'd2;

    localparam [2:0] IDLE = 3'd0;
    localparam [2:0] SHIFT = 3'd1;
    localparam [2:0] PAUSE = 3'd2;
    localparam [2:0] TAIL = 3'd3;
    localparam [2:0] RECOVER = 3'd4;

    reg [2:0] state;
    reg [1:0] kind;
    reg [1:0] lanes;
    reg [7:0] count;    // cycles of clk inside this period or phase
    reg [7:0] cycles;   // SPI cycles left in this item
    reg [7:0] tx;
    reg [7:0] rx;

    // A period of 0 or 1 would never toggle the clock; treat it as the fastest.
    wire [7:0] whole = (period < 8'd2) ? 8'd2 : period;
    wire [7:0] low = whole - {1'b0, whole[7:1]};

    wire period_end = count == whole - 8'd1;
    wire item_end = state == SHIFT && period_end && cycles == 8'd1;
    wire take = item_valid && item_ready;
    wire [7:0] tx_next = tx << (3'd1 << lanes);
    wire rise = state == SHIFT && count == low - 8'd1;

    assign item_ready = state == IDLE || state == PAUSE || item_end;
    assign idle = state == IDLE;
    assign rx_data = rx;

    function [7:0] item_cycles;
        input [1:0] k;
        input [1:0] n;
        input [7:0] d;
        begin
            if (k == KIND_DUMMY) item_cycles = d;
            else if (n == 2'd0) item_cycles = 8'd8;
            else if (n == 2'd1) item_cycles = 8'd4;
            else item_cycles = 8'd2;
        end
    endfunction

    // Lane values for the next bits of the byte, most significant first.
    function [3:0] drive;
        input [1:0] n;
        input [3:0] d;
        begin
            if (n == 2'd0) drive = {2'b11, 1'b0, d[3]};
            else if (n == 2'd1) drive = {2'b11, d[3:2]};
            else drive = d;
        end
    endfunction

    function [3:0] enable;
        input [1:0] k;
        input [1:0] n;
        begin
            if (n == 2'd0) enable = (k == KIND_OUT) ? 4'b1101 : 4'b1100;
            else if (n == 2'd1) enable = (k == KIND_OUT) ? 4'b1111 : 4'b1100;
            else enable = (k == KIND_OUT) ? 4'b1111 : 4'b0000;
        end
    endfunction

    always @(posedge clk) begin
        rx_valid <= rise && kind == KIND_IN && cycles == 8'd1;
        if (rise) begin
            spi_sclk <= 1'b1;
            if (lanes == 2'd0) rx <= {rx[6:0], spi_io_i[1]};
            else if (lanes == 2'd1) rx <= {rx[5:0], spi_io_i[1:0]};
            else rx <= {rx[3:0], spi_io_i};
        end

        case (state)
            SHIFT: begin
                count <= count + 8'd1;
                if (period_end) begin
                    count <= 8'd0;
                    cycles <= cycles - 8'd1;
                    spi_sclk <= 1'b0;
                    tx <= tx_next;
                    spi_io_o <= drive(lanes, tx_next[7:4]);
                end
                if (item_end) state <= PAUSE;
            end
            PAUSE: if (finish) begin
                state <= TAIL;
                count <= 8'd0;
            end
            TAIL: begin
                count <= count + 8'd1;
                if (count >= low) begin
                    state <= RECOVER;
                    count <= 8'd0;
                    spi_cs_n <= 1'b1;
                    spi_io_oe <= 4'b1100;
                    spi_io_o <= 4'b1100;
                end
            end
            RECOVER: begin
                count <= count + 8'd1;
                if (count >= cs_high) state <= IDLE;
            end
            default: ;
        endcase

        if (take) begin
            state <= SHIFT;
            count <= 8'd0;
            kind <= item_kind;
            lanes <= item_lanes;
            tx <= item_data;
            cycles <= item_cycles(item_kind, item_lanes, item_data);
            spi_cs_n <= 1'b0;
            spi_io_o <= drive(item_lanes, item_data[7:4]);
            spi_io_oe <= enable(item_kind, item_lanes);
        end

        if (rst) begin
            state <= IDLE;
            rx_valid <= 1'b0;
            spi_cs_n <= 1'b1;
            spi_sclk <= 1'b0;
            spi_io_o <= 4'b1100;
            spi_io_oe <= 4'b1100;
        end
    end

endmodule

`resetall
