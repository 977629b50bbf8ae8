// SPDX-License-Identifier: Apache-2.0
// Read side of a DMA channel: bus bursts in, one dense byte stream out.
//
// The bytes of all rows are packed without gaps into 64-bit words, whatever their
// alignment. A burst is asked for only when the FIFO behind has room for all of it, so
// the bus is never held up by this channel (RREADY is always high) and the FIFO cannot
// overrun. One burst is outstanding. `stop` ends after the burst on the bus; a read
// error ends the same way. `done` pulses when the last word has left.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module dma_reader #(
    parameter BURST = 16,       // beats of a burst
    parameter LEVEL_BITS = 7    // width of `room`
) (
    input  wire                  clk,
    input  wire                  rst,

    input  wire                  start,
    input  wire [31:0]           addr,
    input  wire [23:0]           row_bytes,
    input  wire [15:0]           rows,
    input  wire [31:0]           stride,
    input  wire                  fixed,
    input  wire                  swap32,
    input  wire                  stop,
    output wire                  on_bus,      // a burst is outstanding
    output reg                   done,
    output reg                   error,       // pulse
    output wire [31:0]           error_addr,

    input  wire [LEVEL_BITS-1:0] room,        // free words behind
    output reg                   out_valid,   // always taken
    output reg  [63:0]           out_data,
    output reg  [3:0]            out_bytes,

    output reg                   m_axi_arvalid,
    input  wire                  m_axi_arready,
    output reg  [31:0]           m_axi_araddr,
    output reg  [7:0]            m_axi_arlen,
    output wire [1:0]            m_axi_arburst,
    input  wire                  m_axi_rvalid,
    input  wire [63:0]           m_axi_rdata,
    input  wire [1:0]            m_axi_rresp,
    input  wire                  m_axi_rlast
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (BURST < 2 || BURST > 32 || (BURST & (BURST - 1)) != 0) begin : rule0
            dma_reader_BURST_must_be_a_power_of_two_from_2_to_32 refused ();
        end
    endgenerate

    localparam BYTE_BITS = $clog2(BURST * 8) + 1;
    localparam [1:0] FIXED = 2'b00;
    localparam [1:0] INCR = 2'b01;

    wire                 burst_valid;
    wire [31:0]          burst_addr;
    wire [BYTE_BITS-1:0] burst_bytes;
    wire [BYTE_BITS-4:0] burst_beats;

    reg                  running;
    reg                  failed;
    reg                  data_phase;
    reg  [2:0]           offset;     // first useful byte of the next beat
    reg  [BYTE_BITS-1:0] left;       // useful bytes of the burst still to come
    reg  [63:0]          acc;        // bytes that do not fill a word yet
    reg  [2:0]           acc_bytes;

    // Words of this burst, one for a word the packer may have pending, one on its way.
    wire [LEVEL_BITS-1:0] needed = {{LEVEL_BITS-BYTE_BITS+3{1'b0}}, burst_beats} + {{LEVEL_BITS-2{1'b0}}, 2'd2};
    wire issue = running && burst_valid && !stop && !failed && !m_axi_arvalid && !data_phase && needed <= room;

    assign on_bus = m_axi_arvalid || data_phase;
    assign m_axi_arburst = fixed ? FIXED : INCR;
    assign error_addr = m_axi_araddr;

    dma_walker #(.BURST(BURST)) walker (
        .clk(clk),
        .rst(rst),
        .load(start),
        .addr(addr),
        .row_bytes(row_bytes),
        .rows(rows),
        .stride(stride),
        .fixed(fixed),
        .cancel(stop),
        .burst_valid(burst_valid),
        .burst_addr(burst_addr),
        .burst_bytes(burst_bytes),
        .burst_beats(burst_beats),
        .step(issue)
    );

    // ---- packer: rotate the beat so that its first useful byte lands behind the pending ones
    wire [3:0] lane_space = 4'd8 - {1'b0, offset};
    wire [3:0] count = (left < {{BYTE_BITS-4{1'b0}}, lane_space}) ? left[3:0] : lane_space;
    wire [2:0] rotate = acc_bytes - offset;
    wire [127:0] doubled = {m_axi_rdata, m_axi_rdata} << {rotate, 3'b000};
    wire [63:0] rotated = doubled[127:64];
    wire [4:0] filled = {2'b0, acc_bytes} + {1'b0, count};
    wire beat = data_phase && m_axi_rvalid;
    wire use_beat = beat && !failed && m_axi_rresp == 2'b00;

    reg [63:0] merged;
    integer i;
    always @* begin
        for (i = 0; i < 8; i = i + 1)
            merged[8*i+:8] = (i < {29'd0, acc_bytes}) ? acc[8*i+:8] : rotated[8*i+:8];
    end

    function [63:0] ordered;
        input swap;
        input [63:0] d;
        ordered = swap ? {d[39:32], d[47:40], d[55:48], d[63:56], d[7:0], d[15:8], d[23:16], d[31:24]} : d;
    endfunction

    always @(posedge clk) begin
        out_valid <= 1'b0;
        done <= 1'b0;
        error <= 1'b0;

        if (m_axi_arready) m_axi_arvalid <= 1'b0;
        if (issue) begin
            m_axi_arvalid <= 1'b1;
            m_axi_araddr <= burst_addr;
            m_axi_arlen <= {{11-BYTE_BITS{1'b0}}, burst_beats} - 8'd1;
            data_phase <= 1'b1;
            offset <= fixed ? 3'd0 : burst_addr[2:0];
            left <= burst_bytes;
        end

        if (beat) begin
            offset <= 3'd0;
            left <= left - {{BYTE_BITS-4{1'b0}}, count};
            if (m_axi_rlast) data_phase <= 1'b0;
            if (m_axi_rresp != 2'b00 && !failed) begin
                failed <= 1'b1;
                error <= 1'b1;
            end
        end
        if (use_beat) begin
            acc_bytes <= filled[2:0];
            acc <= filled[3] ? rotated : merged;
            out_valid <= filled[3];
            out_data <= ordered(swap32, merged);
            out_bytes <= 4'd8;
        end

        if (running && !burst_valid && !on_bus) begin
            running <= 1'b0;
            done <= !failed && !stop;
            if (acc_bytes != 3'd0 && !failed && !stop) begin
                out_valid <= 1'b1;
                out_data <= ordered(swap32, acc);
                out_bytes <= {1'b0, acc_bytes};
            end
        end
        if (start) begin
            running <= 1'b1;
            failed <= 1'b0;
            acc_bytes <= 3'd0;
        end

        if (rst) begin
            running <= 1'b0;
            failed <= 1'b0;
            data_phase <= 1'b0;
            m_axi_arvalid <= 1'b0;
            out_valid <= 1'b0;
            done <= 1'b0;
            error <= 1'b0;
        end
    end

    wire _unused = &{1'b0, doubled[63:0], filled[4]};

endmodule

`resetall
