// SPDX-License-Identifier: Apache-2.0
// On-chip SRAM with an AXI4 slave port, 64 bits.
//
// Reads and writes have a RAM port each and never disturb each other. Reads deliver
// one beat per cycle, also from one burst to the next: 8 bytes per cycle is what the
// KPU's parameter port needs. Latency from AR to the first beat: two cycles. Writes
// take one beat per cycle and three cycles per burst besides. All burst types and
// narrow beats. The address is taken modulo the size: decoding is the interconnect's.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_sram #(
    parameter BYTES = 65536,  // a multiple of 4096, at least 65536
    parameter ADDR_BITS = $clog2(BYTES)
) (
    input  wire                 clk,
    input  wire                 rst,

    input  wire                 s_axi_arvalid,
    output wire                 s_axi_arready,
    input  wire [ADDR_BITS-1:0] s_axi_araddr,
    input  wire [7:0]           s_axi_arlen,
    input  wire [2:0]           s_axi_arsize,
    input  wire [1:0]           s_axi_arburst,
    output reg                  s_axi_rvalid,
    input  wire                 s_axi_rready,
    output wire [63:0]          s_axi_rdata,
    output wire [1:0]           s_axi_rresp,
    output reg                  s_axi_rlast,

    input  wire                 s_axi_awvalid,
    output wire                 s_axi_awready,
    input  wire [ADDR_BITS-1:0] s_axi_awaddr,
    input  wire [7:0]           s_axi_awlen,
    input  wire [2:0]           s_axi_awsize,
    input  wire [1:0]           s_axi_awburst,
    input  wire                 s_axi_wvalid,
    output wire                 s_axi_wready,
    input  wire [63:0]          s_axi_wdata,
    input  wire [7:0]           s_axi_wstrb,
    input  wire                 s_axi_wlast,
    output reg                  s_axi_bvalid,
    input  wire                 s_axi_bready,
    output wire [1:0]           s_axi_bresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (BYTES < 65536 || BYTES % 4096 != 0) begin : rule0
            axi_sram_BYTES_must_be_a_multiple_of_4096_from_65536 refused ();
        end
    endgenerate

    // ---- read
    reg                  reading;
    reg  [ADDR_BITS-1:0] read_addr;
    wire [ADDR_BITS-1:0] read_next;
    wire read_legal;
    reg  [7:0]           read_len;
    reg  [7:0]           read_left;
    reg  [2:0]           read_size;
    reg  [1:0]           read_burst;

    wire fetch = reading && (!s_axi_rvalid || s_axi_rready);
    wire read_last = read_left == 8'd0;

    assign s_axi_arready = !reading || (fetch && read_last);
    assign s_axi_rresp = 2'b00;

    axi_burst_next #(.ADDR_BITS(ADDR_BITS)) read_stepper (
        .addr(read_addr),
        .len(read_len),
        .size(read_size),
        .burst(read_burst),
        .next(read_next),
        .legal(read_legal)
    );

    always @(posedge clk) begin
        if (fetch) begin
            read_addr <= read_next;
            read_left <= read_left - 8'd1;
            s_axi_rlast <= read_last;
            if (read_last) reading <= 1'b0;
        end
        s_axi_rvalid <= fetch || (s_axi_rvalid && !s_axi_rready);
        if (s_axi_arvalid && s_axi_arready) begin
            reading <= 1'b1;
            read_addr <= s_axi_araddr;
            read_len <= s_axi_arlen;
            read_left <= s_axi_arlen;
            read_size <= s_axi_arsize;
            read_burst <= s_axi_arburst;
        end
        if (rst) begin
            reading <= 1'b0;
            s_axi_rvalid <= 1'b0;
        end
    end

    // ---- write
    reg                  writing;
    reg  [ADDR_BITS-1:0] write_addr;
    wire [ADDR_BITS-1:0] write_next;
    wire write_legal;
    reg  [7:0]           write_len;
    reg  [2:0]           write_size;
    reg  [1:0]           write_burst;

    wire store = s_axi_wvalid && s_axi_wready;

    assign s_axi_awready = !writing && !s_axi_bvalid;
    assign s_axi_wready = writing;
    assign s_axi_bresp = 2'b00;

    axi_burst_next #(.ADDR_BITS(ADDR_BITS)) write_stepper (
        .addr(write_addr),
        .len(write_len),
        .size(write_size),
        .burst(write_burst),
        .next(write_next),
        .legal(write_legal)
    );

    always @(posedge clk) begin
        if (s_axi_bready) s_axi_bvalid <= 1'b0;
        if (store) begin
            write_addr <= write_next;
            if (s_axi_wlast) begin
                writing <= 1'b0;
                s_axi_bvalid <= 1'b1;
            end
        end
        if (s_axi_awvalid && s_axi_awready) begin
            writing <= 1'b1;
            write_addr <= s_axi_awaddr;
            write_len <= s_axi_awlen;
            write_size <= s_axi_awsize;
            write_burst <= s_axi_awburst;
        end
        if (rst) begin
            writing <= 1'b0;
            s_axi_bvalid <= 1'b0;
        end
    end

    kpu_ram #(.WIDTH(64), .DEPTH(BYTES / 8), .BYTE_ENABLES(1)) ram (
        .clk(clk),
        .we({8{store}} & s_axi_wstrb),
        .waddr(write_addr[ADDR_BITS-1:3]),
        .wdata(s_axi_wdata),
        .re(fetch),
        .raddr(read_addr[ADDR_BITS-1:3]),
        .rdata(s_axi_rdata)
    );

    // The masters keep to legal bursts.
    wire unused_legal = &{1'b0, read_legal, write_legal};

endmodule

`resetall
