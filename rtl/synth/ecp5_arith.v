// SPDX-License-Identifier: Apache-2.0
// Techmap rules for the ECP5: arithmetic on carry chains instead of the carry-save trees that Yosys builds of sums.
//
// A CCU2C adds a & b and c & d per bit, so the first level of an 8x8 product needs no gates of its own.

(* techmap_celltype = "$mul" *)
module byte_product (A, B, Y);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    output [Y_WIDTH-1:0] Y;
    genvar i, k;
    generate
        if (A_WIDTH != 8 || B_WIDTH != 8 || A_SIGNED || B_SIGNED) begin
            wire _TECHMAP_FAIL_ = 1;
        end else begin
            // A times two bits of B.
            wire [9:0] pair [0:3];
            wire [9:0] even = {2'd0, A};
            wire [9:0] odd = {1'b0, A, 1'b0};
            for (k = 0; k < 4; k = k + 1) begin : pairs
                wire [5:0] carry;
                assign carry[0] = 1'b0;
                for (i = 0; i < 5; i = i + 1) begin : bits
                    CCU2C #(.INIT0(16'h7888), .INIT1(16'h7888), .INJECT1_0("NO"), .INJECT1_1("NO")) add (
                        .CIN(carry[i]), .COUT(carry[i+1]),
                        .A0(even[2*i]), .B0(B[2*k]), .C0(odd[2*i]), .D0(B[2*k+1]), .S0(pair[k][2*i]),
                        .A1(even[2*i+1]), .B1(B[2*k]), .C1(odd[2*i+1]), .D1(B[2*k+1]), .S1(pair[k][2*i+1])
                    );
                end
            end
            wire [11:0] low = {2'd0, pair[0]} + {pair[1], 2'd0};
            wire [11:0] high = {2'd0, pair[2]} + {pair[3], 2'd0};
            assign Y = {4'd0, low} + {high, 4'd0};
        end
    endgenerate
endmodule

(* techmap_celltype = "$add $sub" *)
module adder (A, B, Y);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CELLTYPE_ = "";
    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    output [Y_WIDTH-1:0] Y;
    wire [Y_WIDTH-1:0] propagate, carry;
    localparam SUB = _TECHMAP_CELLTYPE_ == "$sub";
    \$alu #(
        .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
    ) _TECHMAP_REPLACE_ (.A(A), .B(B), .CI(SUB), .BI(SUB), .Y(Y), .X(propagate), .CO(carry));
endmodule
