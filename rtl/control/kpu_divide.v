// SPDX-License-Identifier: Apache-2.0
// Unsigned serial divider: quotient = floor(dividend / divisor), WIDTH cycles after start.
//
// The planner needs a handful of divisions per layer, long before their results matter, so one quotient bit
// per cycle is enough. A divisor of zero gives all ones. `start` is ignored while busy.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_divide #(
    parameter WIDTH = 12  // 2..32
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             start,
    input  wire [WIDTH-1:0] dividend,
    input  wire [WIDTH-1:0] divisor,
    output reg  [WIDTH-1:0] quotient,
    output wire             busy
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (WIDTH < 2 || WIDTH > 32) begin : rule0
            kpu_divide_WIDTH_must_be_2_to_32 refused ();
        end
    endgenerate

    reg [5:0] left;
    reg [WIDTH-1:0] rem, den;
    wire [WIDTH:0] trial = {rem, quotient[WIDTH-1]};
    wire fits = trial >= {1'b0, den};
    wire [WIDTH:0] less = trial - {1'b0, den};

    assign busy = left != 6'd0;

    always @(posedge clk) begin
        if (busy) begin
            left <= left - 6'd1;
            rem <= fits ? less[WIDTH-1:0] : trial[WIDTH-1:0];
            quotient <= {quotient[WIDTH-2:0], fits};
        end else if (start) begin
            left <= WIDTH[5:0];
            rem <= {WIDTH{1'b0}};
            den <= divisor;
            quotient <= dividend;
        end
        if (rst) left <= 6'd0;
    end

    wire _unused = &{1'b0, less[WIDTH]};
endmodule

`resetall
