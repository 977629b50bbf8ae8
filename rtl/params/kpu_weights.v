// SPDX-License-Identifier: Apache-2.0
// Weight buffer and its reader.
//
// The buffer is a ring of nine-byte entries that the parameter fetch fills ahead of use. For every pass the reader
// sends one entry per output channel to the array, one per cycle, into the registers beside those that the array uses.
// Entries lie channel by channel within a piece: entry(o, g) = base + o * gs + g. When the last pass of a piece
// has been sent the piece is freed, except while PL_KEEP holds a small layer's weights for all its tiles.
//
// Latency from command to first weight: 3 cycles.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_weights #(
    parameter LGSIZE = 13,   // log2 of the entries, 8..13
    parameter LGSEGS = 3,    // log2 of the array's segments
    parameter LGSEGLEN = 3   // log2 of the PEs per segment
) (
    input  wire              clk,
    input  wire              rst,
    // entries from the parameter fetch
    input  wire              entry_valid,
    output wire              entry_ready,
    input  wire [71:0]       entry,
    // pass command
    input  wire              s_valid,
    output wire              s_ready,
    input  wire [6:0]        s_outs,
    input  wire [11:0]       s_g,
    input  wire [11:0]       s_gs,
    input  wire              s_rewind,
    input  wire              s_keep,
    input  wire              s_dw,      // depthwise: channel k serves the k-th part of the lanes
    input  wire [1:0]        s_lgdw,    // depthwise: log2 of the parts, the channels side by side
    input  wire [71:0]       s_const,   // bypass_conv: these weights, nothing is read
    input  wire              s_bypass,
    input  wire [1:0]        s_lgp,
    // weight sets of the array
    output reg               set_loaded,  // pulse with the last weight: one more set can be used
    input  wire              set_freed,   // pulse: a set is no longer used
    output reg               w_valid,
    output reg               w_dw,
    output reg  [LGSEGS-1:0] w_seg,       // segment, where w_mask is 1
    output reg  [LGSEGS-1:0] w_mask,
    output reg  [LGSEGLEN-1:0] w_pe,
    output reg  [71:0]       w_data
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LGSIZE < 8 || LGSIZE > 13) begin : rule0
            kpu_weights_LGSIZE_must_be_8_to_13 refused ();
        end
        if (LGSEGS < 1 || LGSEGS > 3) begin : rule1
            kpu_weights_LGSEGS_must_be_1_to_3 refused ();
        end
        if (LGSEGLEN < 1 || LGSEGLEN > 3) begin : rule2
            kpu_weights_LGSEGLEN_must_be_1_to_3 refused ();
        end
    endgenerate

    // Ring pointers count entries; one more bit than the address tells full from empty.
    reg [LGSIZE:0] wp, freed, base, first;
    reg [LGSIZE:0] at;
    reg [6:0] o;
    reg [1:0] sets;         // weight sets loaded or being loaded and not freed
    reg busy;
    wire [LGSIZE:0] level = wp - freed;
    assign entry_ready = !level[LGSIZE];

    wire [LGSIZE:0] ahead = wp - at;
    wire there = s_bypass || (ahead != {LGSIZE + 1{1'b0}} && !ahead[LGSIZE]) || ahead == {1'b1, {LGSIZE{1'b0}}};
    wire go = busy && there;
    wire last = o + 7'd1 == s_outs;
    wire ends_piece = s_g + 12'd1 == s_gs;
    wire [15:0] gs16 = {4'd0, s_gs};
    wire [15:0] g16 = {4'd0, s_g};
    wire [LGSIZE:0] gs = gs16[LGSIZE:0];

    assign s_ready = go && last;

    reg [71:0] r_const;
    reg r_valid, r_dw, r_bypass, r_last;
    reg [1:0] r_lgdw;
    reg [6:0] r_o;
    reg [1:0] r_lgp;
    wire [71:0] r_data;

    kpu_ram #(.WIDTH(72), .DEPTH(1 << LGSIZE)) ring (
        .clk(clk), .we(entry_valid && entry_ready), .waddr(wp[LGSIZE-1:0]), .wdata(entry),
        .re(go), .raddr(at[LGSIZE-1:0]), .rdata(r_data)
    );

    wire [LGSEGS-1:0] all_segs = {LGSEGS{1'b1}};
    wire [6:0] seg_wide = r_o >> LGSEGLEN;
    // Depthwise channel k of 2**lgdw begins at segment k * SEGS / 2**lgdw.
    wire [LGSEGS+1:0] dw_place = {r_o[1:0], {LGSEGS{1'b0}}} >> r_lgdw;
    wire [LGSEGS-1:0] dw_seg = dw_place[LGSEGS-1:0];

    always @(posedge clk) begin
        if (entry_valid && entry_ready) wp <= wp + 1'b1;
        if (!busy) begin
            // Wait for a free set, then start at the first channel.
            if (s_valid && (sets < 2'd2 || set_freed)) begin
                busy <= 1'b1;
                o <= 7'd0;
                at <= base + g16[LGSIZE:0];
            end
        end else if (there) begin
            o <= o + 7'd1;
            at <= at + gs;
            if (last) begin
                busy <= 1'b0;
                if (ends_piece && !s_bypass) begin
                    base <= s_rewind ? first : at + 1'b1;
                    if (!s_keep) begin
                        freed <= at + 1'b1;
                        first <= at + 1'b1;
                    end
                end
            end
        end
        sets <= sets + {1'b0, !busy && s_valid && (sets < 2'd2 || set_freed)} - {1'b0, set_freed};

        r_const <= s_const;
        r_valid <= go;
        r_dw <= s_dw;
        r_lgdw <= s_lgdw;
        r_bypass <= s_bypass;
        r_last <= last;
        r_o <= o;
        r_lgp <= s_lgp;

        w_valid <= r_valid;
        w_dw <= r_dw;
        w_seg <= r_dw ? dw_seg : seg_wide[LGSEGS-1:0];
        w_mask <= r_dw ? ~(all_segs >> r_lgdw) : all_segs >> r_lgp;
        w_pe <= r_o[LGSEGLEN-1:0];
        w_data <= r_bypass ? r_const : r_data;
        set_loaded <= r_valid && r_last;
        if (rst) begin
            wp <= {LGSIZE + 1{1'b0}};
            freed <= {LGSIZE + 1{1'b0}};
            base <= {LGSIZE + 1{1'b0}};
            first <= {LGSIZE + 1{1'b0}};
            sets <= 2'd0;
            busy <= 1'b0;
            r_valid <= 1'b0;
            w_valid <= 1'b0;
            set_loaded <= 1'b0;
        end
    end

    wire _unused = &{1'b0, gs16, g16, seg_wide, dw_place};
endmodule

`resetall
