// Simple dual-port RAM: one write port with byte enables, one registered read port.
//
// Every memory of the design is this module, so that one place decides what synthesis
// infers. Contract: rd_data shows the word one cycle after rd_en and holds it while
// rd_en is low; reading the word that is being written gives its old content. The
// content is not reset and not initialised.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_ram_sdp #(
    parameter WIDTH = 64,   // bits of a word, a multiple of 8
    parameter DEPTH = 512,  // words, at least 2
    parameter ADDR_BITS = $clog2(DEPTH)
) (
    input  wire                 clk,
    input  wire [WIDTH/8-1:0]   wr_strb,
    input  wire [ADDR_BITS-1:0] wr_addr,
    input  wire [WIDTH-1:0]     wr_data,
    input  wire                 rd_en,
    input  wire [ADDR_BITS-1:0] rd_addr,
    output reg  [WIDTH-1:0]     rd_data
);

    reg [WIDTH-1:0] mem [0:DEPTH-1];

    integer i;
    always @(posedge clk) begin
        for (i = 0; i < WIDTH / 8; i = i + 1)
            if (wr_strb[i]) mem[wr_addr][8*i+:8] <= wr_data[8*i+:8];
        if (rd_en) rd_data <= mem[rd_addr];
    end

endmodule

`resetall
