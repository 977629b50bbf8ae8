// SPDX-License-Identifier: Apache-2.0
// Parameter fetch, data side: bytes from memory become tables and nine-byte weight entries.
//
// A weight entry holds the nine weights of one PE pass: the 3x3 kernel of one input channel, or the weights of nine
// input channels of a 1x1 kernel (the last group filled with zeros). 16-bit weights make two entries, low
// bytes first. The sum of an output channel's weights (S_w, spec 5.1) is formed on the way.
//
// Takes 8 bytes and gives one entry or table word per cycle. `marks` counts the layers whose tables have arrived.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_job.vh"

module kpu_unpack (
    input  wire        clk,
    input  wire        rst,
    input  wire        job_valid,
    output wire        job_ready,
    input  wire [`JOB_W-1:0] job,
    // AXI4 read data channel
    input  wire        m_axi_rvalid,
    output wire        m_axi_rready,
    input  wire [63:0] m_axi_rdata,
    input  wire [1:0]  m_axi_rresp,
    output reg         bus_error,   // pulse
    output reg  [1:0]  marks,
    // activation and batch-norm tables
    output wire        act_we,
    output wire        bn_we,
    output wire        table_bank,
    output wire [9:0]  table_index,
    output wire [63:0] table_data,
    // weight sums
    output reg         sw_we,
    output reg         sw_bank,
    output reg  [9:0]  sw_index,
    output reg  [29:0] sw_data,
    // weight entries
    output wire        entry_valid,
    input  wire        entry_ready,
    output wire [71:0] entry
);
    localparam [1:0] K_ACT = 2'd0, K_BN = 2'd1, K_WEIGHTS = 2'd2, K_MARK = 2'd3;

    // Bytes come in for one job while those of the job before still leave.
    reg [2:0] skip;
    reg [25:0] to_come;
    wire queue_ready, e_valid, e_ready;
    wire [`JOB_W-1:0] e_job;
    wire beat;
    wire [3:0] beat_bytes;
    wire [3:0] whole_beat = 4'd8 - {1'b0, skip};
    wire few = to_come[25:4] == 22'd0;
    wire fits = to_come[3:0] <= whole_beat;
    assign beat_bytes = few && fits ? to_come[3:0] : whole_beat;
    wire in_ends = few && (to_come[3:0] == 4'd0 || (fits && beat));
    assign job_ready = in_ends && queue_ready;
    kpu_queue #(.WIDTH(`JOB_W), .LGDEPTH(1)) leaving (
        .clk(clk), .rst(rst), .s_valid(job_valid && in_ends), .s_ready(queue_ready),
        .s_data(job),
        .m_valid(e_valid), .m_ready(e_ready), .m_data(e_job)
    );

    // The job whose bytes leave.
    reg active, centre, wide, sums, first, last;
    reg [9:0] channel;
    reg [5:0] slot;
    reg [14:0] ch_bytes, ch_left;
    reg sw_bank_q, bn_bank_q, act_bank_q;
    reg [25:0] to_leave;
    reg [1:0] kind;
    reg [9:0] index;

    // Byte buffer: a ring of 32 bytes, eight lanes of four. `fill` counts the bytes of the groups that have not left whole.
    reg [4:0] wp, rp;
    reg [5:0] fill;
    reg high;  // the high bytes of 16-bit weights are next
    wire weights = kind == K_WEIGHTS;
    wire [4:0] group_bytes = wide ? 5'd18 : 5'd9;
    wire channel_ends = ch_left[14:5] == 10'd0 && ch_left[4:0] <= group_bytes;
    wire [4:0] need = !weights ? 5'd8 : channel_ends ? ch_left[4:0] : group_bytes;
    wire have = active && fill >= {1'b0, need};
    wire gives = have && (!weights || entry_ready);
    wire take = gives && (!wide || high);

    // Bytes in: the beat turned to its place; what it brings too much is written over by the next one.
    wire [5:0] fill_after = take ? fill - {1'b0, need} : fill;
    assign m_axi_rready = to_come != 26'd0 && fill_after <= 6'd24;
    assign beat = m_axi_rvalid && m_axi_rready;
    wire [2:0] turn = wp[2:0] - skip;
    wire [63:0] turn1 = turn[0] ? {m_axi_rdata[55:0], m_axi_rdata[63:56]} : m_axi_rdata;
    wire [63:0] turn3 = turn[1] ? {turn1[47:0], turn1[63:48]} : turn1;
    wire [63:0] turned = turn[2] ? {turn3[31:0], turn3[63:32]} : turn3;
    wire [1:0] word1 = rp[4:3] + 2'd1;
    wire [1:0] word2 = rp[4:3] + 2'd2;
    wire [7:0] next = ~(8'hFF << wp[2:0]);  // a beat fills the end of one word and the begin of the next
    wire [191:0] words;  // three words of eight bytes from rp on
    genvar i;
    generate
        for (i = 0; i < 8; i = i + 1) begin : lane
            wire [1:0] place = next[i] ? wp[4:3] + 2'd1 : wp[4:3];
            (* ram_style = "distributed" *) reg [7:0] mem [0:3];
            always @(posedge clk) if (beat) mem[place] <= turned[8*i+:8];
            assign words[8*i+:8] = mem[rp[4:3]];
            assign words[64+8*i+:8] = mem[word1];
            assign words[128+8*i+:8] = mem[word2];
        end
    endgenerate

    // Bytes out: every byte of the words, or every second one for 16-bit weights, shifted within a word.
    wire [127:0] picked;
    wire [8:0] kept;  // bytes before the channel's end; those behind it are zero
    wire [95:0] out4 = !wide && rp[2] ? picked[127:32] : picked[95:0];
    wire [79:0] out6 = (wide ? rp[2] : rp[1]) ? out4[95:16] : out4[79:0];
    wire [71:0] out7 = (wide ? rp[1] : rp[0]) ? out6[79:8] : out6[71:0];
    wire [71:0] nine;
    generate
        for (i = 0; i < 16; i = i + 1) begin : pick
            if (i < 12) begin : both
                assign picked[8*i+:8] = !wide ? words[8*i+:8] : rp[0] ? words[16*i+8+:8] : words[16*i+:8];
            end else begin : narrow
                assign picked[8*i+:8] = words[8*i+:8];
            end
        end
        for (i = 0; i < 9; i = i + 1) begin : cut
            wire [4:0] place = wide ? {i[3:0], high} : i[4:0];
            assign kept[i] = !weights || ch_left[14:5] != 10'd0 || place < ch_left[4:0];
            assign nine[8*i+:8] = out7[8*i+:8] & {8{kept[i]}};
        end
    endgenerate

    // to_leave == need, without waiting for `need`.
    wire last_need = to_leave[25:5] == 21'd0 && (!weights ? to_leave[4:0] == 5'd8
        : channel_ends ? to_leave[4:0] == ch_left[4:0] : to_leave[4:0] == group_bytes);
    wire leaves = take && last_need;
    assign e_ready = !active || leaves;
    assign table_bank = kind == K_BN ? bn_bank_q : act_bank_q;
    assign table_index = index;
    assign table_data = nine[63:0];
    assign act_we = have && kind == K_ACT;
    assign bn_we = have && kind == K_BN;
    // A depthwise 1x1 kernel is a channel of one byte.
    assign entry = {nine[71:40], centre ? nine[7:0] : nine[39:32], nine[31:8], centre ? 8'd0 : nine[7:0]};
    assign entry_valid = have && weights;

    // Weight sums, one cycle behind the entries.
    reg channel_begins;
    reg s_valid, s_goes_on, s_ends, s_first, s_high, s_write;
    reg [5:0] s_slot;
    reg [71:0] s_nine;
    reg s_bank;
    reg [9:0] s_channel;
    wire [11:0] nine_sum;
    kpu_sum_of_nine weight_sum (.bytes(s_nine), .sum(nine_sum));
    reg [29:0] sum;
    wire [29:0] partial;  // sums of a block's channels over the pieces so far
    wire s_store = s_valid && s_ends;
    wire [29:0] sum_before = s_goes_on ? sum : s_first ? 30'd0 : partial;
    wire [29:0] sum_after = sum_before + (s_high ? {10'd0, nine_sum, 8'd0} : {18'd0, nine_sum});
    kpu_ram #(.WIDTH(30), .DEPTH(64)) partials (
        .clk(clk), .we(s_store), .waddr(s_slot), .wdata(sum_after), .re(1'b1), .raddr(slot), .rdata(partial)
    );

    always @(posedge clk) begin
        bus_error <= beat && m_axi_rresp != 2'd0;
        s_valid <= entry_valid && entry_ready;
        // A block of one channel: its sum is still being stored.
        s_goes_on <= !channel_begins || (s_store && s_slot == slot && !first);
        s_ends <= take && channel_ends;
        s_first <= first;
        s_high <= high;
        s_slot <= slot;
        s_nine <= nine;
        s_write <= sums && last;
        s_bank <= sw_bank_q;
        s_channel <= channel;
        sw_we <= s_valid && s_ends && s_write;
        sw_bank <= s_bank;
        sw_index <= s_channel;
        sw_data <= sum_after;
        if (s_valid) sum <= sum_after;
        fill <= fill_after + (beat ? {2'd0, beat_bytes} : 6'd0);
        if (beat) begin
            to_come <= to_come - {22'd0, beat_bytes};
            skip <= 3'd0;
            wp <= wp + {1'b0, beat_bytes};
        end
        if (job_valid && job_ready) begin
            to_come <= job[`JOB_BYTES];
            skip <= job[`JOB_SKIP];
        end
        // The low bytes of 16-bit weights leave rp on the first high byte.
        if (gives) rp <= rp + (!wide ? need : high ? need - 5'd1 : 5'd1);
        if (take) begin
            index <= index + 10'd1;
            ch_left <= ch_left - {10'd0, need};
            to_leave <= to_leave - {21'd0, need};
        end
        if (entry_valid && entry_ready) begin
            high <= wide && !high;
            channel_begins <= 1'b0;
            if (take && channel_ends) begin
                channel <= channel + 10'd1;
                ch_left <= ch_bytes;
                channel_begins <= 1'b1;
            end
        end
        if (leaves) active <= 1'b0;
        if (e_valid && e_ready) begin
            centre <= e_job[`JOB_CENTRE];
            sums <= e_job[`JOB_SUMS];
            first <= e_job[`JOB_FIRST];
            last <= e_job[`JOB_LAST];
            wide <= e_job[`JOB_WIDE] && e_job[`JOB_KIND] == K_WEIGHTS;
            slot <= e_job[`JOB_SLOT];
            channel <= e_job[`JOB_CHANNEL];
            ch_bytes <= e_job[`JOB_CH_BYTES];
            ch_left <= e_job[`JOB_CH_BYTES];
            sw_bank_q <= e_job[`JOB_SW_BANK];
            bn_bank_q <= e_job[`JOB_BN_BANK];
            act_bank_q <= e_job[`JOB_ACT_BANK];
            active <= e_job[`JOB_KIND] != K_MARK;
            if (e_job[`JOB_KIND] == K_MARK) marks <= marks + 2'd1;
            to_leave <= e_job[`JOB_BYTES];
            kind <= e_job[`JOB_KIND];
            index <= 10'd0;
            channel_begins <= 1'b1;
            high <= 1'b0;
        end
        if (rst) begin
            active <= 1'b0;
            to_come <= 26'd0;
            fill <= 6'd0;
            wp <= 5'd0;
            rp <= 5'd0;
            marks <= 2'd0;
            s_valid <= 1'b0;
            sw_we <= 1'b0;
            bus_error <= 1'b0;
        end
    end

    wire _unused = &{1'b0, e_job};
endmodule

`resetall
