// SPDX-License-Identifier: Apache-2.0
// Cuts a 2-D transfer into bus bursts.
//
// Rows of row_bytes bytes, `stride` bytes from one start to the next. A burst never
// leaves its naturally aligned block of BURST x 8 bytes, so it obeys the 4 KB rule
// and every burst but the first of a row is aligned. With `fixed` every beat is 8
// bytes at the same address. Present burst on burst_*, `step` moves to the next one.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module dma_walker #(
    parameter BURST = 16,  // beats of a burst, a power of two, 2 to 256
    parameter BYTE_BITS = $clog2(BURST * 8) + 1
) (
    input  wire                 clk,
    input  wire                 rst,

    input  wire                 load,
    input  wire [31:0]          addr,
    input  wire [23:0]          row_bytes,
    input  wire [15:0]          rows,
    input  wire [31:0]          stride,
    input  wire                 fixed,
    input  wire                 cancel,

    output reg                  burst_valid,
    output reg  [31:0]          burst_addr,
    output wire [BYTE_BITS-1:0] burst_bytes,
    output wire [BYTE_BITS-4:0] burst_beats,
    input  wire                 step
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (BURST < 2 || BURST > 256 || (BURST & (BURST - 1)) != 0) begin : rule0
            dma_walker_BURST_must_be_a_power_of_two_from_2_to_256 refused ();
        end
    endgenerate

    localparam [BYTE_BITS-1:0] MAX_BYTES = BURST * 8;

    reg [31:0] row_addr;
    reg [23:0] left;
    reg [15:0] rows_left;

    wire [BYTE_BITS-1:0] block_offset = fixed ? {BYTE_BITS{1'b0}} : {1'b0, burst_addr[BYTE_BITS-2:0]};
    wire [BYTE_BITS-1:0] space = MAX_BYTES - block_offset;
    wire last_of_row = left <= {{24-BYTE_BITS{1'b0}}, space};
    wire [2:0] offset = fixed ? 3'd0 : burst_addr[2:0];
    wire [BYTE_BITS-1:0] padded = burst_bytes + {{BYTE_BITS-3{1'b0}}, offset} + {{BYTE_BITS-3{1'b0}}, 3'd7};
    wire [31:0] next_row = row_addr + stride;

    assign burst_bytes = last_of_row ? left[BYTE_BITS-1:0] : space;
    assign burst_beats = padded[BYTE_BITS-1:3];

    always @(posedge clk) begin
        if (step) begin
            if (last_of_row) begin
                left <= row_bytes;
                row_addr <= next_row;
                burst_addr <= fixed ? burst_addr : next_row;
                rows_left <= rows_left - 16'd1;
                if (rows_left == 16'd1) burst_valid <= 1'b0;
            end else begin
                left <= left - {{24-BYTE_BITS{1'b0}}, burst_bytes};
                if (!fixed) burst_addr <= burst_addr + {{32-BYTE_BITS{1'b0}}, burst_bytes};
            end
        end
        if (load) begin
            burst_valid <= 1'b1;
            burst_addr <= addr;
            row_addr <= addr;
            left <= row_bytes;
            rows_left <= rows;
        end
        if (rst || cancel) burst_valid <= 1'b0;
    end

    wire _unused = &{1'b0, padded[2:0]};

endmodule

`resetall
