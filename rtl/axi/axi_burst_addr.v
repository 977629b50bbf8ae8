// Address of the next beat of an AXI4 burst (FIXED, INCR or WRAP), combinational.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_burst_addr #(
    parameter ADDR_BITS = 32  // 16 or more
) (
    input  wire [ADDR_BITS-1:0] addr,
    input  wire [7:0]           len,
    input  wire [2:0]           size,
    input  wire [1:0]           burst,
    output reg  [ADDR_BITS-1:0] next
);

    localparam [1:0] FIXED = 2'b00;
    localparam [1:0] WRAP = 2'b10;
    localparam [ADDR_BITS-1:0] ONE = 1;

    wire [ADDR_BITS-1:0] step = ONE << size;
    wire [ADDR_BITS-1:0] incremented = (addr & ~(step - ONE)) + step;
    wire [ADDR_BITS-1:0] wrap_mask = (({{ADDR_BITS-8{1'b0}}, len} + ONE) << size) - ONE;

    always @* begin
        case (burst)
            FIXED: next = addr;
            WRAP: next = (addr & ~wrap_mask) | (incremented & wrap_mask);
            default: next = incremented;
        endcase
    end

endmodule

`resetall
