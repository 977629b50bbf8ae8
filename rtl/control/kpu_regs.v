// SPDX-License-Identifier: Apache-2.0
// Register block: the chip's nine registers, the extension page and the descriptor queue.
//
// The queue holds whole layers. A layer is offered on desc_* only when its 12 words are
// written; it leaves the queue with layer_start, because software counts layers that do
// not run yet (fifo_threshold), not those the core has looked at. A write to a full
// queue stalls the bus; reads go on. Flushing the queue drops what has not been offered.
//
// almost_empty is an event at layer_start, not a level: software enables it while the
// queue is empty and never masks it behind the last layer. An event wins over a clear in
// the same cycle. A layer with an error raises calc_done whatever its int_en says, so
// that nobody waits for it in vain.
//
// One register access takes two cycles. Unmapped offsets read 0 and ignore writes; a
// write of less than 64 bits answers SLVERR and changes nothing.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_regs #(
    parameter PES = 64,               // the first six are only reported in the extension page
    parameter LANES = 32,
    parameter TILE = 1024,            // pixels of the largest tile
    parameter AIRAM_ROWS = 32768,
    parameter WEIGHT_BYTES = 73728,   // of the weight buffer
    parameter CACHE_LINES = 0,        // of the AI RAM's cache; 0: there is none
    parameter LAYERS = 16             // depth of the queue, a power of two, 2 to 16
) (
    input  wire        clk,
    input  wire        rst,

    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [15:0] s_axil_awaddr,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    input  wire [63:0] s_axil_wdata,
    input  wire [7:0]  s_axil_wstrb,
    output reg         s_axil_bvalid,
    input  wire        s_axil_bready,
    output reg  [1:0]  s_axil_bresp,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    input  wire [15:0] s_axil_araddr,
    output reg         s_axil_rvalid,
    input  wire        s_axil_rready,
    output reg  [63:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,

    output wire        irq,

    // The 12 words of each layer, in order.
    output reg         desc_valid,
    input  wire        desc_ready,
    output wire [63:0] desc_data,
    output reg         eight_bit,     // with them: eight_bit_mode when the layer was written

    output wire        may_start,     // the oldest layer may start (stepping, see ext_control)
    input  wire        layer_start,   // the oldest layer leaves the queue
    input  wire        layer_done,
    input  wire        layer_int,     // with layer_done: int_en of that layer
    input  wire [4:0]  layer_error,   // with layer_done: bits of ext_error

    input  wire        ev_active,     // counted in every cycle they are high
    input  wire        ev_busy,
    input  wire        ev_wait_param,
    input  wire        ev_wait_feature,
    input  wire        ev_wait_writeback,

    output reg         cache_flush,       // pulses
    output reg         cache_invalidate,
    input  wire        cache_busy,
    input  wire [3:0]  ev_cache,      // counted: waiting, line written back, line fetched, row read

    input  wire        out_valid,     // output FIFO, first word falls through
    input  wire [63:0] out_data,
    output wire        out_pop,
    input  wire [15:0] out_level,
    output wire        flush_out,
    output reg         stream_off     // the words are for fifo_data_out only
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LAYERS < 2 || LAYERS > 16 || (LAYERS & (LAYERS - 1)) != 0) begin : rule0
            kpu_regs_LAYERS_must_be_a_power_of_two_from_2_to_16 refused ();
        end
    endgenerate

`include "kpu_fields.vh"

    localparam [1:0]  OKAY = 2'b00;
    localparam [1:0]  SLVERR = 2'b10;
    localparam        SLOT_BITS = $clog2(LAYERS);
    localparam        COUNT_BITS = SLOT_BITS + 1;
    localparam [3:0]  LAST_WORD = 4'd11;
    localparam        EVENTS = 5;

    // -------------------------------------------------------------- bus

    reg [2:0]  raw;
    reg [2:0]  mask;
    reg [7:0]  threshold;
    reg [4:0]  flush_n;
    reg        eight_bit_q;

    wire queue_full;

    wire       wr_whole = &s_axil_wstrb;
    wire [15:0] wr_offset = {s_axil_awaddr[15:3], 3'b000};
    wire       to_queue = wr_offset == KPU_R_LAYER_ARGUMENT_FIFO;
    wire       wr_take = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid && !(to_queue && queue_full);
    wire       wr = wr_take && wr_whole;

    assign s_axil_awready = wr_take;
    assign s_axil_wready = wr_take;

    always @(posedge clk) begin
        if (s_axil_bready) s_axil_bvalid <= 1'b0;
        if (wr_take) begin
            s_axil_bvalid <= 1'b1;
            s_axil_bresp <= wr_whole ? OKAY : SLVERR;
        end
        if (rst) s_axil_bvalid <= 1'b0;
    end

    reg        rd_pending;
    reg [15:0] rd_offset;
    reg [63:0] rd_data;

    assign s_axil_arready = !rd_pending && (!s_axil_rvalid || s_axil_rready);
    assign s_axil_rresp = OKAY;

    always @(posedge clk) begin
        if (s_axil_rready) s_axil_rvalid <= 1'b0;
        rd_pending <= s_axil_arvalid && s_axil_arready;
        rd_offset <= {s_axil_araddr[15:3], 3'b000};
        if (rd_pending) begin
            s_axil_rvalid <= 1'b1;
            s_axil_rdata <= rd_data;
        end
        if (rst) begin
            s_axil_rvalid <= 1'b0;
            rd_pending <= 1'b0;
        end
    end

    assign out_pop = rd_pending && rd_offset == KPU_R_FIFO_DATA_OUT && out_valid;

    // ------------------------------------------------- control registers

    always @(posedge clk) begin
        if (wr)
            case (wr_offset)
                KPU_R_INTERRUPT_MASK: mask <= s_axil_wdata[2:0];
                KPU_R_FIFO_THRESHOLD: threshold <= s_axil_wdata[7:0];
                KPU_R_FIFO_CTRL:      flush_n <= s_axil_wdata[4:0];
                KPU_R_EIGHT_BIT_MODE: eight_bit_q <= s_axil_wdata[0];
                default: ;
            endcase
        if (rst) begin
            mask <= KPU_R_INTERRUPT_MASK_RESET[2:0];
            threshold <= 8'd0;
            flush_n <= KPU_R_FIFO_CTRL_RESET[4:0];
            eight_bit_q <= 1'b0;
        end
    end

    assign flush_out = !flush_n[KPU_R_FIFO_CTRL_DMA_FIFO_FLUSH_N_LSB];

    wire flush_queue = !flush_n[KPU_R_FIFO_CTRL_CFG_FIFO_FLUSH_N_LSB];

    // -------------------------------------------------- descriptor queue

    // Layer pointers have one bit more than a slot number, so that full and empty differ.
    reg [COUNT_BITS-1:0] wr_layer;
    reg [3:0]            wr_word;
    reg [COUNT_BITS-1:0] rd_layer;
    reg [3:0]            rd_word;
    reg [COUNT_BITS-1:0] run_layer;
    reg [LAYERS-1:0]     eight_bits;  // of the queued layers: software may change the mode behind them

    wire [COUNT_BITS-1:0] queued = wr_layer - run_layer;
    wire push = wr && to_queue && !flush_queue;
    wire push_layer = push && wr_word == LAST_WORD;
    wire rd_begun = rd_word != 4'd0;
    wire fetch = rd_layer != wr_layer && (rd_begun || !flush_queue) && (!desc_valid || desc_ready);

    assign queue_full = queued == LAYERS[COUNT_BITS-1:0] && !flush_queue;

    kpu_ram #(.WIDTH(64), .DEPTH(LAYERS * 16)) queue (
        .clk(clk),
        .we(push),
        .waddr({wr_layer[SLOT_BITS-1:0], wr_word}),
        .wdata(s_axil_wdata),
        .re(fetch),
        .raddr({rd_layer[SLOT_BITS-1:0], rd_word}),
        .rdata(desc_data)
    );

    always @(posedge clk) begin
        if (push) wr_word <= push_layer ? 4'd0 : wr_word + 4'd1;
        if (push_layer) begin
            wr_layer <= wr_layer + 1'b1;
            eight_bits[wr_layer[SLOT_BITS-1:0]] <= eight_bit_q;
        end
        if (fetch) eight_bit <= eight_bits[rd_layer[SLOT_BITS-1:0]];
        if (fetch) rd_word <= rd_word == LAST_WORD ? 4'd0 : rd_word + 4'd1;
        if (fetch && rd_word == LAST_WORD) rd_layer <= rd_layer + 1'b1;
        if (layer_start) run_layer <= run_layer + 1'b1;
        desc_valid <= fetch || (desc_valid && !desc_ready);
        if (flush_queue) begin
            // A layer that was begun goes on: the core has taken its first words.
            wr_layer <= rd_layer + {{COUNT_BITS-1{1'b0}}, rd_begun};
            wr_word <= 4'd0;
        end
        if (rst) begin
            wr_layer <= {COUNT_BITS{1'b0}};
            rd_layer <= {COUNT_BITS{1'b0}};
            run_layer <= {COUNT_BITS{1'b0}};
            wr_word <= 4'd0;
            rd_word <= 4'd0;
            desc_valid <= 1'b0;
        end
    end

    // -------------------------------------------------------- interrupts

    wire [COUNT_BITS-1:0] pushed = queued + {{COUNT_BITS-1{1'b0}}, push_layer};
    wire [COUNT_BITS-1:0] left = pushed - {{COUNT_BITS-1{1'b0}}, layer_start};
    wire [4:0] full_threshold = {1'b0, threshold[3:0]};
    wire [4:0] empty_threshold = {1'b0, threshold[7:4]};
    wire [4:0] pushed_count = {{5-COUNT_BITS{1'b0}}, pushed};
    wire [4:0] left_count = {{5-COUNT_BITS{1'b0}}, left};
    wire       failed = layer_done && layer_error != 5'd0;

    wire [2:0] raised = {
        push_layer && pushed_count >= full_threshold,
        layer_start && left_count <= empty_threshold,
        layer_done && (layer_int || failed)
    };
    wire [2:0] cleared = wr && wr_offset == KPU_R_INTERRUPT_CLEAR ? s_axil_wdata[2:0] : 3'b000;

    assign irq = |(raw & ~mask);

    always @(posedge clk) begin
        raw <= (raw & ~cleared) | raised;
        if (rst) raw <= 3'b000;
    end

    // ------------------------------------------- counters and error status

    wire clear = wr && wr_offset == KPU_R_EXT_CONTROL && s_axil_wdata[KPU_R_EXT_CONTROL_CLEAR_LSB];

    // Stepping lets software look at a layer's result before the next one, already fetched, may overwrite anything.
    reg stepping;
    reg [4:0] steps;
    wire control = wr && wr_offset == KPU_R_EXT_CONTROL;
    assign may_start = !stepping || steps != 5'd0;

    always @(posedge clk) begin
        if (control) begin
            stepping <= s_axil_wdata[KPU_R_EXT_CONTROL_STEPPING_LSB];
            stream_off <= s_axil_wdata[KPU_R_EXT_CONTROL_STREAM_OFF_LSB];
        end
        steps <= steps + {4'd0, control && s_axil_wdata[KPU_R_EXT_CONTROL_STEP_LSB]}
            - {4'd0, stepping && layer_start};
        if (rst || !stepping && !control) steps <= 5'd0;
        if (rst) begin
            stepping <= 1'b0;
            stream_off <= 1'b0;
        end
    end

    wire [EVENTS-1:0] events = {ev_wait_writeback, ev_wait_feature, ev_wait_param, ev_busy, ev_active};

    reg  [64*EVENTS-1:0] total;
    reg  [32*EVENTS-1:0] layer_count;
    reg  [32*EVENTS-1:0] layer_figures;
    reg  [31:0]          layers;
    reg  [4:0]           error;
    reg  [15:0]          error_layer;

    integer of_layer, of_all;

    always @*
        for (of_layer = 0; of_layer < EVENTS; of_layer = of_layer + 1)
            layer_figures[32*of_layer+:32] = layer_count[32*of_layer+:32] + {31'd0, events[of_layer]};

    always @(posedge clk) begin
        for (of_all = 0; of_all < EVENTS; of_all = of_all + 1)
            total[64*of_all+:64] <= total[64*of_all+:64] + {63'd0, events[of_all]};
        layer_count <= layer_done ? {32 * EVENTS{1'b0}} : layer_figures;
        if (layer_done) layers <= layers + 32'd1;
        if (failed) begin
            error <= error | layer_error;
            if (error == 5'd0) error_layer <= layers[15:0];
        end
        if (rst || clear) begin
            total <= {64 * EVENTS{1'b0}};
            layer_count <= {32 * EVENTS{1'b0}};
            layers <= 32'd0;
            error <= 5'd0;
            error_layer <= 16'd0;
        end
    end

    // The cache's counters, where there is one.
    wire [255:0] cache_total;
    wire         cache_write = wr && wr_offset == KPU_R_EXT_CACHE;
    genvar event_number;
    generate
        for (event_number = 0; event_number < 4; event_number = event_number + 1) begin : cache_event
            if (CACHE_LINES != 0) begin : counted
                reg [63:0] count;
                always @(posedge clk) count <= rst || clear ? 64'd0 : count + {63'd0, ev_cache[event_number]};
                assign cache_total[64*event_number+:64] = count;
            end else begin : absent
                wire unused = &{1'b0, ev_cache[event_number]};
                assign cache_total[64*event_number+:64] = 64'd0;
            end
        end
    endgenerate

    always @(posedge clk) begin
        cache_flush <= cache_write && s_axil_wdata[KPU_R_EXT_CACHE_FLUSH_LSB] && !rst;
        cache_invalidate <= cache_write && s_axil_wdata[KPU_R_EXT_CACHE_INVALIDATE_LSB] && !rst;
    end

    localparam LOG_BITS = 32 * (EVENTS + 1);

    wire [LOG_BITS-1:0] log_entry;

    kpu_ram #(.WIDTH(LOG_BITS), .DEPTH(16)) layer_log (
        .clk(clk),
        .we(layer_done),
        .waddr(layers[3:0]),
        .wdata({layers, layer_figures}),
        .re(s_axil_arready),
        .raddr(s_axil_araddr[9:6]),
        .rdata(log_entry)
    );

    // ---------------------------------------------------------- read mux

    // Entries are 64 bytes apart on a 1 KiB boundary, their registers are the first 24 bytes.
    wire       in_log = rd_offset[15:10] == KPU_R_EXT_LOG_WORK[15:10];
    wire [15:0] rd_register = in_log ? {KPU_R_EXT_LOG_WORK[15:6], rd_offset[5:0]} : rd_offset;

    always @*
        case (rd_register)
            KPU_R_INTERRUPT_STATUS:   rd_data = {61'd0, raw & ~mask};
            KPU_R_INTERRUPT_RAW:      rd_data = {61'd0, raw};
            KPU_R_INTERRUPT_MASK:     rd_data = {61'd0, mask};
            KPU_R_FIFO_THRESHOLD:     rd_data = {56'd0, threshold};
            KPU_R_FIFO_DATA_OUT:      rd_data = out_valid ? out_data : 64'd0;
            KPU_R_FIFO_CTRL:          rd_data = {59'd0, flush_n};
            KPU_R_EIGHT_BIT_MODE:     rd_data = {63'd0, eight_bit_q};
            KPU_R_EXT_ID:             rd_data = KPU_R_EXT_ID_RESET;
            KPU_R_EXT_CONFIG:         rd_data = {8'd0, LAYERS[7:0], TILE[15:0], LANES[15:0], PES[15:0]};
            KPU_R_EXT_MEMORIES:       rd_data = {WEIGHT_BYTES[31:0], AIRAM_ROWS[31:0]};
            KPU_R_EXT_ERROR:          rd_data = {32'd0, error_layer, 11'd0, error};
            KPU_R_EXT_LAYERS:         rd_data = {32'd0, layers};
            KPU_R_EXT_CYCLES:         rd_data = total[0+:64];
            KPU_R_EXT_BUSY:           rd_data = total[64+:64];
            KPU_R_EXT_WAIT_PARAM:     rd_data = total[128+:64];
            KPU_R_EXT_WAIT_FEATURE:   rd_data = total[192+:64];
            KPU_R_EXT_WAIT_WRITEBACK: rd_data = total[256+:64];
            KPU_R_EXT_FIFO_LEVEL:
                rd_data = {39'd0, ev_active, {8-COUNT_BITS{1'b0}}, queued, out_level};
            KPU_R_EXT_CACHE:
                rd_data = {16'd0, CACHE_LINES[15:0], 29'd0, cache_busy || cache_flush || cache_invalidate, 2'd0};
            KPU_R_EXT_CACHE_READS:    rd_data = cache_total[0+:64];
            KPU_R_EXT_CACHE_MISSES:   rd_data = cache_total[64+:64];
            KPU_R_EXT_CACHE_EVICTIONS: rd_data = cache_total[128+:64];
            KPU_R_EXT_CACHE_WAIT:     rd_data = cache_total[192+:64];
            KPU_R_EXT_LOG_WORK:       rd_data = log_entry[0+:64];
            KPU_R_EXT_LOG_INPUTS:     rd_data = log_entry[64+:64];
            KPU_R_EXT_LOG_OUTPUTS:    rd_data = log_entry[128+:64];
            default:                  rd_data = 64'd0;
        endcase

    wire _unused = &{1'b0, s_axil_awaddr[2:0], s_axil_araddr[2:0]};

endmodule

`resetall
