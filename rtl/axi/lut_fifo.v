// Small first-word-fall-through FIFO in LUT RAM: a word appears in the cycle after it
// was written. For the few words of a queue; see ram_fifo for buffers.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module lut_fifo #(
    parameter WIDTH = 8,
    parameter LGDEPTH = 3  // log2 of the number of words, at least 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire [WIDTH-1:0] in_data,
    output wire             out_valid,
    input  wire             out_ready,
    output wire [WIDTH-1:0] out_data
);

    reg [WIDTH-1:0] mem [0:(1<<LGDEPTH)-1];
    reg [LGDEPTH:0] wr_ptr;
    reg [LGDEPTH:0] rd_ptr;

    assign out_valid = wr_ptr != rd_ptr;
    assign in_ready = (wr_ptr ^ rd_ptr) != {1'b1, {LGDEPTH{1'b0}}};
    assign out_data = mem[rd_ptr[LGDEPTH-1:0]];

    always @(posedge clk) begin
        if (in_valid && in_ready) begin
            mem[wr_ptr[LGDEPTH-1:0]] <= in_data;
            wr_ptr <= wr_ptr + 1'b1;
        end
        if (out_valid && out_ready) rd_ptr <= rd_ptr + 1'b1;
        if (rst) begin
            wr_ptr <= {LGDEPTH+1{1'b0}};
            rd_ptr <= {LGDEPTH+1{1'b0}};
        end
    end

endmodule

`resetall
