// Descriptor decoder and planner.
//
// Takes the 12 words of a layer, checks them by the rules of openkpu/hw/check.py, and plans the layer's shape on
// the array: pixel columns P (so that few output channels still fill all PEs), strip width and tile height (so that a
// tile fits the partial sums), weight pieces (so that they fit half the weight buffer). The cycle model
// in openkpu/perf follows the same rules. Planning takes about 70 cycles and overlaps the previous layer.
//
// One plan is offered at a time; the parameter fetch and the sequencer each take it once.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_decode #(
    parameter LGSEGS = 3,            // log2 of the array's segments, 1..3
    parameter LGSEGLEN = 3,          // log2 of the PEs per segment, 1..3
    parameter DEPTH = 128,           // partial sums per PE and bank, a power of two, 64..512
    parameter AIRAM_ROWS = 32768,    // 64-byte rows
    parameter LGWEIGHTS = 13,        // log2 of the weight buffer's 9-byte entries, 8..13
    parameter WEIGHT_BYTES = 73728   // largest weight load accepted
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             desc_valid,
    output wire             desc_ready,
    input  wire [63:0]      desc_data,
    input  wire             eight_bit,
    output wire             plan_valid,
    input  wire             plan_ready,
    output wire [`PLAN_W-1:0] plan
);
    `include "kpu_fields.vh"

    localparam LGPES = LGSEGS + LGSEGLEN;
    localparam [10:0] DEPTH11 = DEPTH[10:0];

    localparam [3:0] S_GET = 4'd0, S_SIZE = 4'd1, S_CHECK = 4'd2, S_TRY = 4'd3, S_COST = 4'd4, S_DIV1 = 4'd5,
        S_DIV2 = 4'd6, S_DIV3 = 4'd7, S_DIV4 = 4'd8, S_LAST = 4'd9, S_DONE = 4'd10;
    reg [3:0] state;
    reg [3:0] count;
    reg [12*64-1:0] words;

    assign desc_ready = state == S_GET;
    assign plan_valid = state == S_DONE;

    // Fields, with "minus one" undone.
    wire d_int_en = words[0 * 64 + KPU_D_INT_EN_LSB];
    wire d_full_add = words[0 * 64 + KPU_D_FULL_ADD_LSB];
    wire d_dw = words[0 * 64 + KPU_D_DEPTH_WISE_LAYER_LSB];
    wire [14:0] d_src = words[1 * 64 + KPU_D_IMAGE_SRC_ADDR_LSB +: 15];
    wire [14:0] d_dst = words[1 * 64 + KPU_D_IMAGE_DST_ADDR_LSB +: 15];
    wire [10:0] d_ic = {1'b0, words[2 * 64 + KPU_D_I_CH_NUM_LSB +: 10]} + 11'd1;
    wire [10:0] d_oc = {1'b0, words[2 * 64 + KPU_D_O_CH_NUM_LSB +: 10]} + 11'd1;
    wire [10:0] d_nch = {1'b0, words[2 * 64 + KPU_D_O_CH_NUM_COEF_LSB +: 10]} + 11'd1;
    wire [10:0] d_w = {1'b0, words[3 * 64 + KPU_D_I_ROW_WID_LSB +: 10]} + 11'd1;
    wire [9:0] d_h = {1'b0, words[3 * 64 + KPU_D_I_COL_HIGH_LSB +: 9]} + 10'd1;
    wire [10:0] d_ow = {1'b0, words[3 * 64 + KPU_D_O_ROW_WID_LSB +: 10]} + 11'd1;
    wire [9:0] d_oh = {1'b0, words[3 * 64 + KPU_D_O_COL_HIGH_LSB +: 9]} + 10'd1;
    wire [2:0] d_kernel = words[4 * 64 + KPU_D_KERNEL_TYPE_LSB +: 3];
    wire [3:0] d_pool = words[4 * 64 + KPU_D_POOL_TYPE_LSB +: 4];
    wire d_decim = words[4 * 64 + KPU_D_FIRST_STRIDE_LSB];
    wire d_bypass = words[4 * 64 + KPU_D_BYPASS_CONV_LSB];
    wire d_load_bn = words[4 * 64 + KPU_D_LOAD_PARA_LSB];
    wire [7:0] d_burst = words[4 * 64 + KPU_D_DMA_BURST_SIZE_LSB +: 8];
    wire [7:0] d_pad = words[4 * 64 + KPU_D_PAD_VALUE_LSB +: 8];
    wire [31:0] d_bn_addr = words[4 * 64 + KPU_D_BWSX_BASE_ADDR_LSB +: 32];
    wire d_load_w = words[5 * 64 + KPU_D_LOAD_COOR_LSB];
    wire [6:0] d_loads = {1'b0, words[5 * 64 + KPU_D_LOAD_TIME_LSB +: 6]} + 7'd1;
    wire [16:0] d_load_size = words[5 * 64 + KPU_D_PARA_SIZE_LSB +: 17];
    wire [31:0] d_w_addr = words[5 * 64 + KPU_D_PARA_START_ADDR_LSB +: 32];
    wire [14:0] d_chsw = words[7 * 64 + KPU_D_CHANNEL_SWITCH_ADDR_LSB +: 15];
    wire [3:0] d_rowsw = words[7 * 64 + KPU_D_ROW_SWITCH_ADDR_LSB +: 4];
    wire [2:0] d_group = words[7 * 64 + KPU_D_COEF_GROUP_LSB +: 3];
    wire d_load_act = words[7 * 64 + KPU_D_LOAD_ACT_LSB];
    wire [31:0] d_act_addr = words[7 * 64 + KPU_D_ACTIVE_ADDR_LSB +: 32];
    wire [14:0] d_ochsw = words[8 * 64 + KPU_D_WB_CHANNEL_SWITCH_ADDR_LSB +: 15];
    wire [3:0] d_orowsw = words[8 * 64 + KPU_D_WB_ROW_SWITCH_ADDR_LSB +: 4];
    wire [2:0] d_ogroup = words[8 * 64 + KPU_D_WB_GROUP_LSB +: 3];
    wire [3:0] d_shr_w = words[9 * 64 + KPU_D_SHR_W_LSB +: 4];
    wire [3:0] d_shr_x = words[9 * 64 + KPU_D_SHR_X_LSB +: 4];
    wire [23:0] d_arg_w = words[9 * 64 + KPU_D_ARG_W_LSB +: 24];
    wire [23:0] d_arg_x = words[9 * 64 + KPU_D_ARG_X_LSB +: 24];
    wire signed [39:0] d_arg_add = words[10 * 64 + KPU_D_ARG_ADD_LSB +: 40];
    wire d_send = words[11 * 64 + KPU_D_SEND_DATA_OUT_LSB];
    wire [31:0] d_total = words[11 * 64 + KPU_D_DMA_TOTAL_BYTE_LSB +: 32];

    // Kind of layer.
    wire k3 = d_kernel == 3'd1 && !d_bypass;
    wire [3:0] pool = (d_decim || d_pool > 4'd9) ? 4'd0 : d_pool;
    wire by_channel = d_dw || d_bypass;  // every output channel reads its own input channel only
    wire [10:0] w_eff = d_decim ? (d_w + 11'd1) >> 1 : d_w;
    wire [9:0] h_eff = d_decim ? (d_h + 10'd1) >> 1 : d_h;
    wire [1:0] lgi = d_group == 3'd4 ? 2'd2 : d_group == 3'd2 ? 2'd1 : 2'd0;
    wire [1:0] lgo = d_ogroup == 3'd4 ? 2'd2 : d_ogroup == 3'd2 ? 2'd1 : 2'd0;
    wire dwfast = by_channel && pool == 4'd0 && lgi == lgo && !d_decim && (eight_bit || d_bypass);
    wire wide = !eight_bit && !d_bypass;

    reg [1:0] lgs, lgc;
    reg overlap;
    always @* begin
        lgs = 2'd0;
        lgc = 2'd0;
        overlap = 1'b0;
        case (pool)
            4'd1, 4'd2: begin lgs = 2'd1; lgc = 2'd1; end
            4'd3, 4'd4: begin lgs = 2'd2; lgc = 2'd2; end
            4'd5, 4'd6: lgs = 2'd1;
            4'd7: lgs = 2'd2;
            4'd8, 4'd9: overlap = 1'b1;
            default: ;
        endcase
    end

    // Sizes that need multipliers, up to three register stages.
    wire [3:0] ksq = k3 ? 4'd9 : 4'd1;
    reg [14:0] taps_bytes;   // weight bytes of one output channel, at most 18432
    reg [25:0] load_bytes;   // bytes of one load
    reg [17:0] covered;      // channels covered by all loads
    reg [39:0] addc;
    reg [24:0] src_last, dst_last, igroup_span, ogroup_span, src_rows, dst_rows;
    reg [23:0] all_entries;
    wire [10:0] in_channels = by_channel ? d_oc : d_ic;
    reg [10:0] src_groups, dst_groups;
    wire [9:0] src_lines = d_h - 10'd1;
    wire [9:0] dst_lines = d_oh - 10'd1;
    wire [10:0] src_words = (d_w - 11'd1) >> 6;
    wire [10:0] dst_words = (d_ow - 11'd1) >> 6;
    wire [10:0] load_channels = d_nch < d_oc ? d_nch : d_oc;
    wire signed [51:0] add_all = d_arg_add * $signed({1'b0, d_dw ? 11'd1 : d_ic});
    wire [14:0] taps_now = (k3 ? {d_ic, 3'd0} + {4'd0, d_ic} : {4'd0, d_ic});
    wire [14:0] taps_sel = d_dw ? {11'd0, ksq} : taps_now;

    // Errors (openkpu/hw/check.py).
    wire [10:0] slot_i = 11'd64 >> lgi;
    wire [10:0] slot_o = 11'd64 >> lgo;
    wire bad_igroup = d_group != 3'd1 && d_group != 3'd2 && d_group != 3'd4;
    wire bad_ogroup = d_ogroup != 3'd1 && d_ogroup != 3'd2 && d_ogroup != 3'd4;
    wire bad_groups = bad_igroup || bad_ogroup;
    wire bad_slots = (lgi != 2'd0 && d_w > slot_i) || (lgo != 2'd0 && d_ow > slot_o);
    wire bad_size = d_ow != (w_eff >> lgs) || d_oh != (h_eff >> lgs);
    wire bad_lines = (d_h > 10'd1 && {7'd0, d_rowsw} <= src_words) || (d_oh > 10'd1 && {7'd0, d_orowsw} <= dst_words);
    wire bad_channels = (src_groups != 11'd0 && {10'd0, d_chsw} <= igroup_span)
        || (dst_groups != 11'd0 && {10'd0, d_ochsw} <= ogroup_span);
    wire bad_loads = !d_bypass && (covered < {7'd0, d_oc} || (d_load_w && {9'd0, d_load_size} < load_bytes));
    wire bad_range = (!bad_igroup && src_last >= AIRAM_ROWS[24:0]) || (!bad_ogroup && dst_last >= AIRAM_ROWS[24:0]);
    wire bad_weights = !d_bypass && load_bytes > WEIGHT_BYTES[25:0];
    wire bad_align = (d_load_bn && d_bn_addr[2:0] != 3'd0) || (d_load_act && d_act_addr[2:0] != 3'd0);
    wire [4:0] broken = {1'b0, bad_align, bad_weights, bad_range,
        bad_groups || bad_slots || bad_size || bad_lines || bad_channels || bad_loads};
    reg [4:0] errors;

    // Search for the cheapest number of pixel columns.
    reg [1:0] lgp, best_lgp;
    reg [2:0] lgsw, best_lgsw;
    reg [21:0] best_cost;
    reg [10:0] best_e;
    reg found;
    reg [11:0] ng;
    wire [10:0] osw = (11'd1 << lgsw) >> lgs;              // output columns of a strip
    reg [10:0] cols;
    wire [10:0] wider = d_ow - cols == 11'd0 ? cols : cols + 11'd1;
    wire [10:0] njr = (cols + (11'd1 << lgp) - 11'd1) >> lgp;
    wire [10:0] nj = overlap ? wider : njr;                // column groups of a line
    reg [10:0] entries;                                    // partial sums of one row of windows
    wire fits = (overlap ? {entries[9:0], 1'b0} : entries) <= DEPTH11;
    wire [10:0] reads = k3 ? 11'd3 : lgi == 2'd0 ? 11'd9 : lgi == 2'd1 ? 11'd5 : 11'd3;
    reg [10:0] line;
    wire [10:0] line_cost = line > reads ? line : reads;
    wire [10:0] blocks = by_channel ? 11'd1
        : (d_oc + (11'd1 << (LGPES[3:0] - {2'd0, lgp})) - 11'd1) >> (LGPES[3:0] - {2'd0, lgp});
    reg [10:0] cost_blocks, cost_line;
    reg [21:0] cost;
    wire last_try = lgp == LGSEGS[1:0] || overlap || {1'b0, lgp} + {1'b0, lgs} >= 3'd3;

    // Tile height, repetitions.
    reg div_start;
    reg [11:0] dividend, divisor;
    wire [11:0] quotient;
    wire div_busy;
    kpu_divide #(.WIDTH(12)) divide (
        .clk(clk), .rst(rst), .start(div_start), .dividend(dividend), .divisor(divisor),
        .quotient(quotient), .busy(div_busy)
    );
    wire div_done = !div_busy && !div_start;
    reg [9:0] tr_max, tiles, tiles_all, tr, tr_all;
    reg last_strip;          // the divisions are for the last strip, which may be narrower and have taller tiles
    wire [11:0] lines_max = quotient;
    wire [10:0] best_osw = (11'd1 << best_lgsw) >> lgs;
    wire [3:0] best_lgosw = {1'b0, best_lgsw} - {2'd0, lgs};
    // Used in the divisions only, long after the search has set them.
    reg [10:0] strips, last_cols;
    wire [10:0] last_nj = overlap ? last_cols : (last_cols + (11'd1 << best_lgp) - 11'd1) >> best_lgp;
    wire [10:0] last_e = last_nj << {lgc, 1'b0};
    // A quarter of the buffer: the first pass of a block waits for a whole piece.
    wire [11:0] gp = by_channel ? 12'd2 : 12'd1 << (LGWEIGHTS - 2 - LGPES + {30'd0, best_lgp});
    reg keep;
    reg [14:0] reps;
    wire [7:0] full_strips = strips[7:0] - 8'd1;
    wire [14:0] reps_all = full_strips * tiles_all + {5'd0, tiles};

    always @(posedge clk) begin
        strips <= (d_ow + best_osw - 11'd1) >> best_lgosw;
        last_cols <= d_ow - ((strips - 11'd1) << best_lgosw);
        div_start <= 1'b0;
        taps_bytes <= wide ? taps_sel << 1 : taps_sel;
        load_bytes <= load_channels * taps_bytes;
        covered <= d_loads * d_nch;
        addc <= d_bypass ? 40'd0 : add_all[39:0];
        src_groups <= (in_channels - 11'd1) >> lgi;
        dst_groups <= (d_oc - 11'd1) >> lgo;
        src_rows <= src_groups * d_chsw;
        dst_rows <= dst_groups * d_ochsw;
        src_last <= {10'd0, d_src} + src_rows + igroup_span;
        dst_last <= {10'd0, d_dst} + dst_rows + ogroup_span;
        igroup_span <= src_lines * d_rowsw + {14'd0, src_words};
        ogroup_span <= dst_lines * d_orowsw + {14'd0, dst_words};
        cols <= osw < d_ow ? osw : d_ow;
        line <= nj << lgc;
        entries <= nj << {lgc, 1'b0};
        cost_blocks <= blocks;
        cost_line <= line_cost;
        cost <= cost_blocks * cost_line;
        all_entries <= d_oc * ng;
        case (state)
            S_GET: begin
                if (desc_valid) begin
                    words[count * 64 +: 64] <= desc_data;
                    count <= count + 4'd1;
                    if (count == 4'd11) begin
                        state <= S_SIZE;
                        count <= 4'd0;
                    end
                end
            end
            S_SIZE: begin
                count <= count + 4'd1;
                errors <= broken;
                if (count == 4'd3) begin
                    count <= 4'd0;
                    state <= S_CHECK;
                end
            end
            S_CHECK: begin
                lgp <= 2'd0;
                lgsw <= d_decim ? 3'd5 : overlap ? 3'd5 : 3'd6;
                found <= 1'b0;
                // 1x1 layers take nine input channels per pass.
                dividend <= {1'b0, d_ic} + 12'd8;
                divisor <= 12'd9;
                div_start <= 1'b1;
                state <= S_TRY;
                if (errors != 5'd0) state <= S_LAST;
            end
            S_TRY: begin
                // Two cycles for the size of the strip, one for the answer.
                count <= count[1] ? 4'd0 : count + 4'd1;
                if (count[1]) begin
                    if (fits) state <= S_COST;
                    else lgsw <= lgsw - 3'd1;
                end
            end
            S_COST: begin
                count <= count + 4'd1;
                if (count == 4'd1) begin
                    if (!found || cost < best_cost) begin
                        found <= 1'b1;
                        best_cost <= cost;
                        best_lgp <= lgp;
                        best_lgsw <= lgsw;
                        best_e <= entries;
                    end
                    lgp <= lgp + 2'd1;
                    lgsw <= d_decim ? 3'd5 : 3'd6;
                    count <= 4'd0;
                    state <= last_try ? S_DIV1 : S_TRY;
                end
            end
            S_DIV1: begin
                last_strip <= 1'b0;
                if (div_done) begin
                    ng <= (by_channel ? 12'd1 : k3 ? {1'b0, d_ic} : quotient) << wide;
                    dividend <= {1'b0, DEPTH11};
                    divisor <= {1'b0, best_e};
                    div_start <= 1'b1;
                    state <= S_DIV2;
                end
            end
            S_DIV2: begin
                if (div_done) begin
                    if (overlap && lines_max < {2'd0, d_oh}) tr_max <= lines_max[9:0] - 10'd1;
                    else tr_max <= lines_max < {2'd0, d_oh} ? lines_max[9:0] : d_oh;
                    state <= S_DIV3;
                end
            end
            S_DIV3: begin
                count <= 4'd1;
                if (count == 4'd0) begin
                    dividend <= {2'd0, d_oh} + {2'd0, tr_max} - 12'd1;
                    divisor <= {2'd0, tr_max};
                    div_start <= 1'b1;
                end else if (div_done) begin
                    tiles <= quotient[9:0];
                    count <= 4'd0;
                    state <= S_DIV4;
                end
            end
            S_DIV4: begin
                count <= 4'd1;
                if (count == 4'd0) begin
                    dividend <= {2'd0, d_oh} + {2'd0, tiles} - 12'd1;
                    divisor <= {2'd0, tiles};
                    div_start <= 1'b1;
                end else if (div_done) begin
                    tr <= quotient[9:0];
                    count <= 4'd0;
                    state <= S_LAST;
                    if (!last_strip) begin
                        tr_all <= quotient[9:0];
                        tiles_all <= tiles;
                        last_strip <= 1'b1;
                        if (strips != 11'd1) begin
                            dividend <= {1'b0, DEPTH11};
                            divisor <= {1'b0, last_e};
                            div_start <= 1'b1;
                            state <= S_DIV2;
                        end
                    end
                end
            end
            S_LAST: begin
                // A single tile streams its weights and frees them at once; several tiles keep them if they fit.
                keep <= !dwfast && (reps_all != 15'd1)
                    && all_entries <= (24'd1 << LGWEIGHTS);
                reps <= dwfast ? 15'd1 : reps_all;
                state <= S_DONE;
            end
            default: begin
                if (plan_ready) state <= S_GET;
            end
        endcase
        if (rst) begin
            state <= S_GET;
            count <= 4'd0;
            div_start <= 1'b0;
        end
    end

    assign plan[`PL_ERR] = errors;
    assign plan[`PL_INT_EN] = d_int_en;
    assign plan[`PL_FULL_ADD] = d_full_add;
    assign plan[`PL_SEND] = d_send;
    assign plan[`PL_TOTAL] = d_total;
    assign plan[`PL_DWFAST] = dwfast;
    assign plan[`PL_SINGLE] = by_channel;
    assign plan[`PL_K3] = k3;
    assign plan[`PL_BYPASS] = d_bypass;
    assign plan[`PL_WIDE] = wide;
    assign plan[`PL_SRC] = d_src;
    assign plan[`PL_DST] = d_dst;
    assign plan[`PL_IC] = d_ic;
    assign plan[`PL_OC] = d_oc;
    assign plan[`PL_W] = w_eff;
    assign plan[`PL_H] = h_eff;
    assign plan[`PL_OW] = d_ow;
    assign plan[`PL_OH] = d_oh;
    assign plan[`PL_DECIM] = d_decim;
    assign plan[`PL_PAD] = d_pad;
    assign plan[`PL_POOL] = pool;
    assign plan[`PL_LGS] = lgs;
    assign plan[`PL_LGC] = lgc;
    assign plan[`PL_OVERLAP] = overlap;
    assign plan[`PL_LGI] = lgi;
    assign plan[`PL_CHSW] = d_chsw;
    assign plan[`PL_ROWSW] = d_rowsw;
    assign plan[`PL_LGO] = lgo;
    assign plan[`PL_OCHSW] = d_ochsw;
    assign plan[`PL_OROWSW] = d_orowsw;
    assign plan[`PL_SHR_W] = d_shr_w;
    assign plan[`PL_SHR_X] = d_shr_x;
    assign plan[`PL_ARG_W] = d_bypass ? 24'd0 : d_arg_w;
    assign plan[`PL_ARG_X] = d_bypass ? 24'd0 : d_arg_x;
    assign plan[`PL_ADDC] = addc[35:0];
    assign plan[`PL_LOAD_BN] = d_load_bn;
    assign plan[`PL_LOAD_ACT] = d_load_act;
    assign plan[`PL_BN_ADDR] = d_bn_addr;
    assign plan[`PL_ACT_ADDR] = d_act_addr;
    assign plan[`PL_W_ADDR] = d_w_addr;
    assign plan[`PL_BURST] = d_burst;
    assign plan[`PL_LOAD_SIZE] = d_load_size;
    assign plan[`PL_LOAD_NCH] = d_nch;
    assign plan[`PL_CH_BYTES] = taps_bytes;
    assign plan[`PL_LOAD_W] = d_load_w;
    assign plan[`PL_LGP] = best_lgp;
    assign plan[`PL_LGSW] = best_lgsw;
    assign plan[`PL_TR] = tr_all;
    assign plan[`PL_TR_LAST] = tr;
    assign plan[`PL_NG] = ng;
    assign plan[`PL_GP] = gp;
    assign plan[`PL_KEEP] = keep;
    assign plan[`PL_REPS] = reps;

    wire _unused = &{1'b0, words, add_all[51:40], addc[39:36], quotient[11:10], best_osw[0]};
endmodule

`resetall
