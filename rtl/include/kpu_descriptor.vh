// SPDX-License-Identifier: Apache-2.0
// Generated from openkpu/hw/fields.py by `python -m openkpu.hw.generate`; do not edit.
// The fields of a layer descriptor, with their true values. Include it in a module with `words`.
/* verilator lint_save */
/* verilator lint_off UNUSEDSIGNAL */
wire d_int_en = words[0 +: 1];  // set calc_done when this layer finishes
wire d_ram_flag = words[1 +: 1];  // accepted and ignored
wire d_full_add = words[2 +: 1];  // stream one 64-bit sum per output channel
wire d_depth_wise_layer = words[3 +: 1];  // output channel c uses only input channel c
wire [14:0] d_image_src_addr = words[64 +: 15];  // first 64-byte row of the input map
wire [14:0] d_image_dst_addr = words[96 +: 15];  // first 64-byte row of the output map
wire [10:0] d_i_ch_num = {1'b0, words[128 +: 10]} + 11'd1;  // input channels
wire [10:0] d_o_ch_num = {1'b0, words[160 +: 10]} + 11'd1;  // output channels
wire [10:0] d_o_ch_num_coef = {1'b0, words[176 +: 10]} + 11'd1;  // output channels whose weights fit one load
wire [10:0] d_i_row_wid = {1'b0, words[192 +: 10]} + 11'd1;  // input width
wire [9:0] d_i_col_high = {1'b0, words[202 +: 9]} + 10'd1;  // input height
wire [10:0] d_o_row_wid = {1'b0, words[224 +: 10]} + 11'd1;  // output width
wire [9:0] d_o_col_high = {1'b0, words[234 +: 9]} + 10'd1;  // output height
wire [2:0] d_kernel_type = words[256 +: 3];  // 0 = 1x1, 1 = 3x3
wire d_pad_type = words[259 +: 1];  // accepted and ignored
wire [3:0] d_pool_type = words[260 +: 4];  // kpu-hardware.md section 8
wire d_first_stride = words[264 +: 1];  // use only even rows and columns of the input
wire d_bypass_conv = words[265 +: 1];  // skip the convolution
wire d_load_para = words[266 +: 1];  // fetch the batch-norm table
wire [8:0] d_dma_burst_size = {1'b0, words[272 +: 8]} + 9'd1;  // beats of a parameter burst
wire [7:0] d_pad_value = words[280 +: 8];  // pixel outside the image
wire [31:0] d_bwsx_base_addr = words[288 +: 32];  // bus address of the batch-norm table
wire d_load_coor = words[320 +: 1];  // fetch the weights
wire [6:0] d_load_time = {1'b0, words[321 +: 6]} + 7'd1;  // weight loads
wire [16:0] d_para_size = words[335 +: 17];  // bytes of one weight load
wire [31:0] d_para_start_addr = words[352 +: 32];  // bus address of the weights
wire [3:0] d_coef_column_offset = words[384 +: 4];  // accepted and ignored
wire [11:0] d_coef_row_offset = words[388 +: 12];  // accepted and ignored
wire [14:0] d_channel_switch_addr = words[448 +: 15];  // rows from one input channel group to the next
wire [3:0] d_row_switch_addr = words[464 +: 4];  // rows from one input line to the next
wire [7:0] d_coef_size = words[468 +: 8];  // accepted and ignored
wire [2:0] d_coef_group = words[476 +: 3];  // channels per input row: 1, 2 or 4
wire d_load_act = words[479 +: 1];  // fetch the activation table
wire [31:0] d_active_addr = words[480 +: 32];  // bus address of the activation table
wire [14:0] d_wb_channel_switch_addr = words[512 +: 15];  // rows from one output channel group to the next
wire [3:0] d_wb_row_switch_addr = words[528 +: 4];  // rows from one output line to the next
wire [2:0] d_wb_group = words[532 +: 3];  // channels per output row: 1, 2 or 4
wire [3:0] d_shr_w = words[576 +: 4];  // shift of the weight-sum term
wire [3:0] d_shr_x = words[580 +: 4];  // shift of the pixel-sum term
wire signed [23:0] d_arg_w = words[584 +: 24];  // factor of the weight sum
wire signed [23:0] d_arg_x = words[608 +: 24];  // factor of the pixel sum
wire signed [39:0] d_arg_add = words[640 +: 40];  // constant per input channel
wire d_send_data_out = words[704 +: 1];  // also stream the result
wire [16:0] d_channel_byte_num = {1'b0, words[720 +: 16]} + 17'd1;  // bytes of one output channel, modulo 65536
wire [32:0] d_dma_total_byte = {1'b0, words[736 +: 32]} + 33'd1;  // bytes of the output map
/* verilator lint_restore */
