// SPDX-License-Identifier: Apache-2.0
// KPU core: executes the chip's layer descriptors on feature maps in its AI RAM.
//
// Parameters (weights, tables) come in over the AXI4 read master, features live in the AI RAM (AXI4 slave), results go
// back there and, on request, into the output FIFO (register fifo_data_out, or AXI4-Stream with the same words).
// How a layer runs: kpu_regs queues descriptors; kpu_decode checks one and plans it; kpu_fetch and kpu_unpack bring
// its parameters, one layer ahead; kpu_seq walks the layer and commands feature fetch, weights, issue, drain and
// write-back, which run decoupled by queues (docs/architecture.md has the figure).
//
// One clock, synchronous reset. Every interface may stall; stalls change timing only.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_job.vh"
`include "kpu_token.vh"

module kpu_core #(
    parameter SEGS = 8,            // array segments, 2, 4 or 8: most pixel columns
    parameter SEGLEN = 8,          // PEs per segment, 2, 4 or 8
    parameter LPS = 8,             // post-processing lanes per segment, a power of two up to SEGLEN
    parameter DEPTH = 128,         // partial sums per PE and bank, a power of two, 64..512
    parameter AIRAM_ROWS = 32768,  // 64-byte rows of AI RAM, up to 32768
    parameter WEIGHT_ENTRIES = 8192,  // nine-byte entries of the weight buffer, a power of two, 256..8192
    parameter CACHE_LINES = 0,     // 0: AI RAM on the chip; else lines of its cache, rows in the memory behind m_mem
    parameter CACHE_WAYS = 2,      // 1, 2 or 4
    parameter [31:0] MEM_BASE = 32'd0,  // address of AI-RAM row 0 behind m_mem, a multiple of 64
    parameter ID_W = 4             // width of the AXI ids
) (
    input  wire            clk,
    input  wire            rst,
    output wire            irq,
    // registers
    input  wire            s_axil_awvalid,
    output wire            s_axil_awready,
    input  wire [15:0]     s_axil_awaddr,
    input  wire            s_axil_wvalid,
    output wire            s_axil_wready,
    input  wire [63:0]     s_axil_wdata,
    input  wire [7:0]      s_axil_wstrb,
    output wire            s_axil_bvalid,
    input  wire            s_axil_bready,
    output wire [1:0]      s_axil_bresp,
    input  wire            s_axil_arvalid,
    output wire            s_axil_arready,
    input  wire [15:0]     s_axil_araddr,
    output wire            s_axil_rvalid,
    input  wire            s_axil_rready,
    output wire [63:0]     s_axil_rdata,
    output wire [1:0]      s_axil_rresp,
    // AI RAM
    input  wire            s_axi_awvalid,
    output wire            s_axi_awready,
    input  wire [ID_W-1:0] s_axi_awid,
    input  wire [20:0]     s_axi_awaddr,
    input  wire [7:0]      s_axi_awlen,
    input  wire [2:0]      s_axi_awsize,
    input  wire [1:0]      s_axi_awburst,
    input  wire            s_axi_wvalid,
    output wire            s_axi_wready,
    input  wire [63:0]     s_axi_wdata,
    input  wire [7:0]      s_axi_wstrb,
    input  wire            s_axi_wlast,
    output wire            s_axi_bvalid,
    input  wire            s_axi_bready,
    output wire [ID_W-1:0] s_axi_bid,
    output wire [1:0]      s_axi_bresp,
    input  wire            s_axi_arvalid,
    output wire            s_axi_arready,
    input  wire [ID_W-1:0] s_axi_arid,
    input  wire [20:0]     s_axi_araddr,
    input  wire [7:0]      s_axi_arlen,
    input  wire [2:0]      s_axi_arsize,
    input  wire [1:0]      s_axi_arburst,
    output wire            s_axi_rvalid,
    input  wire            s_axi_rready,
    output wire [ID_W-1:0] s_axi_rid,
    output wire [63:0]     s_axi_rdata,
    output wire [1:0]      s_axi_rresp,
    output wire            s_axi_rlast,
    // parameter fetch
    output wire            m_axi_arvalid,
    input  wire            m_axi_arready,
    output wire [ID_W-1:0] m_axi_arid,
    output wire [31:0]     m_axi_araddr,
    output wire [7:0]      m_axi_arlen,
    output wire [2:0]      m_axi_arsize,
    output wire [1:0]      m_axi_arburst,
    input  wire            m_axi_rvalid,
    output wire            m_axi_rready,
    input  wire [ID_W-1:0] m_axi_rid,
    input  wire [63:0]     m_axi_rdata,
    input  wire [1:0]      m_axi_rresp,
    input  wire            m_axi_rlast,
    // rows of the AI RAM in an external memory (CACHE_LINES > 0)
    output wire            m_mem_awvalid,
    input  wire            m_mem_awready,
    output wire [ID_W-1:0] m_mem_awid,
    output wire [31:0]     m_mem_awaddr,
    output wire [7:0]      m_mem_awlen,
    output wire [2:0]      m_mem_awsize,
    output wire [1:0]      m_mem_awburst,
    output wire            m_mem_wvalid,
    input  wire            m_mem_wready,
    output wire [63:0]     m_mem_wdata,
    output wire [7:0]      m_mem_wstrb,
    output wire            m_mem_wlast,
    input  wire            m_mem_bvalid,
    output wire            m_mem_bready,
    input  wire [ID_W-1:0] m_mem_bid,
    input  wire [1:0]      m_mem_bresp,
    output wire            m_mem_arvalid,
    input  wire            m_mem_arready,
    output wire [ID_W-1:0] m_mem_arid,
    output wire [31:0]     m_mem_araddr,
    output wire [7:0]      m_mem_arlen,
    output wire [2:0]      m_mem_arsize,
    output wire [1:0]      m_mem_arburst,
    input  wire            m_mem_rvalid,
    output wire            m_mem_rready,
    input  wire [ID_W-1:0] m_mem_rid,
    input  wire [63:0]     m_mem_rdata,
    input  wire [1:0]      m_mem_rresp,
    input  wire            m_mem_rlast,
    // output stream
    output wire            m_axis_tvalid,
    input  wire            m_axis_tready,
    output wire [63:0]     m_axis_tdata,
    output wire [7:0]      m_axis_tkeep,
    output wire            m_axis_tlast
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (SEGS < 2 || SEGS > 8 || (SEGS & (SEGS - 1)) != 0) begin : rule0
            kpu_core_SEGS_must_be_2_4_or_8 refused ();
        end
        if (SEGLEN < 2 || SEGLEN > 8 || (SEGLEN & (SEGLEN - 1)) != 0) begin : rule1
            kpu_core_SEGLEN_must_be_2_4_or_8 refused ();
        end
        if (LPS < 1 || LPS > SEGLEN || (LPS & (LPS - 1)) != 0) begin : rule2
            kpu_core_LPS_must_be_a_power_of_two_up_to_SEGLEN refused ();
        end
        if (DEPTH < 64 || DEPTH > 512 || (DEPTH & (DEPTH - 1)) != 0) begin : rule3
            kpu_core_DEPTH_must_be_a_power_of_two_from_64_to_512 refused ();
        end
        if (AIRAM_ROWS < 2 || AIRAM_ROWS > 32768) begin : rule4
            kpu_core_AIRAM_ROWS_must_be_2_to_32768 refused ();
        end
        if (WEIGHT_ENTRIES < 256 || WEIGHT_ENTRIES > 8192 || (WEIGHT_ENTRIES & (WEIGHT_ENTRIES - 1)) != 0) begin : rule5
            kpu_core_WEIGHT_ENTRIES_must_be_a_power_of_two_from_256_to_8192 refused ();
        end
        if (ID_W < 1) begin : rule6
            kpu_core_ID_W_must_be_at_least_1 refused ();
        end
        if (CACHE_LINES != 0 && (CACHE_LINES < 4 || CACHE_LINES > AIRAM_ROWS / 2
            || (CACHE_LINES & (CACHE_LINES - 1)) != 0)) begin : rule7
            kpu_core_CACHE_LINES_must_be_0_or_a_power_of_two_up_to_half_of_AIRAM_ROWS refused ();
        end
    endgenerate

    localparam LGSEGS = $clog2(SEGS);
    localparam LGSEGLEN = $clog2(SEGLEN);
    localparam LGPES = LGSEGS + LGSEGLEN;
    localparam LGLPS = $clog2(LPS);
    localparam LANES = SEGS * LPS;
    localparam LGLANES = LGSEGS + LGLPS;
    localparam ADDR_W = $clog2(DEPTH);
    localparam PHASES = SEGLEN / LPS;
    localparam PHASE_W = PHASES > 1 ? $clog2(PHASES) : 1;
    localparam LGWEIGHTS = $clog2(WEIGHT_ENTRIES);
    localparam LGROWS = 3;  // log2 of the feature rows on their way: credits of the fetch, places behind it
    localparam PIECE = 2 * LANES > 64 ? 64 : 2 * LANES;  // bytes the write-back collects (openkpu/hw/configs.py too)

    // Registers and descriptor queue.
    wire desc_valid, desc_ready, eight_bit;
    wire [63:0] desc_data;
    wire may_start, layer_start, layer_done, active;
    wire busy, wait_param, wait_feature, wait_writeback;
    wire out_valid, out_pop, flush_out, stream_off;
    wire [63:0] out_data;
    wire [15:0] out_level;
    wire [`PLAN_W-1:0] plan, next_layer, layer;
    wire bus_error;
    reg bus_failed;
    wire cache_flush, cache_invalidate, cache_busy, memory_error;
    wire [3:0] ev_cache;

    kpu_regs #(
        .PES(SEGS * SEGLEN), .LANES(LANES), .TILE(DEPTH * SEGS), .AIRAM_ROWS(AIRAM_ROWS),
        .WEIGHT_BYTES(WEIGHT_ENTRIES * 9), .CACHE_LINES(CACHE_LINES)
    ) regs (
        .clk(clk), .rst(rst),
        .s_axil_awvalid(s_axil_awvalid), .s_axil_awready(s_axil_awready), .s_axil_awaddr(s_axil_awaddr),
        .s_axil_wvalid(s_axil_wvalid), .s_axil_wready(s_axil_wready), .s_axil_wdata(s_axil_wdata),
        .s_axil_wstrb(s_axil_wstrb), .s_axil_bvalid(s_axil_bvalid), .s_axil_bready(s_axil_bready),
        .s_axil_bresp(s_axil_bresp), .s_axil_arvalid(s_axil_arvalid), .s_axil_arready(s_axil_arready),
        .s_axil_araddr(s_axil_araddr), .s_axil_rvalid(s_axil_rvalid), .s_axil_rready(s_axil_rready),
        .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp), .irq(irq),
        .desc_valid(desc_valid), .desc_ready(desc_ready), .desc_data(desc_data), .eight_bit(eight_bit),
        .may_start(may_start), .layer_start(layer_start), .layer_done(layer_done), .layer_int(layer[`PL_INT_EN]),
        .layer_error({bus_failed, layer[`PL_ERR]}),
        .ev_active(active), .ev_busy(busy), .ev_wait_param(active && wait_param),
        .ev_wait_feature(active && wait_feature), .ev_wait_writeback(active && wait_writeback),
        .cache_flush(cache_flush), .cache_invalidate(cache_invalidate), .cache_busy(cache_busy), .ev_cache(ev_cache),
        .out_valid(out_valid), .out_data(out_data), .out_pop(out_pop), .out_level(out_level), .flush_out(flush_out),
        .stream_off(stream_off)
    );

    // Decode and plan.
    wire plan_valid, plan_room, plan_taken, fetch_ready, seq_ready;
    wire fetched;  // the next layer's plan waits for its start, its parameters are on their way
    kpu_decode #(
        .LGSEGS(LGSEGS), .LGSEGLEN(LGSEGLEN), .DEPTH(DEPTH), .AIRAM_ROWS(AIRAM_ROWS), .LGWEIGHTS(LGWEIGHTS),
        .WEIGHT_BYTES(WEIGHT_ENTRIES * 9), .CACHED(CACHE_LINES != 0 ? 1 : 0)
    ) decode (
        .clk(clk), .rst(rst), .desc_valid(desc_valid), .desc_ready(desc_ready), .desc_data(desc_data),
        .eight_bit(eight_bit), .plan_valid(plan_valid), .plan_ready(plan_taken), .plan(plan)
    );
    // The parameter fetch begins with a plan as soon as no other one waits; the plan after it can be made meanwhile.
    wire fetch_valid = plan_valid && !fetched && plan_room;
    assign plan_taken = fetch_valid && fetch_ready;
    wire seq_valid = fetched && may_start;
    kpu_queue #(.WIDTH(`PLAN_W), .LGDEPTH(1)) plans (
        .clk(clk), .rst(rst), .s_valid(plan_taken), .s_ready(plan_room), .s_data(plan),
        .m_valid(fetched), .m_ready(may_start && seq_ready), .m_data(next_layer)
    );

    // Parameter fetch.
    wire fetch_bn_bank, fetch_act_bank, fetch_sw_bank;
    reg bn_bank, act_bank, sw_bank;
    wire job_valid, job_ready, job_out_valid, job_out_ready;
    wire [`JOB_W-1:0] job, job_out;
    kpu_fetch #(.LGPES(LGPES), .ID_W(ID_W)) fetch (
        .clk(clk), .rst(rst), .plan_valid(fetch_valid), .plan_ready(fetch_ready), .plan(plan),
        .bn_bank(fetch_bn_bank), .act_bank(fetch_act_bank), .sw_bank(fetch_sw_bank),
        .job_valid(job_valid), .job_ready(job_ready), .job(job),
        .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready), .m_axi_arid(m_axi_arid),
        .m_axi_araddr(m_axi_araddr), .m_axi_arlen(m_axi_arlen), .m_axi_arsize(m_axi_arsize),
        .m_axi_arburst(m_axi_arburst)
    );
    kpu_queue #(.WIDTH(`JOB_W), .LGDEPTH(4)) jobs (
        .clk(clk), .rst(rst), .s_valid(job_valid), .s_ready(job_ready), .s_data(job),
        .m_valid(job_out_valid), .m_ready(job_out_ready), .m_data(job_out)
    );
    wire [1:0] marks;
    wire act_we, bn_we, table_bank, sw_we, sw_wbank;
    wire [9:0] table_index, sw_index;
    wire [63:0] table_data;
    wire [29:0] sw_data;
    wire entry_valid, entry_ready;
    wire [71:0] entry;
    kpu_unpack unpack (
        .clk(clk), .rst(rst), .job_valid(job_out_valid), .job_ready(job_out_ready), .job(job_out),
        .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready), .m_axi_rdata(m_axi_rdata),
        .m_axi_rresp(m_axi_rresp), .bus_error(bus_error), .marks(marks),
        .act_we(act_we), .bn_we(bn_we), .table_bank(table_bank), .table_index(table_index), .table_data(table_data),
        .sw_we(sw_we), .sw_bank(sw_wbank), .sw_index(sw_index), .sw_data(sw_data),
        .entry_valid(entry_valid), .entry_ready(entry_ready), .entry(entry)
    );

    // A layer's tables are there when as many layers' marks have passed as layers have started.
    reg [1:0] started;
    wire [1:0] lead = marks - started;
    wire tables_there = lead != 2'd3;
    always @(posedge clk) begin
        if (seq_valid && seq_ready) begin
            started <= started + 2'd1;
            bn_bank <= fetch_bn_bank;
            act_bank <= fetch_act_bank;
            sw_bank <= fetch_sw_bank;
        end
        // A failed read may belong to the next layer; the layer that ends first reports it.
        if (layer_done) bus_failed <= 1'b0;
        if (bus_error || memory_error) bus_failed <= 1'b1;
        if (rst) begin
            started <= 2'd0;
            bus_failed <= 1'b0;
        end
    end

    // Sequencer.
    wire drained, stream_start, stream_done;
    wire pass_valid, pass_ready, pass_first, pass_last, pass_high, pass_load, pass_free, pass_rewind, pass_keep;
    wire [10:0] pass_channel;
    wire [3:0] pass_slots;
    wire [9:0] pass_y, pass_lines;
    wire [2:0] pass_step;
    wire [4:0] pass_word;
    wire [1:0] pass_words;
    wire [5:0] pass_x;
    wire [7:0] pass_groups;
    wire [6:0] pass_span, pass_outs;
    wire [11:0] pass_g, pass_gs;
    wire block_valid, block_ready, block_params, block_final;
    wire [10:0] block_channel, block_ox;
    wire [7:0] block_cols;
    wire [6:0] block_outs, block_groups;
    wire [9:0] block_oy, block_rows;
    kpu_seq #(.LGPES(LGPES), .LGLANES(LGLANES)) seq (
        .clk(clk), .rst(rst), .plan_valid(seq_valid), .plan_ready(seq_ready), .plan(next_layer), .layer(layer),
        .active(active), .layer_start(layer_start), .layer_done(layer_done), .drained(drained),
        .stream_start(stream_start), .stream_done(stream_done),
        .pass_valid(pass_valid), .pass_ready(pass_ready), .pass_channel(pass_channel), .pass_slots(pass_slots),
        .pass_y(pass_y), .pass_lines(pass_lines), .pass_step(pass_step), .pass_word(pass_word), .pass_words(pass_words),
        .pass_x(pass_x),
        .pass_groups(pass_groups), .pass_span(pass_span), .pass_first(pass_first), .pass_last(pass_last),
        .pass_high(pass_high), .pass_load(pass_load), .pass_free(pass_free), .pass_outs(pass_outs), .pass_g(pass_g),
        .pass_gs(pass_gs), .pass_rewind(pass_rewind), .pass_keep(pass_keep),
        .block_valid(block_valid), .block_ready(block_ready), .block_channel(block_channel),
        .block_outs(block_outs), .block_oy(block_oy), .block_rows(block_rows), .block_ox(block_ox),
        .block_cols(block_cols), .block_groups(block_groups), .block_params(block_params), .block_final(block_final)
    );
    wire dwfast = layer[`PL_DWFAST];

    // A command goes into all its queues at once.
    wire [2:0] pass_room;
    wire [2:0] block_room;
    assign pass_ready = &pass_room;
    assign block_ready = &block_room;
    wire pass_push = pass_valid && pass_ready;
    wire block_push = block_valid && block_ready;

    // Features.
    wire ff_valid, ff_ready;
    wire [10:0] ff_channel;
    wire [3:0] ff_slots;
    wire [9:0] ff_y, ff_lines;
    wire [2:0] ff_step;
    wire [4:0] ff_word;
    wire [1:0] ff_words;
    wire [5:0] ff_x;
    wire [6:0] ff_span;
    kpu_queue #(.WIDTH(58)) feature_queue (
        .clk(clk), .rst(rst), .s_valid(pass_push), .s_ready(pass_room[0]),
        .s_data({pass_channel, pass_slots, pass_y, pass_lines, pass_step, pass_word, pass_words, pass_x, pass_span}),
        .m_valid(ff_valid), .m_ready(ff_ready),
        .m_data({ff_channel, ff_slots, ff_y, ff_lines, ff_step, ff_word, ff_words, ff_x, ff_span})
    );
    wire ff_rd_valid, ff_rd_ready, token_valid, token_ready, wtoken_valid, wtoken_ready;
    wire [14:0] ff_rd_row;
    wire [63:0] ff_rd_need;
    wire [`TOKEN_W-1:0] token, wtoken;
    wire row_valid, row_ready;
    wire [511:0] row;
    kpu_feature_fetch #(.LGCREDITS(LGROWS)) feature_fetch (
        .clk(clk), .rst(rst), .layer(layer), .s_valid(ff_valid), .s_ready(ff_ready), .s_channel(ff_channel),
        .s_slots(ff_slots), .s_y(ff_y), .s_lines(ff_lines), .s_step(ff_step), .s_word(ff_word),
        .s_words(ff_words), .s_x(ff_x), .s_span(ff_span), .rd_valid(ff_rd_valid), .rd_ready(ff_rd_ready),
        .rd_row(ff_rd_row), .rd_need(ff_rd_need),
        .token_valid(token_valid), .token_ready(token_ready), .token(token), .row_taken(row_valid && row_ready)
    );
    kpu_queue #(.WIDTH(`TOKEN_W), .LGDEPTH(4)) token_queue (
        .clk(clk), .rst(rst), .s_valid(token_valid), .s_ready(token_ready), .s_data(token),
        .m_valid(wtoken_valid), .m_ready(wtoken_ready), .m_data(wtoken)
    );
    wire ram_rvalid, row_room;
    wire [511:0] ram_rdata;
    wire for_stream;  // whose row comes
    kpu_queue #(.WIDTH(512), .LGDEPTH(LGROWS)) row_queue (
        .clk(clk), .rst(rst), .s_valid(ram_rvalid && !for_stream), .s_ready(row_room), .s_data(ram_rdata),
        .m_valid(row_valid), .m_ready(row_ready), .m_data(row)
    );
    wire set_valid, take, set_done, post_en;
    wire [7:0] q;
    wire [SEGS*72-1:0] win;
    wire [LANES*72-1:0] dww;
    kpu_window #(.SEGS(SEGS), .LANES(LANES)) window (
        .clk(clk), .rst(rst), .layer(layer), .token_valid(wtoken_valid), .token_ready(wtoken_ready),
        .token(wtoken), .row_valid(row_valid), .row_ready(row_ready), .row(row), .set_valid(set_valid), .take(take),
        .q(q), .set_done(set_done), .win(win), .dww(dww)
    );

    // Weights.
    wire wq_valid, wq_ready, wq_rewind, wq_keep;
    wire [6:0] wq_outs;
    wire [11:0] wq_g, wq_gs;
    kpu_queue #(.WIDTH(33)) weight_queue (
        .clk(clk), .rst(rst), .s_valid(pass_push && pass_load), .s_ready(pass_room[1]),
        .s_data({pass_outs, pass_g, pass_gs, pass_rewind, pass_keep}),
        .m_valid(wq_valid), .m_ready(wq_ready), .m_data({wq_outs, wq_g, wq_gs, wq_rewind, wq_keep})
    );
    wire set_loaded, set_freed, w_valid, w_dw;
    wire [LGSEGS-1:0] w_seg, w_mask;
    wire [LGSEGLEN-1:0] w_pe;
    wire [71:0] w_data;
    // bypass_conv: weight one at the centre (3x3 window of the depthwise path) or at the first channel.
    wire [71:0] unity = dwfast ? {39'd0, 1'b1, 32'd0} : 72'd1;
    wire [3:0] lg_dw = LGLANES[3:0] + {2'd0, layer[`PL_LGI]};  // log2 of the bytes that the lanes cover
    kpu_weights #(.LGSIZE(LGWEIGHTS), .LGSEGS(LGSEGS), .LGSEGLEN(LGSEGLEN)) weights (
        .clk(clk), .rst(rst), .entry_valid(entry_valid), .entry_ready(entry_ready), .entry(entry),
        .s_valid(wq_valid), .s_ready(wq_ready), .s_outs(wq_outs), .s_g(wq_g), .s_gs(wq_gs), .s_rewind(wq_rewind),
        .s_keep(wq_keep), .s_dw(dwfast), .s_lgdw(lg_dw > 4'd6 ? lg_dw[1:0] - 2'd2 : 2'd0), .s_const(unity),
        .s_bypass(layer[`PL_BYPASS]),
        .s_lgp(layer[`PL_LGP]), .set_loaded(set_loaded), .set_freed(set_freed), .w_valid(w_valid),
        .w_dw(w_dw), .w_seg(w_seg), .w_mask(w_mask), .w_pe(w_pe), .w_data(w_data)
    );

    // Issue.
    wire iq_valid, iq_ready, iq_first, iq_last, iq_high, iq_load, iq_free;
    wire [9:0] iq_lines;
    wire [7:0] iq_groups;
    wire [5:0] iq_x;
    wire [1:0] iq_slot;
    wire [1:0] slot_mask = layer[`PL_LGI] == 2'd2 ? 2'd3 : layer[`PL_LGI] == 2'd1 ? 2'd1 : 2'd0;
    kpu_queue #(.WIDTH(31)) issue_queue (
        .clk(clk), .rst(rst), .s_valid(pass_push), .s_ready(pass_room[2]),
        .s_data({pass_lines, pass_groups, pass_x, pass_channel[1:0] & slot_mask, pass_first, pass_last, pass_high,
            pass_load, pass_free}),
        .m_valid(iq_valid), .m_ready(iq_ready),
        .m_data({iq_lines, iq_groups, iq_x, iq_slot, iq_first, iq_last, iq_high, iq_load, iq_free})
    );
    wire bank_freed, block_late, block_done, params_valid, issue_params_take, drain_params_take;
    wire a_valid, a_first, a_bank, a_ends, a_high;
    wire [ADDR_W-1:0] a_addr;
    wire d_valid, d_line_end, d_params_end;
    wire [5:0] d_pos;
    kpu_issue #(.LGLANES(LGLANES), .ADDR_W(ADDR_W)) issue (
        .clk(clk), .rst(rst), .layer(layer), .s_valid(iq_valid), .s_ready(iq_ready), .s_lines(iq_lines),
        .s_groups(iq_groups), .s_x(iq_x), .s_slot(iq_slot), .s_first(iq_first), .s_last(iq_last), .s_high(iq_high),
        .s_load(iq_load), .s_free(iq_free), .set_loaded(set_loaded), .set_freed(set_freed),
        .bank_freed(bank_freed), .block_late(block_late), .block_done(block_done),
        .params_valid(params_valid), .params_take(issue_params_take), .post_en(post_en),
        .set_valid(set_valid), .take(take), .q(q), .set_done(set_done),
        .a_valid(a_valid), .a_addr(a_addr), .a_first(a_first), .a_bank(a_bank), .a_ends(a_ends),
        .a_high(a_high), .d_valid(d_valid), .d_pos(d_pos), .d_line_end(d_line_end), .d_params_end(d_params_end),
        .wait_param(wait_param), .wait_feature(wait_feature), .wait_writeback(wait_writeback)
    );
    assign busy = take;

    // Array.
    wire d_re, d_bank;
    wire [PHASE_W-1:0] d_phase;
    wire [ADDR_W-1:0] d_addr;
    wire [LANES*36-1:0] d_sums;
    wire [LANES*22-1:0] d_xsums;
    kpu_array #(.SEGS(SEGS), .SEGLEN(SEGLEN), .LPS(LPS), .DEPTH(DEPTH)) array (
        .clk(clk), .rst(rst), .lgp(layer[`PL_LGP]), .win(win), .a_valid(a_valid), .a_bank(a_bank),
        .a_ends(a_ends), .a_first(a_first), .a_high(a_high), .a_addr(a_addr),
        .w_valid(w_valid), .w_dw(w_dw), .w_seg(w_seg), .w_mask(w_mask), .w_pe(w_pe),
        .w_data(w_data), .w_loaded(set_loaded), .dw(dwfast), .dw_en(post_en && d_valid), .dww(dww),
        .d_re(d_re), .d_bank(d_bank), .d_phase(d_phase), .d_addr(d_addr), .d_sums(d_sums), .d_xsums(d_xsums)
    );

    // Drain.
    wire dq_valid, dq_ready, dq_below;
    wire [9:0] dq_rows;
    wire [10:0] dq_ox;
    wire [6:0] dq_cols, dq_groups;  // never depthwise
    wire [9:0] block_end_row = block_oy + block_rows;
    kpu_queue #(.WIDTH(36)) drain_queue (
        .clk(clk), .rst(rst), .s_valid(block_push && !dwfast), .s_ready(block_room[0]),
        .s_data({block_rows, block_ox, block_cols[6:0], block_groups, block_end_row != layer[`PL_OH]}),
        .m_valid(dq_valid), .m_ready(dq_ready), .m_data({dq_rows, dq_ox, dq_cols, dq_groups, dq_below})
    );
    wire n_first, n_last, n_line_end, n_params_end;
    wire [5:0] n_pos;
    kpu_drain #(.PHASES(PHASES), .SKEW(SEGS), .ADDR_W(ADDR_W)) drain (
        .clk(clk), .rst(rst), .layer(layer), .en(post_en), .s_valid(dq_valid), .s_ready(dq_ready), .s_rows(dq_rows),
        .s_ox(dq_ox), .s_cols(dq_cols), .s_groups(dq_groups), .s_below(dq_below), .block_done(block_done && !dwfast),
        .bank_freed(bank_freed), .params_valid(params_valid), .params_take(drain_params_take),
        .d_re(d_re), .d_bank(d_bank), .d_phase(d_phase), .d_addr(d_addr),
        .t_first(n_first), .t_last(n_last), .t_pos(n_pos), .t_line_end(n_line_end), .t_params_end(n_params_end)
    );

    // Lane parameters.
    wire pq_valid, pq_ready;
    wire [10:0] pq_channel;
    kpu_queue #(.WIDTH(11)) params_queue (
        .clk(clk), .rst(rst), .s_valid(block_push && block_params), .s_ready(block_room[1]),
        .s_data(block_channel), .m_valid(pq_valid), .m_ready(pq_ready), .m_data(pq_channel)
    );
    wire params_free, p_we, p_bank, p_all, act_busy;
    wire [LGSEGS-1:0] p_seg, p_mask;
    wire [2:0] p_lane;
    wire [59:0] p_bn;
    wire [35:0] p_c;
    kpu_params #(.SEGS(SEGS), .SEGLEN(SEGLEN), .LPS(LPS)) params (
        .clk(clk), .rst(rst), .layer(layer), .tables_there(tables_there && !act_busy), .bn_bank(bn_bank),
        .sw_bank(sw_bank), .s_valid(pq_valid), .s_ready(pq_ready), .s_channel(pq_channel),
        .begin_block(dwfast ? set_loaded : block_late), .params_valid(params_valid),
        .params_take(issue_params_take || drain_params_take), .params_free(params_free),
        .bn_we(bn_we), .bn_wbank(table_bank), .bn_windex(table_index), .bn_wdata(table_data),
        .sw_we(sw_we), .sw_wbank(sw_wbank), .sw_windex(sw_index), .sw_wdata(sw_data),
        .p_we(p_we), .p_bank(p_bank), .p_seg(p_seg), .p_mask(p_mask), .p_all(p_all), .p_lane(p_lane),
        .p_bn(p_bn), .p_c(p_c)
    );

    // Lanes.
    wire r_valid, r_line_end;
    wire [5:0] r_pos;
    wire [LANES*8-1:0] results;
    kpu_post #(.SEGS(SEGS), .LPS(LPS)) post (
        .clk(clk), .rst(rst), .en(post_en), .layer(layer),
        .t_valid(dwfast ? d_valid : d_re), .t_first(dwfast || n_first), .t_last(dwfast || n_last),
        .t_pos(dwfast ? d_pos : n_pos), .t_line_end(dwfast ? d_line_end : n_line_end),
        .t_params_end(dwfast ? d_params_end : n_params_end), .params_free(params_free),
        .sums(d_sums), .xsums(d_xsums),
        .p_we(p_we), .p_bank(p_bank), .p_seg(p_seg), .p_mask(p_mask), .p_all(p_all), .p_lane(p_lane), .p_bn(p_bn),
        .p_c(p_c), .act_we(act_we), .act_wbank(table_bank), .act_windex(table_index[4:0]), .act_wdata(table_data),
        .act_bank(act_bank), .act_busy(act_busy), .r_valid(r_valid), .r_pos(r_pos), .r_line_end(r_line_end),
        .results(results)
    );

    // Write-back.
    wire bq_valid, bq_ready, bq_final, writeback_idle;
    wire [10:0] complete;
    wire [10:0] bq_channel, bq_ox;
    wire [6:0] bq_outs;
    wire [7:0] bq_cols;
    wire [9:0] bq_oy, bq_rows;
    kpu_queue #(.WIDTH(58)) writeback_queue (
        .clk(clk), .rst(rst), .s_valid(block_push), .s_ready(block_room[2]),
        .s_data({block_channel, block_outs, block_oy, block_rows, block_ox, block_cols, block_final}),
        .m_valid(bq_valid), .m_ready(bq_ready), .m_data({bq_channel, bq_outs, bq_oy, bq_rows, bq_ox, bq_cols, bq_final})
    );
    wire ram_wr_valid, ram_wr_hold;
    wire [14:0] ram_wr_row;
    wire [63:0] ram_wr_be;
    wire [PIECE*8-1:0] ram_wr_data;
    kpu_writeback #(.SEGS(SEGS), .SEGLEN(SEGLEN), .LPS(LPS), .PIECE(PIECE)) writeback (
        .clk(clk), .rst(rst), .layer(layer), .en(post_en), .idle(writeback_idle), .start(layer_start),
        .complete(complete),
        .s_valid(bq_valid), .s_ready(bq_ready), .s_channel(bq_channel), .s_outs(bq_outs), .s_oy(bq_oy),
        .s_rows(bq_rows), .s_ox(bq_ox), .s_cols(bq_cols), .s_final(bq_final),
        .r_valid(r_valid), .r_pos(r_pos), .r_line_end(r_line_end), .results(results),
        .wr_valid(ram_wr_valid), .wr_hold(ram_wr_hold), .wr_row(ram_wr_row), .wr_be(ram_wr_be),
        .wr_data(ram_wr_data)
    );
    assign drained = writeback_idle;

    // Output stream: reads finished channels from the AI RAM when the feature fetch does not.
    wire so_rd_valid, ram_rd_ready;
    wire [14:0] so_rd_row;
    wire [2:0] so_rd_lane;
    wire [63:0] ram_piece;
    assign ff_rd_ready = ram_rd_ready;
    kpu_stream_out stream_out (
        .clk(clk), .rst(rst), .flush(flush_out), .start(stream_start), .done(stream_done),
        .dst_row(layer[`PL_DST]), .oc(layer[`PL_OC]), .oh(layer[`PL_OH]), .ow(layer[`PL_OW]),
        .group(3'd1 << layer[`PL_LGO]),
        .row_switch(layer[`PL_OROWSW]), .channel_switch(layer[`PL_OCHSW]), .full_add(layer[`PL_FULL_ADD]),
        .complete(complete), .blank(layer[`PL_ERR] != 4'd0), .total_m1(layer[`PL_TOTAL]),
        .rd_valid(so_rd_valid), .rd_ready(ram_rd_ready && !ff_rd_valid), .rd_row(so_rd_row),
        .rd_lane(so_rd_lane), .rd_rvalid(ram_rvalid && for_stream), .rd_piece(ram_piece),
        .out_valid(out_valid), .out_data(out_data), .out_pop(out_pop), .out_level(out_level),
        .stream_off(stream_off),
        .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready), .m_axis_tdata(m_axis_tdata),
        .m_axis_tkeep(m_axis_tkeep), .m_axis_tlast(m_axis_tlast)
    );

    generate
        if (CACHE_LINES == 0) begin : on_chip
            kpu_airam #(.ROWS(AIRAM_ROWS), .WR_BYTES(PIECE), .ID_W(ID_W)) airam (
            .clk(clk), .rst(rst),
            .rd_valid(ff_rd_valid || so_rd_valid), .rd_ready(ram_rd_ready),
            .rd_row(ff_rd_valid ? ff_rd_row : so_rd_row), .rd_lane(so_rd_lane), .rd_stream(!ff_rd_valid),
            .rd_rvalid(ram_rvalid), .rd_rstream(for_stream),
            .rd_rdata(ram_rdata), .rd_piece(ram_piece),
            .wr_valid(ram_wr_valid), .wr_hold(ram_wr_hold), .wr_row(ram_wr_row), .wr_be(ram_wr_be),
            .wr_data(ram_wr_data),
            .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready), .s_axi_awid(s_axi_awid),
            .s_axi_awaddr(s_axi_awaddr), .s_axi_awlen(s_axi_awlen), .s_axi_awsize(s_axi_awsize),
            .s_axi_awburst(s_axi_awburst), .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready),
            .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb), .s_axi_wlast(s_axi_wlast),
            .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready), .s_axi_bid(s_axi_bid), .s_axi_bresp(s_axi_bresp),
            .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready), .s_axi_arid(s_axi_arid),
            .s_axi_araddr(s_axi_araddr), .s_axi_arlen(s_axi_arlen), .s_axi_arsize(s_axi_arsize),
            .s_axi_arburst(s_axi_arburst), .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready),
            .s_axi_rid(s_axi_rid), .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rlast(s_axi_rlast)
            );
            assign ev_cache = 4'd0;
            assign cache_busy = 1'b0;
            assign memory_error = 1'b0;
            assign m_mem_awvalid = 1'b0;
            assign m_mem_awid = {ID_W{1'b0}};
            assign m_mem_awaddr = 32'd0;
            assign m_mem_awlen = 8'd0;
            assign m_mem_awsize = 3'd0;
            assign m_mem_awburst = 2'd0;
            assign m_mem_wvalid = 1'b0;
            assign m_mem_wdata = 64'd0;
            assign m_mem_wstrb = 8'd0;
            assign m_mem_wlast = 1'b0;
            assign m_mem_bready = 1'b0;
            assign m_mem_arvalid = 1'b0;
            assign m_mem_arid = {ID_W{1'b0}};
            assign m_mem_araddr = 32'd0;
            assign m_mem_arlen = 8'd0;
            assign m_mem_arsize = 3'd0;
            assign m_mem_arburst = 2'd0;
            assign m_mem_rready = 1'b0;
            wire unused = &{1'b0, ff_rd_need, cache_flush, cache_invalidate, m_mem_awready, m_mem_wready, m_mem_bvalid,
                m_mem_bid, m_mem_bresp, m_mem_arready, m_mem_rvalid, m_mem_rid, m_mem_rdata, m_mem_rresp, m_mem_rlast};
        end else begin : cached
            kpu_cache #(
                .ROWS(AIRAM_ROWS), .LINES(CACHE_LINES), .WAYS(CACHE_WAYS), .WR_BYTES(PIECE), .ID_W(ID_W),
                .BASE(MEM_BASE)
            ) airam (
            .clk(clk), .rst(rst),
            .rd_valid(ff_rd_valid || so_rd_valid), .rd_ready(ram_rd_ready),
            .rd_row(ff_rd_valid ? ff_rd_row : so_rd_row), .rd_lane(so_rd_lane), .rd_stream(!ff_rd_valid),
            .rd_rvalid(ram_rvalid), .rd_rstream(for_stream),
            .rd_need(ff_rd_valid ? ff_rd_need : 64'hFF << {so_rd_lane, 3'd0}),
            .rd_rdata(ram_rdata), .rd_piece(ram_piece),
            .wr_valid(ram_wr_valid), .wr_hold(ram_wr_hold), .wr_row(ram_wr_row), .wr_be(ram_wr_be),
            .wr_data(ram_wr_data),
            .flush(cache_flush), .invalidate(cache_invalidate), .busy(cache_busy), .bus_error(memory_error),
            .ev_read(ev_cache[0]), .ev_miss(ev_cache[1]), .ev_evict(ev_cache[2]), .ev_wait(ev_cache[3]),
            .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready), .s_axi_awid(s_axi_awid),
            .s_axi_awaddr(s_axi_awaddr), .s_axi_awlen(s_axi_awlen), .s_axi_awsize(s_axi_awsize),
            .s_axi_awburst(s_axi_awburst), .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready),
            .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb), .s_axi_wlast(s_axi_wlast),
            .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready), .s_axi_bid(s_axi_bid), .s_axi_bresp(s_axi_bresp),
            .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready), .s_axi_arid(s_axi_arid),
            .s_axi_araddr(s_axi_araddr), .s_axi_arlen(s_axi_arlen), .s_axi_arsize(s_axi_arsize),
            .s_axi_arburst(s_axi_arburst), .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready),
            .s_axi_rid(s_axi_rid), .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rlast(s_axi_rlast),
            .m_axi_awvalid(m_mem_awvalid), .m_axi_awready(m_mem_awready), .m_axi_awid(m_mem_awid),
            .m_axi_awaddr(m_mem_awaddr), .m_axi_awlen(m_mem_awlen), .m_axi_awsize(m_mem_awsize),
            .m_axi_awburst(m_mem_awburst), .m_axi_wvalid(m_mem_wvalid), .m_axi_wready(m_mem_wready),
            .m_axi_wdata(m_mem_wdata), .m_axi_wstrb(m_mem_wstrb), .m_axi_wlast(m_mem_wlast),
            .m_axi_bvalid(m_mem_bvalid), .m_axi_bready(m_mem_bready), .m_axi_bid(m_mem_bid), .m_axi_bresp(m_mem_bresp),
            .m_axi_arvalid(m_mem_arvalid), .m_axi_arready(m_mem_arready), .m_axi_arid(m_mem_arid),
            .m_axi_araddr(m_mem_araddr), .m_axi_arlen(m_mem_arlen), .m_axi_arsize(m_mem_arsize),
            .m_axi_arburst(m_mem_arburst), .m_axi_rvalid(m_mem_rvalid), .m_axi_rready(m_mem_rready),
            .m_axi_rid(m_mem_rid), .m_axi_rdata(m_mem_rdata), .m_axi_rresp(m_mem_rresp), .m_axi_rlast(m_mem_rlast)
            );
        end
    endgenerate

    wire _unused = &{1'b0, m_axi_rid, m_axi_rlast, row_room};
endmodule

`resetall
