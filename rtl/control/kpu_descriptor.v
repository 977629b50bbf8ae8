// SPDX-License-Identifier: Apache-2.0
// From the 12 words of a layer descriptor to the fields of its plan that need no search.
//
// Everything here is a field itself or follows from a few of them within a cycle; only the two products are registered,
// and stand two cycles after the words. The planned fields (kpu_planner) and the errors (kpu_check) are left 0.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_descriptor (
    input  wire               clk,
    input  wire [12*64-1:0]   words,
    input  wire               eight_bit,
    output reg  [`PLAN_W-1:0] layer
);
    `include "kpu_descriptor.vh"

    // Channels per AI-RAM row; anything but 1, 2 and 4 is refused.
    function [1:0] log2_group(input [2:0] group);
        log2_group = group == 3'd4 ? 2'd2 : group == 3'd2 ? 2'd1 : 2'd0;
    endfunction

    wire k3 = d_kernel_type == 3'd1 && !d_bypass_conv;
    wire wide = !eight_bit && !d_bypass_conv;
    wire [3:0] pool = d_first_stride || d_pool_type > 4'd9 ? 4'd0 : d_pool_type;
    wire by_channel = d_depth_wise_layer || d_bypass_conv;
    wire [1:0] lgi = log2_group(d_coef_group);
    wire [1:0] lgo = log2_group(d_wb_group);

    // Windows of the pool types: log2 of their stride, log2 of the pixels computed per side.
    reg [1:0] lgs, lgc;
    always @* begin
        case (pool)
            4'd1, 4'd2: {lgs, lgc} = {2'd1, 2'd1};
            4'd3, 4'd4: {lgs, lgc} = {2'd2, 2'd2};
            4'd5, 4'd6: {lgs, lgc} = {2'd1, 2'd0};
            4'd7:       {lgs, lgc} = {2'd2, 2'd0};
            default:    {lgs, lgc} = 4'd0;
        endcase
    end

    // Weight bytes of an output channel, and arg_add over its input channels.
    wire [14:0] ic = {4'd0, d_i_ch_num};
    wire [14:0] taps = d_depth_wise_layer ? (k3 ? 15'd9 : 15'd1) : k3 ? (ic << 3) + ic : ic;
    wire signed [11:0] summands = d_depth_wise_layer ? 12'sd1 : $signed({1'b0, d_i_ch_num});
    wire signed [51:0] sum = d_arg_add * summands;
    reg [14:0] channel_bytes;
    reg [35:0] constant;
    always @(posedge clk) begin
        channel_bytes <= wide ? taps << 1 : taps;
        constant <= d_bypass_conv ? 36'd0 : sum[35:0];
    end

    // Kept minus one: what counts with them ends at 0.
    wire [31:0] d_total_m1 = d_dma_total_byte[31:0] - 32'd1;
    wire [7:0] d_burst_m1 = d_dma_burst_size[7:0] - 8'd1;

    always @* begin
        layer = {`PLAN_W{1'b0}};
        layer[`PL_INT_EN] = d_int_en;
        layer[`PL_FULL_ADD] = d_full_add;
        layer[`PL_SEND] = d_send_data_out;
        layer[`PL_TOTAL] = d_total_m1;
        layer[`PL_DWFAST] = by_channel && pool == 4'd0 && lgi == lgo && !d_first_stride && !wide;
        layer[`PL_SINGLE] = by_channel;
        layer[`PL_K3] = k3;
        layer[`PL_BYPASS] = d_bypass_conv;
        layer[`PL_WIDE] = wide;
        layer[`PL_SRC] = d_image_src_addr;
        layer[`PL_DST] = d_image_dst_addr;
        layer[`PL_IC] = d_i_ch_num;
        layer[`PL_OC] = d_o_ch_num;
        layer[`PL_W] = d_first_stride ? (d_i_row_wid + 11'd1) >> 1 : d_i_row_wid;
        layer[`PL_H] = d_first_stride ? (d_i_col_high + 10'd1) >> 1 : d_i_col_high;
        layer[`PL_OW] = d_o_row_wid;
        layer[`PL_OH] = d_o_col_high;
        layer[`PL_DECIM] = d_first_stride;
        layer[`PL_PAD] = d_pad_value;
        layer[`PL_POOL] = pool;
        layer[`PL_LGS] = lgs;
        layer[`PL_LGC] = lgc;
        layer[`PL_OVERLAP] = pool == 4'd8 || pool == 4'd9;
        layer[`PL_LGI] = lgi;
        layer[`PL_CHSW] = d_channel_switch_addr;
        layer[`PL_ROWSW] = d_row_switch_addr;
        layer[`PL_LGO] = lgo;
        layer[`PL_OCHSW] = d_wb_channel_switch_addr;
        layer[`PL_OROWSW] = d_wb_row_switch_addr;
        layer[`PL_SHR_W] = d_shr_w;
        layer[`PL_SHR_X] = d_shr_x;
        layer[`PL_ARG_W] = d_bypass_conv ? 24'd0 : d_arg_w;
        layer[`PL_ARG_X] = d_bypass_conv ? 24'd0 : d_arg_x;
        layer[`PL_ADDC] = constant;
        layer[`PL_LOAD_BN] = d_load_para;
        layer[`PL_LOAD_ACT] = d_load_act;
        layer[`PL_BN_ADDR] = d_bwsx_base_addr;
        layer[`PL_ACT_ADDR] = d_active_addr;
        layer[`PL_W_ADDR] = d_para_start_addr;
        layer[`PL_BURST] = d_burst_m1;
        layer[`PL_LOAD_SIZE] = d_para_size;
        layer[`PL_LOAD_NCH] = d_o_ch_num_coef;
        layer[`PL_CH_BYTES] = channel_bytes;
        layer[`PL_LOAD_W] = d_load_coor;
    end
    wire _unused = &{1'b0, words, sum[51:36]};
endmodule

`resetall
