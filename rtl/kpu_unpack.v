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

module kpu_unpack (
    input  wire        clk,
    input  wire        rst,
    input  wire        job_valid,
    output wire        job_ready,
    input  wire [74:0] job,
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
    wire [74:0] e_job;
    wire beat;
    wire [3:0] beat_bytes;
    wire in_ends = to_come == 26'd0 || (beat && to_come == {22'd0, beat_bytes});
    assign job_ready = in_ends && queue_ready;
    kpu_queue #(.WIDTH(75), .LGDEPTH(1)) leaving (
        .clk(clk), .rst(rst), .s_valid(job_valid && in_ends), .s_ready(queue_ready), .s_data(job),
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

    // Byte buffer.
    reg [255:0] bytes;
    reg [5:0] fill;
    wire weights = kind == K_WEIGHTS;
    wire [4:0] group_bytes = wide ? 5'd18 : 5'd9;
    wire [4:0] need = !weights ? 5'd8 : ch_left < {10'd0, group_bytes} ? ch_left[4:0] : group_bytes;
    wire have = active && fill >= {1'b0, need};
    reg high;  // the high bytes of 16-bit weights are next
    wire take = have && (!weights || (entry_ready && (!wide || high)));

    wire [5:0] fill_after = take ? fill - {1'b0, need} : fill;
    assign m_axi_rready = to_come != 26'd0 && fill_after <= 6'd24;
    assign beat = m_axi_rvalid && m_axi_rready;
    wire [3:0] whole_beat = 4'd8 - {1'b0, skip};
    assign beat_bytes = to_come < {22'd0, whole_beat} ? to_come[3:0] : whole_beat;
    wire [63:0] beat_mask = ~(64'hFFFF_FFFF_FFFF_FFFF << {beat_bytes, 3'd0});
    wire [63:0] beat_data = (m_axi_rdata >> {skip, 3'd0}) & beat_mask;
    wire leaves = take && to_leave == {21'd0, need};

    assign e_ready = !active || leaves;
    assign table_bank = kind == K_BN ? bn_bank_q : act_bank_q;
    assign table_index = index;
    assign table_data = bytes[63:0];
    assign act_we = have && kind == K_ACT;
    assign bn_we = have && kind == K_BN;

    // Nine weights out of up to 18 bytes; bytes behind the channel's end are zero.
    wire [143:0] group = bytes[143:0] & ~({144{1'b1}} << {need, 3'd0});
    wire [71:0] low_bytes = {group[135:128], group[119:112], group[103:96], group[87:80], group[71:64], group[55:48],
        group[39:32], group[23:16], group[7:0]};
    wire [71:0] high_bytes = {group[143:136], group[127:120], group[111:104], group[95:88], group[79:72],
        group[63:56], group[47:40], group[31:24], group[15:8]};
    wire [71:0] nine = !wide ? group[71:0] : high ? high_bytes : low_bytes;
    assign entry = centre ? {32'd0, nine[7:0], 32'd0} : nine;
    assign entry_valid = have && weights;

    // Weight sums, one cycle behind the entries.
    reg channel_begins;
    wire channel_ends = ch_left == {10'd0, need};
    reg s_valid, s_begins, s_ends, s_first, s_high, s_write;
    reg [5:0] s_slot;
    reg [71:0] s_nine;
    reg s_bank;
    reg [9:0] s_channel;
    wire [11:0] nine_sum;
    kpu_sum_of_nine weight_sum (.bytes(s_nine), .sum(nine_sum));
    reg [29:0] sum;
    reg [29:0] partial [0:63];  // sums of a block's channels over the pieces so far
    wire [29:0] sum_before = !s_begins ? sum : s_first ? 30'd0 : partial[s_slot];
    wire [29:0] sum_after = sum_before + (s_high ? {10'd0, nine_sum, 8'd0} : {18'd0, nine_sum});

    always @(posedge clk) begin
        bus_error <= beat && m_axi_rresp != 2'd0;
        s_valid <= entry_valid && entry_ready;
        s_begins <= channel_begins;
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
        if (s_valid && s_ends) partial[s_slot] <= sum_after;
        fill <= fill_after + (beat ? {2'd0, beat_bytes} : 6'd0);
        if (beat) begin
            to_come <= to_come - {22'd0, beat_bytes};
            skip <= 3'd0;
        end
        if (job_valid && job_ready) begin
            to_come <= job[27:2];
            skip <= job[30:28];
        end
        if (take || beat) begin
            bytes <= (take ? bytes >> {need, 3'd0} : bytes)
                | (beat ? {192'd0, beat_data} << {fill_after, 3'd0} : 256'd0);
        end
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
            {centre, wide, sums, first, last} <= e_job[74:70];
            slot <= e_job[64:59];
            channel <= e_job[58:49];
            ch_bytes <= e_job[48:34];
            ch_left <= e_job[48:34];
            {sw_bank_q, bn_bank_q, act_bank_q} <= e_job[33:31];
            active <= e_job[1:0] != K_MARK;
            if (e_job[1:0] == K_MARK) marks <= marks + 2'd1;
            to_leave <= e_job[27:2];
            kind <= e_job[1:0];
            index <= 10'd0;
            channel_begins <= 1'b1;
            high <= 1'b0;
        end
        if (rst) begin
            active <= 1'b0;
            to_come <= 26'd0;
            fill <= 6'd0;
            bytes <= 256'd0;
            marks <= 2'd0;
            s_valid <= 1'b0;
            sw_we <= 1'b0;
            bus_error <= 1'b0;
        end
    end

    wire _unused = &{1'b0, e_job[69:65], e_job[30:28]};
endmodule

`resetall
