// SPDX-License-Identifier: Apache-2.0
// The systolic array: SEGS segments of SEGLEN processing elements, joined to 1, 2, 4 or 8 pixel columns.
//
// With P columns segment s belongs to column s / (SEGS / P); the first segment of a column takes its pixels from
// the window former, the others from their neighbour. A result is complete SEGS + 2 cycles after its issue at the latest.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_array #(
    parameter SEGS = 8,      // a power of two, 2..8
    parameter SEGLEN = 8,    // PEs per segment
    parameter LPS = 4,       // lanes per segment
    parameter DEPTH = 128,   // partial sums per PE and bank
    parameter LGSEGS = $clog2(SEGS),
    parameter ADDR_W = $clog2(DEPTH),
    parameter LGSEGLEN = $clog2(SEGLEN),
    parameter PHASE_W = SEGLEN > LPS ? $clog2(SEGLEN / LPS) : 1
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire [1:0]             lgp,       // log2 of the columns
    input  wire [SEGS*72-1:0]     win,
    input  wire                   a_valid,
    input  wire                   a_bank,
    input  wire                   a_ends,    // last pixel with these weights
    input  wire                   a_first,
    input  wire                   a_high,
    input  wire [ADDR_W-1:0]      a_addr,
    input  wire                   w_valid,
    input  wire                   w_dw,
    input  wire [LGSEGS-1:0]      w_seg,
    input  wire [LGSEGS-1:0]      w_mask,
    input  wire [LGSEGLEN-1:0]    w_pe,
    input  wire [71:0]            w_data,
    input  wire                   w_loaded,  // with the last weights of a pass
    input  wire                   dw,
    input  wire                   dw_en,
    input  wire [SEGS*LPS*72-1:0] dww,
    input  wire                   d_re,
    input  wire                   d_bank,
    input  wire [PHASE_W-1:0]     d_phase,
    input  wire [ADDR_W-1:0]      d_addr,
    output wire [SEGS*LPS*36-1:0] d_sums,
    output wire [SEGS*LPS*22-1:0] d_xsums
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_array_SEGS_must_be_2_4_or_8 refused ();
        end
        if (SEGLEN < 2 || SEGLEN > 8 || (SEGLEN & (SEGLEN - 1)) != 0) begin : rule1
            kpu_array_SEGLEN_must_be_2_4_or_8 refused ();
        end
        if (LPS < 1 || LPS > SEGLEN || (LPS & (LPS - 1)) != 0) begin : rule2
            kpu_array_LPS_must_be_a_power_of_two_up_to_SEGLEN refused ();
        end
        if (DEPTH < 64 || DEPTH > 512 || (DEPTH & (DEPTH - 1)) != 0) begin : rule3
            kpu_array_DEPTH_must_be_a_power_of_two_from_64_to_512 refused ();
        end
    endgenerate

    localparam CTL_W = ADDR_W + 6;
    wire [CTL_W-1:0] head_ctl = {w_loaded && !dw, a_valid, a_bank, a_ends, a_first, a_high, a_addr};
    // Segments per column, and which column of the window former heads segment s.
    wire [3:0] spc = SEGS[3:0] >> lgp;

    wire [71:0] x_out [0:SEGS-1];
    wire [CTL_W-1:0] ctl_out [0:SEGS-1];

    genvar s;
    generate
        for (s = 0; s < SEGS; s = s + 1) begin : seg
            wire [71:0] x_in;
            wire [CTL_W-1:0] ctl_in;
            if (s == 0) begin : first
                assign x_in = win[71:0];
                assign ctl_in = head_ctl;
            end else begin : next
                wire head = (s[3:0] & (spc - 4'd1)) == 4'd0;
                // Segment s heads column s * P / SEGS.
                wire [71:0] own = lgp == LGSEGS[1:0] ? win[72*s+:72]
                    : LGSEGS > 1 && lgp + 2'd1 == LGSEGS[1:0] ? win[72*(s/2)+:72] : win[72*(s/4)+:72];
                assign x_in = head ? own : x_out[s-1];
                assign ctl_in = head ? head_ctl : ctl_out[s-1];
            end
            kpu_segment #(
                .SEGLEN(SEGLEN), .LPS(LPS), .DEPTH(DEPTH), .LGSEGS(LGSEGS), .INDEX(s)
            ) u (
                .clk(clk), .rst(rst), .x_in(x_in), .ctl_in(ctl_in), .x(x_out[s]), .ctl(ctl_out[s]),
                .w_valid(w_valid), .w_dw(w_dw), .w_seg(w_seg), .w_mask(w_mask), .w_pe(w_pe),
                .w_data(w_data), .dw(dw), .dw_en(dw_en), .dw_loaded(w_loaded), .dw_ends(a_ends),
                .dww(dww[LPS*72*s+:LPS*72]),
                .d_re(d_re), .d_bank(d_bank), .d_phase(d_phase), .d_addr(d_addr),
                .d_sums(d_sums[LPS*36*s+:LPS*36]), .d_xsums(d_xsums[LPS*22*s+:LPS*22])
            );
        end
    endgenerate
endmodule

`resetall
