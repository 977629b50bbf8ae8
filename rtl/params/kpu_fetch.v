// SPDX-License-Identifier: Apache-2.0
// Parameter fetch, address side: what to read, in which order.
//
// For each layer: activation table, batch-norm table, then the weights in the order in which the array uses them.
// A layer whose weights are small enough per channel is one contiguous stream; otherwise blocks of O output
// channels are cut into pieces of PL_GP passes, channel by channel, each at most a quarter of the weight buffer.
// Layers of several tiles fetch their weights once per tile unless the buffer keeps them (PL_KEEP).
//
// Runs one layer ahead of the compute side. Bursts: INCR, 64 bit, at most dma_burst_size beats, never across 4 KB.
// One command (`job`) per contiguous segment tells kpu_unpack what the bytes are.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_job.vh"

module kpu_fetch #(
    parameter LGPES = 6,   // log2 of the number of PEs
    parameter ID_W = 4     // width of the AXI id
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               plan_valid,
    output wire               plan_ready,
    input  wire [`PLAN_W-1:0] plan,
    // banks of the layer taken last
    output reg                bn_bank,
    output reg                act_bank,
    output reg                sw_bank,
    // jobs for kpu_unpack
    output wire               job_valid,
    input  wire               job_ready,
    output wire [`JOB_W-1:0]  job,
    // AXI4 read address channel
    output reg                m_axi_arvalid,
    input  wire               m_axi_arready,
    output wire [ID_W-1:0]    m_axi_arid,
    output reg  [31:0]        m_axi_araddr,
    output reg  [7:0]         m_axi_arlen,
    output wire [2:0]         m_axi_arsize,
    output wire [1:0]         m_axi_arburst
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LGPES < 2 || LGPES > 6) begin : rule0
            kpu_fetch_LGPES_must_be_2_to_6 refused ();
        end
        if (ID_W < 1) begin : rule1
            kpu_fetch_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    localparam [1:0] K_ACT = 2'd0, K_BN = 2'd1, K_WEIGHTS = 2'd2, K_MARK = 2'd3;
    localparam [3:0] S_IDLE = 4'd0, S_ACT = 4'd1, S_BN = 4'd2, S_MARK = 4'd3, S_REP = 4'd4, S_SEG = 4'd5,
        S_LEN = 4'd6, S_PUSH = 4'd7, S_NEXT = 4'd8, S_BURST = 4'd9, S_CROSS = 4'd10;
    reg [3:0] state, after;

    reg [`PLAN_W-1:0] p;
    wire [10:0] oc = p[`PL_OC];
    wire [14:0] ch_bytes = p[`PL_CH_BYTES];
    wire [15:0] piece_max = {1'b0, p[`PL_GP], 3'd0} + {4'd0, p[`PL_GP]};  // nine bytes per pass
    // Registered, since all that follows from them is long: nothing needs them in the cycle after a change.
    reg whole;                     // one piece per channel
    reg load_ends, block_ends;     // with this segment
    wire [10:0] block = 11'd1 << (LGPES[3:0] - {2'd0, p[`PL_LGP]});

    // Position in the weights.
    reg [14:0] rep;
    reg [10:0] o, o_block;         // output channel, first one of the block
    reg [14:0] offset;             // first byte of the piece within a channel
    reg [31:0] addr, load_addr, addr_block, load_block, kept;
    reg [10:0] in_load, in_load_block;
    wire [14:0] rest = ch_bytes - offset;
    wire [14:0] piece_bytes = {1'b0, rest} > piece_max ? piece_max[14:0] : rest;
    wire last_piece = {1'b0, rest} <= piece_max;
    wire [10:0] left_load = p[`PL_LOAD_NCH] - in_load;
    wire [10:0] left_all = oc - o;
    wire [10:0] in_block = o - o_block;
    wire [10:0] run = !whole ? 11'd1 : left_load < left_all ? left_load : left_all;
    reg [25:0] run_bytes;
    wire [10:0] block_end = o_block + block < oc ? o_block + block : oc;
    wire [31:0] step = p[`PL_LOAD_W] ? {15'd0, p[`PL_LOAD_SIZE]} : 32'd0;

    // The segment being requested.
    reg [31:0] seg_addr;
    reg [25:0] seg_bytes;
    reg [1:0] seg_kind;
    reg [22:0] beats;
    wire [8:0] to_4k = 9'd0 - seg_addr[11:3];
    wire [9:0] to_boundary = seg_addr[11:3] == 9'd0 ? 10'd512 : {1'b0, to_4k};
    wire [9:0] burst = {2'd0, p[`PL_BURST]} + 10'd1;
    wire [9:0] short_burst = burst < to_boundary ? burst : to_boundary;
    wire [22:0] len = {13'd0, short_burst} < beats ? {13'd0, short_burst} : beats;

    assign plan_ready = state == S_IDLE;
    assign job_valid = state == S_PUSH;
    assign job[`JOB_KIND] = seg_kind;
    assign job[`JOB_BYTES] = seg_bytes;
    assign job[`JOB_SKIP] = seg_addr[2:0];
    assign job[`JOB_ACT_BANK] = act_bank;
    assign job[`JOB_BN_BANK] = bn_bank;
    assign job[`JOB_SW_BANK] = sw_bank;
    assign job[`JOB_CH_BYTES] = piece_bytes;
    assign job[`JOB_CHANNEL] = o[9:0];
    assign job[`JOB_SLOT] = in_block[5:0];
    assign job[`JOB_LAST] = last_piece;
    assign job[`JOB_FIRST] = offset == 15'd0;
    assign job[`JOB_SUMS] = rep == 15'd0;
    assign job[`JOB_WIDE] = p[`PL_WIDE];
    assign job[`JOB_CENTRE] = p[`PL_DWFAST] && !p[`PL_K3];
    assign m_axi_arid = {ID_W{1'b0}};
    assign m_axi_arsize = 3'd3;
    assign m_axi_arburst = 2'd1;

    always @(posedge clk) begin
        whole <= {1'b0, ch_bytes} <= piece_max;
        load_ends <= in_load + run == p[`PL_LOAD_NCH];
        block_ends <= o + run == (whole ? oc : block_end);
        run_bytes <= whole ? run * ch_bytes : {11'd0, piece_bytes};
        if (m_axi_arready) m_axi_arvalid <= 1'b0;
        case (state)
            S_IDLE: begin
                if (plan_valid) begin
                    p <= plan;
                    sw_bank <= !sw_bank;
                    if (plan[`PL_ERR] == 4'd0) begin
                        if (plan[`PL_LOAD_BN]) bn_bank <= !bn_bank;
                        if (plan[`PL_LOAD_ACT]) act_bank <= !act_bank;
                        state <= S_ACT;
                    end else begin
                        state <= S_MARK;
                    end
                end
            end
            S_ACT: begin
                seg_kind <= K_ACT;
                seg_addr <= p[`PL_ACT_ADDR];
                seg_bytes <= 26'd144;
                after <= S_BN;
                state <= p[`PL_LOAD_ACT] ? S_PUSH : S_BN;
            end
            S_BN: begin
                seg_kind <= K_BN;
                seg_addr <= p[`PL_BN_ADDR];
                seg_bytes <= {12'd0, oc, 3'd0};
                after <= S_MARK;
                state <= p[`PL_LOAD_BN] ? S_PUSH : S_MARK;
            end
            S_MARK: begin
                seg_kind <= K_MARK;
                seg_bytes <= 26'd0;
                rep <= 15'd0;
                after <= p[`PL_ERR] != 4'd0 || p[`PL_BYPASS] ? S_IDLE : S_REP;
                state <= S_PUSH;
            end
            S_REP: begin
                o <= 11'd0;
                o_block <= 11'd0;
                offset <= 15'd0;
                in_load <= 11'd0;
                in_load_block <= 11'd0;
                // load_coor = 0: the last load of the layer before is read once more.
                addr <= p[`PL_LOAD_W] ? p[`PL_W_ADDR] : kept;
                addr_block <= p[`PL_LOAD_W] ? p[`PL_W_ADDR] : kept;
                load_addr <= p[`PL_LOAD_W] ? p[`PL_W_ADDR] : kept;
                load_block <= p[`PL_LOAD_W] ? p[`PL_W_ADDR] : kept;
                seg_kind <= K_WEIGHTS;
                state <= S_SEG;
            end
            S_SEG: begin  // run_bytes settles
                seg_addr <= addr + {17'd0, offset};
                state <= S_LEN;
            end
            S_LEN: begin
                seg_bytes <= run_bytes;
                after <= S_NEXT;
                state <= S_PUSH;
            end
            S_PUSH: begin
                if (job_ready) begin
                    beats <= 23'd0;
                    state <= after;
                    if (seg_kind != K_MARK) begin
                        beats <= (seg_bytes[25:3] + {22'd0, seg_bytes[2:0] != 3'd0})
                            + {22'd0, {1'b0, seg_addr[2:0]} + {1'b0, seg_bytes[2:0] - 3'd1} >= 4'd8};
                        seg_addr[2:0] <= 3'd0;
                        state <= S_BURST;
                    end
                end
            end
            S_BURST: begin
                if (beats == 23'd0) begin
                    state <= after;
                end else if (!m_axi_arvalid || m_axi_arready) begin
                    m_axi_arvalid <= 1'b1;
                    m_axi_araddr <= seg_addr;
                    m_axi_arlen <= len[7:0] - 8'd1;
                    seg_addr <= seg_addr + {6'd0, len, 3'd0};
                    beats <= beats - len;
                end
            end
            S_NEXT: begin
                o <= o + run;
                in_load <= in_load + run;
                addr <= addr + {17'd0, ch_bytes};
                if (load_ends) begin
                    in_load <= 11'd0;
                    addr <= load_addr + step;
                    load_addr <= load_addr + step;
                end
                kept <= load_addr;
                state <= S_SEG;
                if (block_ends) state <= S_CROSS;
            end
            default: begin  // S_CROSS: the next piece, block or repetition
                state <= S_SEG;
                offset <= offset + piece_bytes;
                if (!last_piece) begin
                    o <= o_block;
                    addr <= addr_block;
                    load_addr <= load_block;
                    in_load <= in_load_block;
                end else begin
                    offset <= 15'd0;
                    o_block <= o;
                    addr_block <= addr;
                    load_block <= load_addr;
                    in_load_block <= in_load;
                    if (o == oc) begin
                        rep <= rep + 15'd1;
                        state <= p[`PL_KEEP] || rep + 15'd1 == p[`PL_REPS] ? S_IDLE : S_REP;
                    end
                end
            end
        endcase
        if (rst) begin
            state <= S_IDLE;
            m_axi_arvalid <= 1'b0;
            bn_bank <= 1'b0;
            act_bank <= 1'b0;
            sw_bank <= 1'b0;
        end
    end

    wire _unused = &{1'b0, p, len[22:8], piece_max[15], in_block[10:6]};
endmodule

`resetall
