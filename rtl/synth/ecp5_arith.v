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

// Two products that share a factor, in one multiplier of 18 bits: {b, 00, a} * x = b*x * 1024 + a*x. The upper six bits of a*x
// lie over the lower six of b*x, which are therefore computed once more.
(* techmap_celltype = "kpu_two_products" *)
module two_products (x, a, b, xa, xb);
    input [7:0] x;
    input [7:0] a;
    input [7:0] b;
    output [15:0] xa;
    output [15:0] xb;
    wire [25:0] both = {b, 2'd0, a} * x;

    // x times two bits of b, as far as they count among the six.
    wire [5:0] pair0;
    wire [3:0] pair1;
    wire [6:0] odd = {x[5:0], 1'b0};
    wire [2:0] carry0, carry1;
    assign carry0[0] = 1'b0;
    assign carry1[0] = 1'b0;
    genvar i;
    generate
        for (i = 0; i < 3; i = i + 1) begin : bits0
            wire out;
            if (i < 2) assign carry0[i+1] = out;
            CCU2C #(.INIT0(16'h7888), .INIT1(16'h7888), .INJECT1_0("NO"), .INJECT1_1("NO")) add (
                .CIN(carry0[i]), .COUT(out),
                .A0(x[2*i]), .B0(b[0]), .C0(odd[2*i]), .D0(b[1]), .S0(pair0[2*i]),
                .A1(x[2*i+1]), .B1(b[0]), .C1(odd[2*i+1]), .D1(b[1]), .S1(pair0[2*i+1])
            );
        end
        for (i = 0; i < 2; i = i + 1) begin : bits1
            wire out;
            if (i < 1) assign carry1[i+1] = out;
            CCU2C #(.INIT0(16'h7888), .INIT1(16'h7888), .INJECT1_0("NO"), .INJECT1_1("NO")) add (
                .CIN(carry1[i]), .COUT(out),
                .A0(x[2*i]), .B0(b[2]), .C0(odd[2*i]), .D0(b[3]), .S0(pair1[2*i]),
                .A1(x[2*i+1]), .B1(b[2]), .C1(odd[2*i+1]), .D1(b[3]), .S1(pair1[2*i+1])
            );
        end
    endgenerate
    wire [3:0] sum = pair0[5:2] + pair1;
    wire last = x[0] & b[4];
    wire [5:0] low = {sum[3] ^ (sum[2] & last) ^ (x[1] & b[4]) ^ (x[0] & b[5]), sum[2] ^ last, sum[1:0], pair0[1:0]};

    // What the lower six bits of b*x leave of the sum is a*x; what they borrow is missing in b*x.
    wire [15:0] apart = both[25:10] - {10'd0, low};
    assign xa = {apart[5:0], both[9:0]};
    assign xb = {apart[15:6], low};
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
