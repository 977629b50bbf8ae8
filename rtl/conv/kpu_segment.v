// SPDX-License-Identifier: Apache-2.0
// Segment of the systolic array: SEGLEN processing elements that see the same pixels, one output channel each.
//
// Pixels come from the window former (head of a pixel column) or from the segment before, one cycle later; segments
// therefore form 1, 2, 4 or 8 columns without wires that span the array. Beside the PEs one accumulator sums
// the pixels (S_x, spec 5.1), once per pixel instead of once per output channel.
//
// The next pass's weights take the place of those in use behind the last pixel of a pass, or as soon as they have
// arrived. They arrive in time for the pass's first pixel, and are gone before those of the pass after it come:
//   cycle T      kpu_issue takes the last pixel of pass n - 1; T + 1: set_freed, the pixel is in ctl_in
//         T + 2  stage A: pass n's weights move in behind it (`move`); T + 3: stage A of pass n's first pixel
//         T + 4  the first weights of pass n + 1 (w_valid), if all of pass n's had come two cycles before
//         L      the last weights of pass n (w_valid, loaded); L + 1: they move in, if pass n - 1 has ended
//         L + 2  the first weights of pass n + 1, if pass n - 1 has ended; L + 4: stage A of pass n's first pixel
// All of this is j cycles later in a column's segment j, except for the weights of pass n + 1: j * SEGLEN cycles, as they
// come PE by PE. `loaded` therefore travels with the pixels. Depthwise all segments do the same in the same cycle.
//
// Depthwise: the first LPS PEs take a window of their own each, and their dot products leave at once. Where they are at most
// half of the PEs, every one shares its pixels, and so its multipliers, with a PE that has nothing to do then.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_segment #(
    parameter SEGLEN = 8,    // PEs
    parameter LPS = 4,       // lanes; SEGLEN / LPS drain phases
    parameter DEPTH = 128,   // partial sums per bank
    parameter LGSEGS = 3,
    parameter INDEX = 0,     // number of the segment
    parameter ADDR_W = $clog2(DEPTH),
    parameter LGSEGLEN = $clog2(SEGLEN),
    parameter PHASE_W = SEGLEN > LPS ? $clog2(SEGLEN / LPS) : 1,
    parameter CTL_W = ADDR_W + 6
) (
    input  wire                clk,
    input  wire                rst,
    // pixels and controls {loaded, valid, bank, ends, first, high, addr}
    input  wire [71:0]         x_in,
    input  wire [CTL_W-1:0]    ctl_in,
    output reg  [71:0]         x,
    output reg  [CTL_W-1:0]    ctl,
    // weights, to all segments at once
    input  wire                w_valid,
    input  wire                w_dw,
    input  wire [LGSEGS-1:0]   w_seg,
    input  wire [LGSEGS-1:0]   w_mask,
    input  wire [LGSEGLEN-1:0] w_pe,
    input  wire [71:0]         w_data,
    // depthwise
    input  wire                dw,
    input  wire                dw_en,
    input  wire                dw_loaded,
    input  wire                dw_ends,
    input  wire [LPS*72-1:0]   dww,
    // drain
    input  wire                d_re,
    input  wire                d_bank,
    input  wire [PHASE_W-1:0]  d_phase,
    input  wire [ADDR_W-1:0]   d_addr,
    output wire [LPS*36-1:0]   d_sums,
    output wire [LPS*22-1:0]   d_xsums
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGLEN < 2 || SEGLEN > 8 || (SEGLEN & (SEGLEN - 1)) != 0) begin : rule0
            kpu_segment_SEGLEN_must_be_2_4_or_8 refused ();
        end
        if (LPS < 1 || LPS > SEGLEN || (LPS & (LPS - 1)) != 0) begin : rule1
            kpu_segment_LPS_must_be_a_power_of_two_up_to_SEGLEN refused ();
        end
        if (DEPTH < 64 || DEPTH > 512 || (DEPTH & (DEPTH - 1)) != 0) begin : rule2
            kpu_segment_DEPTH_must_be_a_power_of_two_from_64_to_512 refused ();
        end
        if (LGSEGS < 1 || LGSEGS > 3) begin : rule3
            kpu_segment_LGSEGS_must_be_1_to_3 refused ();
        end
    endgenerate

    wire a_valid = ctl[ADDR_W+4];
    wire a_bank = ctl[ADDR_W+3];
    wire a_ends = ctl[ADDR_W+2];
    wire a_first = ctl[ADDR_W+1];
    wire a_high = ctl[ADDR_W];
    wire [ADDR_W-1:0] a_addr = ctl[ADDR_W-1:0];
    reg b_valid, b_bank, b_first, b_high;
    reg [ADDR_W-1:0] b_addr;
    reg d_bank_q;
    reg [PHASE_W-1:0] d_phase_q;
    reg [11:0] nine;  // sum of the pixels in stage B

    // Weights: those of a pass that has not ended are in use, those of the next one have come.
    reg in_use, pending;
    wire ends = dw ? dw_en && dw_ends : a_valid && a_ends;
    wire move = pending && (!in_use || ends);
    wire mine = w_valid && ((INDEX[LGSEGS-1:0] ^ w_seg) & w_mask) == {LGSEGS{1'b0}};
    wire [SEGLEN*36-1:0] sums;
    wire [SEGLEN*20-1:0] dots;
    wire [21:0] xsum0, xsum1;
    wire [21:0] xsum = d_bank_q ? xsum1 : xsum0;

    localparam HALF = SEGLEN / 2;
    wire [SEGLEN*72-1:0] own, weights;
    wire [SEGLEN*144-1:0] products;

    genvar i, t;
    generate
        for (i = 0; i < HALF; i = i + 1) begin : pair
            for (t = 0; t < 9; t = t + 1) begin : tap
                if (LPS <= HALF) begin : shared
                    kpu_two_products multiply (
                        .x(own[72*i+8*t+:8]), .a(weights[72*i+8*t+:8]), .b(weights[72*(i+HALF)+8*t+:8]),
                        .xa(products[144*i+16*t+:16]), .xb(products[144*(i+HALF)+16*t+:16])
                    );
                end else begin : single
                    assign products[144*i+16*t+:16] = own[72*i+8*t+:8] * weights[72*i+8*t+:8];
                    assign products[144*(i+HALF)+16*t+:16] = own[72*(i+HALF)+8*t+:8] * weights[72*(i+HALF)+8*t+:8];
                end
            end
        end

        for (i = 0; i < SEGLEN; i = i + 1) begin : pe
            assign own[72*i+:72] = i < LPS && dw ? dww[72*(i%LPS)+:72] : x;
            kpu_pe #(.DEPTH(DEPTH)) u (
                .clk(clk),
                .w_we(mine && (w_dw ? i < LPS : w_pe == i[LGSEGLEN-1:0])), .w_data(w_data), .w_move(move),
                .w(weights[72*i+:72]), .products(products[144*i+:144]), .dot_en(dw ? dw_en : a_valid),
                .a_valid(a_valid), .a_bank(a_bank), .a_addr(a_addr),
                .b_valid(b_valid), .b_bank(b_bank), .b_first(b_first), .b_high(b_high), .b_addr(b_addr),
                .dot(dots[20*i+:20]),
                .d_re(d_re && (SEGLEN == LPS || {{32 - PHASE_W{1'b0}}, d_phase} == i / LPS)),
                .d_bank(d_bank), .d_addr(d_addr),
                .d_bank_q(d_bank_q), .d_sum(sums[36*i+:36])
            );
        end

        for (i = 0; i < LPS; i = i + 1) begin : lane
            wire [11:0] window_sum;
            if (i == 0) begin : with_pixels
                assign window_sum = nine;
            end else begin : alone
                wire [11:0] sum;
                reg [11:0] dw_xsum;
                kpu_sum_of_nine add (.bytes(dww[72*i+:72]), .sum(sum));
                always @(posedge clk) if (dw_en) dw_xsum <= sum;
                assign window_sum = dw_xsum;
            end
            assign d_sums[36*i+:36] = dw ? {16'd0, dots[20*i+:20]}
                : SEGLEN == LPS ? sums[36*i+:36] : sums[36*(d_phase_q*LPS+i)+:36];
            assign d_xsums[22*i+:22] = dw ? {10'd0, window_sum} : xsum;
        end
    endgenerate

    // S_x: like a PE whose weights are one; the high bytes of 16-bit weights see the same pixels again. Depthwise it is the
    // first lane's.
    wire [11:0] nine_now;
    kpu_sum_of_nine pixel_sum (.bytes(own[71:0]), .sum(nine_now));
    wire [21:0] after = (b_first ? 22'd0 : b_bank ? xsum1 : xsum0) + {10'd0, nine};
    wire acc0 = a_valid && !a_bank;
    wire acc1 = a_valid && a_bank;
    kpu_ram #(.WIDTH(22), .DEPTH(DEPTH)) xbank0 (
        .clk(clk), .we(b_valid && !b_bank && !b_high), .waddr(b_addr), .wdata(after),
        .re(acc0 || (d_re && !d_bank)), .raddr(acc0 ? a_addr : d_addr), .rdata(xsum0)
    );
    kpu_ram #(.WIDTH(22), .DEPTH(DEPTH)) xbank1 (
        .clk(clk), .we(b_valid && b_bank && !b_high), .waddr(b_addr), .wdata(after),
        .re(acc1 || (d_re && d_bank)), .raddr(acc1 ? a_addr : d_addr), .rdata(xsum1)
    );

    always @(posedge clk) begin
        ctl <= ctl_in;
        pending <= (dw ? dw_loaded : ctl_in[ADDR_W+5]) || (pending && !move);
        in_use <= move || (in_use && !ends);
        if (ctl_in[ADDR_W+4]) x <= x_in;
        b_valid <= a_valid;
        b_bank <= a_bank;
        b_first <= a_first;
        b_high <= a_high;
        b_addr <= a_addr;
        if (dw ? dw_en : a_valid) nine <= nine_now;
        if (d_re) begin
            d_bank_q <= d_bank;
            d_phase_q <= d_phase;
        end
        if (rst) begin
            ctl[ADDR_W+5:ADDR_W+4] <= 2'd0;
            pending <= 1'b0;
            in_use <= 1'b0;
            b_valid <= 1'b0;
        end
    end

    wire _unused = &{1'b0, dots, own};
endmodule

`resetall
