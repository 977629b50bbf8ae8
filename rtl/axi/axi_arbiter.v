// SPDX-License-Identifier: Apache-2.0
// Round-robin arbiter: one-hot grant, combinational; `take` makes the granted one the
// last in the next round.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_arbiter #(
    parameter N = 4  // requesters, at least 2
) (
    input  wire         clk,
    input  wire         rst,
    input  wire [N-1:0] request,
    output wire [N-1:0] grant,
    input  wire         take
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (N < 2) begin : rule0
            axi_arbiter_N_must_be_at_least_2 refused ();
        end
    endgenerate

    localparam [N-1:0] ONE = 1;

    reg  [N-1:0] later;  // requesters behind the one granted last
    wire [N-1:0] preferred = request & later;
    wire [N-1:0] pool = (preferred != {N{1'b0}}) ? preferred : request;

    assign grant = pool & (~pool + ONE);

    always @(posedge clk) begin
        if (take) later <= ~(grant | (grant - ONE));
        if (rst) later <= {N{1'b0}};
    end

endmodule

`resetall
