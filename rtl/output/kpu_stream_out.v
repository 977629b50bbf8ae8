// SPDX-License-Identifier: Apache-2.0
// Output stream: sends a layer's map, dense and in C,H,W order, from the AI RAM to the output FIFO.
//
// The map leaves channel by channel, while the array makes many channels at a time: a channel leaves when
// all of it has been written (`complete`), the first ones while the array makes the last. Every 8-byte piece of a
// row is one read, in cycles that the feature fetch leaves free; the AI RAM picks the piece as it does for its
// bus. So one word per cycle can leave as long as lines are 8 pixels or wider; a narrower line gives its pixels in
// one cycle. With full_add, one 64-bit sum of the bytes of each channel leaves
// instead of the map. The last word is padded with zeros.
//
// All parameters but `complete` are stable from start to done. `done` is high for one cycle when the last
// word has entered the FIFO. rd_* is a port like that of kpu_airam, with any latency;
// rd_rvalid answers reads of this module only, in order. The FIFO is emptied by out_pop
// (fifo_data_out) or by the stream master. A word that is read from fifo_data_out is taken from the stream, so that
// tvalid can fall before tready; where the stream master has a consumer, software reads the register with
// `stream_off` only.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_stream_out #(
    parameter DEPTH = 64  // words of the output FIFO, a power of two, 16 to 32768
) (
    input  wire         clk,
    input  wire         rst,
    input  wire         flush,            // keeps the FIFO empty; a running layer goes on

    input  wire         start,
    output reg          done,
    input  wire [14:0]  dst_row,
    input  wire [10:0]  oc,               // true sizes, not minus one
    input  wire [9:0]   oh,
    input  wire [10:0]  ow,
    input  wire [2:0]   group,            // channels per row: 1, 2 or 4
    input  wire [3:0]   row_switch,
    input  wire [14:0]  channel_switch,
    input  wire         full_add,
    input  wire [10:0]  complete,         // channels that stand in the AI RAM
    input  wire         blank,            // the layer was refused: zeros instead of the map, for whoever waits
    input  wire [31:0]  total_m1,         // the map's stream ends after so many bytes (minus one) at the latest

    output wire         rd_valid,
    input  wire         rd_ready,
    output wire [14:0]  rd_row,
    output wire [2:0]   rd_lane,          // eight bytes of the row
    input  wire         rd_rvalid,
    input  wire [63:0]  rd_piece,

    output wire         out_valid,
    output wire [63:0]  out_data,
    input  wire         out_pop,
    input  wire         stream_off,       // nothing for the stream master
    output wire [15:0]  out_level,

    output wire         m_axis_tvalid,
    input  wire         m_axis_tready,
    output wire [63:0]  m_axis_tdata,
    output wire [7:0]   m_axis_tkeep,
    output wire         m_axis_tlast
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (DEPTH < 16 || DEPTH > 32768 || (DEPTH & (DEPTH - 1)) != 0) begin : rule0
            kpu_stream_out_DEPTH_must_be_a_power_of_two_from_16_to_32768 refused ();
        end
    endgenerate

    localparam LEVEL_BITS = $clog2(DEPTH) + 1;
    localparam [2:0] MOST_READS = 3'd4;

    wire [LEVEL_BITS-1:0] level;

    // ------------------------------------------------- which piece to read

    reg         walking;
    reg  [14:0] group_row;   // first row of the channel group
    reg  [14:0] line_row;    // first row of the line
    reg  [1:0]  slot;        // channel within its group
    reg  [10:0] channel;
    reg  [9:0]  line;
    reg  [10:0] x;
    reg  [2:0]  flight;      // reads whose piece is not packed yet

    wire [10:0] line_left = ow - x;
    wire        line_end = line_left <= 11'd8;
    wire        channel_end = line_end && line == oh - 10'd1;
    reg  [31:0] left_m1;     // bytes still to stream, minus one
    wire [2:0]  piece_m1 = line_end ? line_left[2:0] - 3'd1 : 3'd7;
    wire        limit = !full_add && left_m1 <= {29'd0, piece_m1};
    wire        map_end = limit || (channel_end && channel == oc - 11'd1);
    wire        group_end = {1'b0, slot} + 3'd1 == group || group == 3'd0;
    wire [14:0] next_group_row = group_end ? group_row + channel_switch : group_row;
    wire [14:0] next_line_row = line_row + {11'd0, row_switch};
    reg  [2:0]  slot_piece;

    always @*
        case (group)
            3'd2:    slot_piece = {slot[0], 2'b00};
            3'd4:    slot_piece = {slot, 1'b0};
            default: slot_piece = 3'd0;
        endcase

    // Every read may need a word of the FIFO, and the last one a second.
    wire [15:0] promised = out_level + {13'd0, flight} + 16'd2;
    wire        room = promised <= DEPTH[15:0];
    wire        rd_take = rd_valid && rd_ready;

    assign rd_valid = walking && flight != MOST_READS && room && (channel < complete || blank);
    assign rd_row = blank ? 15'd0 : line_row + {10'd0, x[10:6]};  // a refused map may lie outside the memory
    assign rd_lane = slot_piece | x[5:3];

    always @(posedge clk) begin
        if (start) begin
            walking <= 1'b1;
            group_row <= dst_row;
            line_row <= dst_row;
            slot <= 2'd0;
            channel <= 11'd0;
            line <= 10'd0;
            x <= 11'd0;
            left_m1 <= total_m1;
        end else if (rd_take) begin
            left_m1 <= left_m1 - {29'd0, piece_m1} - 32'd1;
            x <= line_end ? 11'd0 : x + 11'd8;
            if (line_end) begin
                line <= line + 10'd1;
                line_row <= next_line_row;
            end
            if (channel_end) begin
                line <= 10'd0;
                line_row <= next_group_row;
                group_row <= next_group_row;
                channel <= channel + 11'd1;
                slot <= group_end ? 2'd0 : slot + 2'd1;
            end
            if (map_end) walking <= 1'b0;
        end
        if (rst) walking <= 1'b0;
    end

    // ------------------------------------- what the reads under way stand for

    localparam NOTE_BITS = 5;

    reg  [4*NOTE_BITS-1:0] notes;
    reg  [1:0]             note_wr;
    reg  [1:0]             note_rd;

    wire [2:0]           bytes_m1 = limit ? left_m1[2:0] : piece_m1;
    wire [NOTE_BITS-1:0] note_in = {map_end, channel_end, bytes_m1};
    wire [NOTE_BITS-1:0] note = notes[NOTE_BITS*note_rd+:NOTE_BITS];
    wire [63:0]          read_mask = {64{1'b1}} >> {3'd7 - note[2:0], 3'b000};

    reg         piece_valid;
    reg  [63:0] piece;
    reg  [3:0]  piece_bytes;
    reg         piece_channel_end;
    reg         piece_map_end;

    always @(posedge clk) begin
        if (rd_take) begin
            notes[NOTE_BITS*note_wr+:NOTE_BITS] <= note_in;
            note_wr <= note_wr + 2'd1;
        end
        if (rd_rvalid) note_rd <= note_rd + 2'd1;
        flight <= flight + {2'd0, rd_take} - {2'd0, piece_valid};
        piece_valid <= rd_rvalid;
        piece <= blank ? 64'd0 : rd_piece & read_mask;
        piece_bytes <= {1'b0, note[2:0]} + 4'd1;
        {piece_map_end, piece_channel_end} <= note[4:3];
        if (rst) begin
            note_wr <= 2'd0;
            note_rd <= 2'd0;
            flight <= 3'd0;
            piece_valid <= 1'b0;
        end
    end

    // ------------------------------------------------------ pieces to words

    reg  [2:0]   fill;       // bytes kept for the next word
    reg  [55:0]  kept;
    reg          tail;       // the kept bytes are the last word

    wire [119:0] joined = {64'd0, kept} | ({56'd0, piece} << {fill, 3'b000});
    wire [3:0]   bytes = {1'b0, fill} + piece_bytes;
    wire         word_full = bytes[3];
    wire         spills = bytes > 4'd8;

    reg  [31:0]  sum;
    wire [11:0]  piece_bytes_sum;
    wire [31:0]  piece_sum = sum + {20'd0, piece_bytes_sum};

    kpu_sum_of_nine adder (.bytes({8'd0, piece}), .sum(piece_bytes_sum));

    wire        push_word = tail || (piece_valid && (full_add ? piece_channel_end : word_full || piece_map_end));
    wire        push_last = tail || (piece_map_end && (full_add || !spills));
    wire [3:0]  push_bytes = full_add ? 4'd8 : tail ? {1'b0, fill} : word_full ? 4'd8 : bytes;
    wire [63:0] push_data = full_add ? {32'd0, piece_sum} : tail ? {8'd0, kept} : joined[63:0];

    always @(posedge clk) begin
        done <= push_word && push_last;
        tail <= piece_valid && piece_map_end && spills && !full_add;
        if (piece_valid) begin
            sum <= piece_channel_end ? 32'd0 : piece_sum;
            fill <= bytes[2:0];
            kept <= word_full ? joined[119:64] : joined[55:0];
        end
        if (start) begin
            sum <= 32'd0;
            fill <= 3'd0;
            kept <= 56'd0;
        end
        if (rst) begin
            done <= 1'b0;
            tail <= 1'b0;
        end
    end

    // ----------------------------------------------------------- output FIFO

    wire [3:0] out_bytes;
    wire       in_ready;

    ram_fifo #(.WIDTH(64 + 4 + 1), .DEPTH(DEPTH)) fifo (
        .clk(clk),
        .rst(rst),
        .flush(flush),
        .in_valid(push_word),
        .in_ready(in_ready),
        .in_data({push_last, push_bytes, push_data}),
        .out_valid(out_valid),
        .out_ready(out_pop || (m_axis_tready && !stream_off)),
        .out_data({m_axis_tlast, out_bytes, out_data}),
        .level(level)
    );

    assign out_level = {{16-LEVEL_BITS{1'b0}}, level};
    assign m_axis_tvalid = out_valid && !stream_off;
    assign m_axis_tdata = out_data;
    assign m_axis_tkeep = ~(8'hFF << out_bytes);

    wire _unused = &{1'b0, in_ready};

endmodule

`resetall
