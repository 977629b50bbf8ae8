// SPDX-License-Identifier: Apache-2.0
// Sequencer: walks a layer's strips, tiles, blocks and passes, and tells every unit of the data path what to do.
//
// A pass is what the array does with one set of weights: nine taps of O output channels over the pixels of one
// tile. Order: strip of up to 64 input columns, tile of window rows, block of O output channels, input channel
// group. Depthwise layers (fast path): channel, strip, all lines. Commands go out through FIFOs, so that
// the units run ahead of each other as far as their buffers allow.
//
// A new layer starts when the one before has left the write-back unit, because it may read its result.
// A layer with an error goes straight to its end; its stream, if it has one, is blank.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_seq #(
    parameter LGPES = 6,     // log2 of the number of PEs
    parameter LGLANES = 5    // log2 of the number of post-processing lanes
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               plan_valid,
    output wire               plan_ready,
    input  wire [`PLAN_W-1:0] plan,
    output reg  [`PLAN_W-1:0] layer,        // plan of the layer in execution
    output reg                active,       // a layer is in execution
    output reg                layer_start,  // pulse
    output reg                layer_done,   // pulse
    input  wire               drained,      // everything commanded has been written back
    output reg                stream_start, // pulse, with the layer's first commands
    input  wire               stream_done,
    // pass command for feature fetch, weight load and issue (taken by all three at once)
    output reg                pass_valid,
    input  wire               pass_ready,
    output reg  [10:0]        pass_channel,  // first input channel
    output reg  [3:0]         pass_slots,    // input channels, 1..9
    output reg  [9:0]         pass_y,        // first line
    output reg  [9:0]         pass_lines,    // lines to compute
    output reg  [2:0]         pass_step,     // lines from one to the next
    output reg  [4:0]         pass_word,     // 64-byte word of the line
    output reg  [1:0]         pass_words,    // words of a line (depthwise: up to 3)
    output reg  [5:0]         pass_x,        // first column within the word
    output reg  [7:0]         pass_groups,   // column groups of a line (depthwise: columns)
    output reg  [6:0]         pass_span,     // columns touched behind pass_x
    output reg                pass_first,    // first pass of a block
    output reg                pass_last,     // last pass of a block
    output reg                pass_high,     // high bytes of 16-bit weights
    output reg                pass_load,     // needs new weights
    output reg                pass_free,     // last pass with these weights
    output reg  [6:0]         pass_outs,     // output channels whose weights are loaded
    output reg  [11:0]        pass_g,        // number of the pass within its weight piece
    output reg  [11:0]        pass_gs,       // passes of the piece
    output reg                pass_rewind,   // weights: back to the layer's first entry afterwards
    output reg                pass_keep,     // weights: do not free the piece
    // block command for lane parameters, drain and write-back (one per block; per pass for depthwise)
    output reg                block_valid,
    input  wire               block_ready,
    output reg  [10:0]        block_channel,  // first output channel
    output reg  [6:0]         block_outs,     // output channels
    output reg  [9:0]         block_oy,       // first output line
    output reg  [9:0]         block_rows,     // output lines
    output reg  [10:0]        block_ox,       // first output column
    output reg  [7:0]         block_cols,     // output columns
    output reg  [6:0]         block_groups,   // column groups of a computed line
    output reg                block_params,   // the lanes need new parameters
    output reg                block_final     // its channels are complete with it
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LGPES < 2 || LGPES > 6) begin : rule0
            kpu_seq_LGPES_must_be_2_to_6 refused ();
        end
        if (LGLANES < 1 || LGLANES > 6) begin : rule1
            kpu_seq_LGLANES_must_be_1_to_6 refused ();
        end
    endgenerate

    localparam [2:0] S_IDLE = 3'd0, S_SETUP = 3'd1, S_RUN = 3'd2, S_WAIT = 3'd3, S_END = 3'd4, S_SIZE = 3'd5;
    localparam [10:0] DW_COLUMNS = 11'd192;  // three words
    reg [2:0] state;
    reg streaming;

    wire dwfast = layer[`PL_DWFAST];
    wire single = layer[`PL_SINGLE];
    wire k3 = layer[`PL_K3];
    wire wide = layer[`PL_WIDE];
    wire overlap = layer[`PL_OVERLAP];
    wire [1:0] lgs = layer[`PL_LGS];
    wire [1:0] lgc = layer[`PL_LGC];
    wire [1:0] lgp = layer[`PL_LGP];
    wire [1:0] lgi = layer[`PL_LGI];

    // Position.
    reg [10:0] ox, o;       // first output column, output channel
    reg [9:0] oy;
    reg [11:0] g;           // pass of the block
    reg [11:0] piece;       // first pass of the weight piece
    reg [10:0] channel;     // first input channel of the group
    reg [4:0] word;         // depthwise strip
    // What is left from there on is kept, not computed: the rest of the cycle follows from it.
    reg [10:0] strip_cols, left_cols;
    reg [9:0] left_rows;

    // The sizes of the pass, registered in a cycle before the one that uses them.
    reg last_strip, last_tile, last_block, last_g;
    reg [7:0] cols;
    reg [6:0] outs;
    reg [9:0] rows;
    reg [11:0] piece_gs;
    wire strip_ends = left_cols <= strip_cols;
    wire [9:0] tile_rows = strip_ends ? layer[`PL_TR_LAST] : layer[`PL_TR];
    wire tile_ends = left_rows <= tile_rows;
    // Output channels of a block; the depthwise path takes as many neighbours as the lanes cover at once.
    wire [3:0] lg_bytes = LGLANES[3:0] + {2'd0, lgi};
    wire [3:0] lgdw = lg_bytes > 4'd6 ? lg_bytes - 4'd6 : 4'd0;
    wire [10:0] block = dwfast ? 11'd1 << lgdw : single ? 11'd1 : 11'd1 << (LGPES[3:0] - {2'd0, lgp});
    wire [10:0] left_o = layer[`PL_OC] - o;
    wire block_ends = left_o <= block;
    wire [11:0] left_g = layer[`PL_NG] - piece;
    wire piece_ends = g + 12'd1 == piece + piece_gs;
    wire [10:0] in_x = ox << lgs;
    wire [10:0] left_ic = layer[`PL_IC] - channel;
    wire high = wide && g[0];
    wire [7:0] wider = last_strip ? cols : cols + 8'd1;
    wire [7:0] groups = dwfast ? cols : overlap ? wider : (cols + (8'd1 << lgp) - 8'd1) >> lgp;

    wire can_go = (!pass_valid || pass_ready) && (!block_valid || block_ready);
    assign plan_ready = state == S_IDLE;

    always @(posedge clk) begin
        layer_start <= 1'b0;
        layer_done <= 1'b0;
        stream_start <= 1'b0;
        if (pass_ready) pass_valid <= 1'b0;
        if (block_ready) block_valid <= 1'b0;
        if (stream_done) streaming <= 1'b0;
        case (state)
            S_IDLE: begin
                ox <= 11'd0;
                oy <= 10'd0;
                o <= 11'd0;
                g <= 12'd0;
                piece <= 12'd0;
                channel <= 11'd0;
                word <= 5'd0;
                if (plan_valid) begin
                    layer <= plan;
                    active <= 1'b1;
                    layer_start <= 1'b1;
                    state <= S_SETUP;
                end
            end
            S_SETUP: begin
                strip_cols <= dwfast ? DW_COLUMNS : (11'd1 << layer[`PL_LGSW]) >> lgs;
                left_cols <= layer[`PL_OW];
                left_rows <= layer[`PL_OH];
                state <= layer[`PL_ERR] != 4'd0 ? S_WAIT : S_SIZE;
                stream_start <= layer[`PL_SEND];
                streaming <= layer[`PL_SEND];
            end
            S_SIZE: begin
                last_strip <= strip_ends;
                last_tile <= tile_ends;
                last_block <= block_ends;
                last_g <= g + 12'd1 == layer[`PL_NG];
                cols <= strip_ends ? left_cols[7:0] : strip_cols[7:0];
                rows <= tile_ends ? left_rows : tile_rows;
                outs <= block_ends ? left_o[6:0] : block[6:0];
                piece_gs <= left_g < layer[`PL_GP] ? left_g : layer[`PL_GP];
                state <= S_RUN;
            end
            S_RUN: begin
                if (can_go) begin
                    state <= S_SIZE;
                    pass_valid <= 1'b1;
                    pass_channel <= single ? o : channel;
                    pass_slots <= k3 || single ? 4'd1 : left_ic < 11'd9 ? left_ic[3:0] : 4'd9;
                    pass_y <= dwfast ? 10'd0 : oy << lgs;
                    pass_lines <= dwfast ? layer[`PL_OH] : overlap ? (last_tile ? rows : rows + 10'd1) : rows << lgc;
                    pass_step <= lgc != 2'd0 ? 3'd1 : 3'd1 << lgs;
                    pass_word <= dwfast ? word : layer[`PL_DECIM] ? in_x[9:5] : {1'b0, in_x[9:6]};
                    pass_words <= dwfast && cols > 8'd128 ? 2'd3 : dwfast && cols > 8'd64 ? 2'd2 : 2'd1;
                    pass_x <= dwfast ? 6'd0 : layer[`PL_DECIM] ? {1'b0, in_x[4:0]} : in_x[5:0];
                    pass_groups <= groups;
                    pass_span <= overlap ? wider[6:0] - 7'd1
                        : ((cols[6:0] - 7'd1) << lgs) + (7'd1 << lgc) - 7'd1 + {6'd0, layer[`PL_POOL] == 4'd6};
                    pass_first <= g == 12'd0;
                    pass_last <= last_g;
                    pass_high <= high;
                    pass_load <= !dwfast || word == 5'd0;
                    pass_free <= !dwfast || last_strip;
                    pass_outs <= outs;
                    pass_g <= g - piece;
                    pass_gs <= piece_gs;
                    pass_rewind <= last_g && last_block && !(last_tile && last_strip) && layer[`PL_KEEP];
                    pass_keep <= layer[`PL_KEEP] && !(last_tile && last_strip);
                    block_valid <= g == 12'd0;
                    block_channel <= o;
                    block_outs <= outs;
                    block_oy <= oy;
                    block_rows <= dwfast ? layer[`PL_OH] : rows;
                    block_ox <= ox;
                    block_cols <= cols;
                    block_groups <= groups[6:0];
                    block_params <= !dwfast || word == 5'd0;
                    block_final <= last_strip && (dwfast || last_tile);
                    // Next position.
                    g <= g + 12'd1;
                    if (piece_ends) piece <= piece + piece_gs;
                    if (!wide || high) channel <= channel + (k3 ? 11'd1 : 11'd9);
                    if (last_g) begin
                        g <= 12'd0;
                        piece <= 12'd0;
                        channel <= 11'd0;
                        if (dwfast) begin
                            word <= word + 5'd3;
                            ox <= ox + DW_COLUMNS;
                            left_cols <= left_cols - DW_COLUMNS;
                            if (last_strip) begin
                                word <= 5'd0;
                                ox <= 11'd0;
                                left_cols <= layer[`PL_OW];
                                o <= o + {4'd0, outs};
                                if (last_block) state <= S_WAIT;
                            end
                        end else begin
                            o <= o + {4'd0, outs};
                            if (last_block) begin
                                o <= 11'd0;
                                oy <= oy + rows;
                                left_rows <= left_rows - rows;
                                if (last_tile) begin
                                    oy <= 10'd0;
                                    left_rows <= layer[`PL_OH];
                                    ox <= ox + strip_cols;
                                    left_cols <= left_cols - strip_cols;
                                    if (last_strip) state <= S_WAIT;
                                end
                            end
                        end
                    end
                end
            end
            S_WAIT: begin
                if (!pass_valid && !block_valid && drained && !streaming) state <= S_END;
            end
            default: begin
                layer_done <= 1'b1;
                active <= 1'b0;
                state <= S_IDLE;
            end
        endcase
        if (rst) begin
            state <= S_IDLE;
            active <= 1'b0;
            pass_valid <= 1'b0;
            block_valid <= 1'b0;
            layer_start <= 1'b0;
            layer_done <= 1'b0;
            stream_start <= 1'b0;
            streaming <= 1'b0;
        end
    end

    wire _unused = &{1'b0, layer, in_x[10], left_ic[10:4], left_o[10:7], block[10:7], strip_cols[10:8]};
endmodule

`resetall
