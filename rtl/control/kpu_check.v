// SPDX-License-Identifier: Apache-2.0
// The rules of openkpu/hw/check.py: may this configuration carry out a layer?
//
// The sizes need products of products; `errors` is right four cycles after the words stand.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_check #(
    parameter AIRAM_ROWS = 32768,   // 64-byte rows, up to 32768
    parameter WEIGHT_BYTES = 73728  // largest weight load accepted
) (
    input  wire               clk,
    input  wire [12*64-1:0]   words,
    input  wire [`PLAN_W-1:0] layer,   // by kpu_descriptor
    output reg  [3:0]         errors   // bits 0 to 3 of ext_error
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (AIRAM_ROWS < 2 || AIRAM_ROWS > 32768) begin : rule0
            kpu_check_AIRAM_ROWS_must_be_2_to_32768 refused ();
        end
        if (WEIGHT_BYTES < 1) begin : rule1
            kpu_check_WEIGHT_BYTES_must_be_positive refused ();
        end
    endgenerate

    `include "kpu_descriptor.vh"

    wire [1:0] lgi = layer[`PL_LGI];
    wire [1:0] lgo = layer[`PL_LGO];
    wire [1:0] lgs = layer[`PL_LGS];
    wire bypass = layer[`PL_BYPASS];

    // Last row of both maps: first row, channel groups, lines, words of a line.
    wire [10:0] channels = layer[`PL_SINGLE] ? d_o_ch_num : d_i_ch_num;
    wire [9:0] src_lines = d_i_col_high - 10'd1;
    wire [9:0] dst_lines = d_o_col_high - 10'd1;
    wire [10:0] src_words = (d_i_row_wid - 11'd1) >> 6;
    wire [10:0] dst_words = (d_o_row_wid - 11'd1) >> 6;
    reg [10:0] src_groups, dst_groups;
    reg [24:0] src_span, dst_span, src_rows, dst_rows, src_last, dst_last;
    // Weight loads.
    wire [10:0] load_channels = d_o_ch_num_coef < d_o_ch_num ? d_o_ch_num_coef : d_o_ch_num;
    reg [25:0] load_bytes;
    reg [17:0] covered;  // channels of all loads
    always @(posedge clk) begin
        src_groups <= (channels - 11'd1) >> lgi;
        dst_groups <= (d_o_ch_num - 11'd1) >> lgo;
        src_span <= src_lines * d_row_switch_addr + {14'd0, src_words};
        dst_span <= dst_lines * d_wb_row_switch_addr + {14'd0, dst_words};
        src_rows <= src_groups * d_channel_switch_addr;
        dst_rows <= dst_groups * d_wb_channel_switch_addr;
        src_last <= {10'd0, d_image_src_addr} + src_rows + src_span;
        dst_last <= {10'd0, d_image_dst_addr} + dst_rows + dst_span;
        load_bytes <= load_channels * layer[`PL_CH_BYTES];
        covered <= d_load_time * d_o_ch_num_coef;
    end

    // bad_geometry
    wire bad_src_group = d_coef_group != 3'd1 && d_coef_group != 3'd2 && d_coef_group != 3'd4;
    wire bad_dst_group = d_wb_group != 3'd1 && d_wb_group != 3'd2 && d_wb_group != 3'd4;
    wire bad_slots = (lgi != 2'd0 && d_i_row_wid > 11'd64 >> lgi) || (lgo != 2'd0 && d_o_row_wid > 11'd64 >> lgo);
    wire bad_size = d_o_row_wid != layer[`PL_W] >> lgs || d_o_col_high != layer[`PL_H] >> lgs;
    wire bad_lines = (d_i_col_high > 10'd1 && {7'd0, d_row_switch_addr} <= src_words)
        || (d_o_col_high > 10'd1 && {7'd0, d_wb_row_switch_addr} <= dst_words);
    wire bad_channels = (src_groups != 11'd0 && {10'd0, d_channel_switch_addr} <= src_span)
        || (dst_groups != 11'd0 && {10'd0, d_wb_channel_switch_addr} <= dst_span);
    wire bad_loads = !bypass
        && (covered < {7'd0, d_o_ch_num} || (d_load_coor && {9'd0, d_para_size} < load_bytes));
    // airam_range, weight_size, unsupported
    wire bad_range = (!bad_src_group && src_last >= AIRAM_ROWS[24:0])
        || (!bad_dst_group && dst_last >= AIRAM_ROWS[24:0]);
    wire bad_weights = !bypass && load_bytes > WEIGHT_BYTES[25:0];
    wire bad_align = (d_load_para && d_bwsx_base_addr[2:0] != 3'd0) || (d_load_act && d_active_addr[2:0] != 3'd0);

    always @(posedge clk) begin
        errors <= {bad_align, bad_weights, bad_range, bad_src_group || bad_dst_group || bad_slots || bad_size
            || bad_lines || bad_channels || bad_loads};
    end

    wire _unused = &{1'b0, words, layer};
endmodule

`resetall
