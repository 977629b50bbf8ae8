// SPDX-License-Identifier: Apache-2.0
// Feature fetch: reads the AI-RAM rows of a pass and tells kpu_window where their bytes belong.
//
// Every line of a pass needs one "set" of rows: the rows of up to nine input channels (1x1), or the lines above, at
// and below (3x3), of which only the lowest is read when the lines follow each other. On the depthwise path a line has up
// to three words in the set; elsewhere it has one, and its neighbours where the window needs them. A set is described
// by tokens, one per row read (or per line of padding), in order. One row per cycle; runs ahead by CREDITS rows.
//
// Addresses need two products per pass; the next pass's are formed while the current one runs.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_token.vh"

module kpu_feature_fetch #(
    parameter LGCREDITS = 3  // log2 of the rows in flight
) (
    input  wire               clk,
    input  wire               rst,
    input  wire [`PLAN_W-1:0] layer,
    // pass command
    input  wire               s_valid,
    output wire               s_ready,
    input  wire [10:0]        s_channel,
    input  wire [3:0]         s_slots,
    input  wire [9:0]         s_y,
    input  wire [9:0]         s_lines,
    input  wire [2:0]         s_step,
    input  wire [4:0]         s_word,
    input  wire [1:0]         s_words,
    input  wire [5:0]         s_x,
    input  wire [6:0]         s_span,
    // AI RAM
    output wire               rd_valid,
    input  wire               rd_ready,
    output wire [14:0]        rd_row,
    output wire [63:0]        rd_need,    // bytes of the row that are used
    // tokens
    output wire               token_valid,
    input  wire               token_ready,
    output wire [`TOKEN_W-1:0] token,
    input  wire               row_taken   // pulse: kpu_window has used one row
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (LGCREDITS < 1 || LGCREDITS > 8) begin : rule0
            kpu_feature_fetch_LGCREDITS_must_be_1_to_8 refused ();
        end
    endgenerate

    wire dwfast = layer[`PL_DWFAST];
    wire k3 = layer[`PL_K3] || dwfast;  // the depthwise path always works on three lines
    wire decim = layer[`PL_DECIM];
    wire [1:0] lgi = layer[`PL_LGI];
    wire [3:0] rowsw = layer[`PL_ROWSW];
    wire [14:0] chsw = layer[`PL_CHSW];
    wire [2:0] group = 3'd1 << lgi;

    // Preparation of the next pass: products first, then the rest.
    reg [1:0] prep;          // 0 empty, 1 products, 2 ready
    reg [14:0] p_group;      // rows from the base to the channel group
    reg [14:0] p_line;       // row of the first line, without the group
    reg [1:0] p_sub;         // first channel's slot in the row
    reg [3:0] p_slots;
    reg [9:0] p_y, p_lines;
    reg [2:0] p_step;
    reg p_left, p_right, p_lone;
    reg [4:0] p_word;
    reg [1:0] p_words;       // words of a line
    reg [6:0] p_width;       // pixels of the line in the last of them
    reg [6:0] p_next_width;  // and in the word behind that
    wire [10:0] s_group = s_channel >> lgi;
    wire [10:0] s_line = decim ? {s_y, 1'b0} : {1'b0, s_y};
    wire [10:0] word_x = decim ? {1'b0, s_word, 5'd0} : {s_word, 6'd0};
    wire [6:0] per_word = decim ? 7'd32 : 7'd64;
    wire [10:0] words_before = {3'd0, s_words - 2'd1, 6'd0};
    wire [10:0] width_left = layer[`PL_W] - word_x - words_before;
    wire [10:0] width_beyond = width_left - {4'd0, per_word};
    wire [7:0] reach = {2'd0, s_x} + {1'b0, s_span} + {7'd0, layer[`PL_K3]};
    wire [14:0] group_rows = s_group * chsw;
    wire [14:0] line_rows = s_line * rowsw;

    // The pass in progress.
    reg run;
    reg [14:0] grp, grp0, line;
    reg [1:0] sub, sub0;
    reg [3:0] slots, slot;
    reg [9:0] y, lines;
    reg [2:0] step;
    reg left, right;
    reg lone;             // the word on the right has one pixel only
    reg [1:0] words, word;
    reg [6:0] width, next_width;
    reg fresh;            // the next set starts anew (no lines to reuse)
    reg [1:0] r;          // 3x3: line above, at, below
    reg [1:0] place;      // 0 word itself, 1 left neighbour, 2 right neighbour

    wire [14:0] row_step = decim ? {10'd0, rowsw, 1'b0} : {11'd0, rowsw};
    wire above_out = y == 10'd0;
    wire below_out = y + 10'd1 == layer[`PL_H];
    wire out = k3 && (r == 2'd0 ? above_out : r == 2'd2 && below_out);
    wire [14:0] line_off = !k3 || r == 2'd1 ? 15'd0 : r == 2'd0 ? 15'd0 - row_step : row_step;
    wire [14:0] place_off = place == 2'd0 ? {13'd0, word} : place == 2'd1 ? 15'h7FFF : {13'd0, words};
    assign rd_row = grp + line + line_off + place_off;

    wire [3:0] n_group = {1'b0, group} - {2'd0, sub};
    wire [3:0] n_left = slots - slot;
    wire [3:0] n = n_group < n_left ? n_group : n_left;

    wire last_word = word + 2'd1 == words;

    // Bytes that matter: the line's pixels in the slots of the channels that are read. Words inside the line are whole.
    wire [6:0] need_pixels = place == 2'd2 ? next_width : last_word ? width : per_word;
    wire [7:0] need_bytes = decim ? {need_pixels, 1'b0} : {1'b0, need_pixels};
    wire [63:0] run_of_bytes = place == 2'd1 ? {64{1'b1}} : ~({64{1'b1}} << need_bytes);
    wire [3:0] need_slots = dwfast ? 4'hF : k3 ? 4'h1 << sub : ~(4'hF << n) << sub;
    assign rd_need = lgi == 2'd0 ? run_of_bytes
        : lgi == 2'd1 ? {run_of_bytes[31:0] & {32{need_slots[1]}}, run_of_bytes[31:0] & {32{need_slots[0]}}}
        : {run_of_bytes[15:0] & {16{need_slots[3]}}, run_of_bytes[15:0] & {16{need_slots[2]}},
           run_of_bytes[15:0] & {16{need_slots[1]}}, run_of_bytes[15:0] & {16{need_slots[0]}}};

    // The last token of a row, of a set, of the pass.
    wire row_ends = out || (place == 2'd0 ? last_word && !left && !right : place == 2'd1 ? !right : 1'b1);
    wire set_ends = row_ends && (k3 ? r == 2'd2 : slot + n == slots);
    wire pass_ends = set_ends && lines == 10'd1;
    wire first_token = place == 2'd0 && word == 2'd0;
    wire shift = k3 && !fresh && r == 2'd2 && first_token;
    wire fill_above = k3 && fresh && r == 2'd1 && first_token && above_out;
    wire [1:0] token_word = place == 2'd0 ? word : place == 2'd1 ? 2'd0 : words - 2'd1;
    wire [3:0] line_3x3 = {2'd0, r} + {2'd0, token_word} + {1'b0, token_word, 1'b0};

    reg [LGCREDITS:0] flying;
    reg taken;
    wire credit = !flying[LGCREDITS];
    wire want = run && (out || credit);
    assign rd_valid = run && !out && credit && token_ready;
    assign token_valid = want && (out || rd_ready);
    wire fire = token_valid && token_ready;
    wire read = rd_valid && rd_ready;
    assign token[`TOKEN_WIDTH] = place == 2'd2 && lone ? 7'd1 : width;
    assign token[`TOKEN_SLOTS] = k3 ? 4'd0 : slots;
    assign token[`TOKEN_SUB] = dwfast ? 2'd0 : sub;
    assign token[`TOKEN_COUNT] = k3 ? 4'd1 : n;
    assign token[`TOKEN_LINE] = k3 ? line_3x3 : slot;
    assign token[`TOKEN_PLACE] = place;
    assign token[`TOKEN_ABOVE] = fill_above;
    assign token[`TOKEN_OUT] = out;
    assign token[`TOKEN_SHIFT] = shift;
    assign token[`TOKEN_LAST] = set_ends;
    assign token[`TOKEN_WORD] = token_word;

    wire load = prep == 2'd2 && (!run || (fire && pass_ends));
    assign s_ready = prep == 2'd0;

    always @(posedge clk) begin
        if (prep == 2'd0) begin
            if (s_valid) begin
                p_group <= group_rows;
                p_line <= line_rows;
                p_sub <= s_channel[1:0] & (group[1:0] - 2'd1);
                p_word <= s_word;
                p_slots <= s_slots;
                p_y <= s_y;
                p_lines <= s_lines;
                p_step <= s_step;
                p_words <= s_words;
                p_left <= layer[`PL_K3] && s_word != 5'd0 && s_x == 6'd0;
                p_right <= (dwfast ? layer[`PL_K3] : reach >= {1'b0, per_word}) && width_left > {4'd0, per_word};
                p_lone <= width_left == {4'd0, per_word} + 11'd1;
                p_width <= width_left > {4'd0, per_word} ? per_word : width_left[6:0];
                p_next_width <= width_beyond > {4'd0, per_word} ? per_word : width_beyond[6:0];
                prep <= 2'd1;
            end
        end else if (prep == 2'd1) begin
            p_line <= p_line + layer[`PL_SRC] + {10'd0, p_word};
            prep <= 2'd2;
        end else if (load) begin
            prep <= 2'd0;
        end

        if (fire) begin
            place <= 2'd0;
            word <= 2'd0;
            if (!row_ends) begin
                if (place == 2'd0 && !last_word) word <= word + 2'd1;
                else place <= place == 2'd0 && left ? 2'd1 : 2'd2;
            end else if (!set_ends) begin
                if (k3) begin
                    r <= r + 2'd1;
                end else begin
                    slot <= slot + n;
                    sub <= 2'd0;
                    grp <= grp + chsw;
                end
            end else begin
                lines <= lines - 10'd1;
                y <= y + {7'd0, step};
                line <= line + (step == 3'd1 ? row_step : step == 3'd2 ? row_step << 1 : row_step << 2);
                slot <= 4'd0;
                sub <= sub0;
                grp <= grp0;
                // Neighbouring lines: the set shifts up, only the line below is new.
                fresh <= step != 3'd1;
                r <= step == 3'd1 ? 2'd2 : 2'd0;
                if (pass_ends) run <= 1'b0;
            end
        end
        if (load) begin
            run <= 1'b1;
            grp <= p_group;
            grp0 <= p_group;
            line <= p_line;
            sub <= p_sub;
            sub0 <= p_sub;
            slots <= p_slots;
            slot <= 4'd0;
            y <= p_y;
            lines <= p_lines;
            step <= p_step;
            left <= p_left;
            right <= p_right;
            lone <= p_lone;
            words <= p_words;
            word <= 2'd0;
            width <= p_width;
            next_width <= p_next_width;
            fresh <= 1'b1;
            r <= p_y == 10'd0 ? 2'd1 : 2'd0;
            place <= 2'd0;
        end
        taken <= row_taken;
        flying <= flying + {{LGCREDITS{1'b0}}, read} - {{LGCREDITS{1'b0}}, taken};
        if (rst) begin
            taken <= 1'b0;
            prep <= 2'd0;
            run <= 1'b0;
            flying <= {LGCREDITS + 1{1'b0}};
        end
    end

    wire _unused = &{1'b0, layer, s_group, reach};
endmodule

`resetall
