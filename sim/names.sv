// SPDX-License-Identifier: Apache-2.0
// Generated from openkpu/hw/signals.py by `python -m openkpu.hw.generate`; do not edit.
// Names for waveforms; only simulators that write them contain these modules.

module kpu_plan_names (input wire [504:0] bits);
    wire [3:0] ERR = bits[3:0];
    wire INT_EN = bits[4:4];
    wire FULL_ADD = bits[5:5];
    wire SEND = bits[6:6];
    wire [31:0] TOTAL = bits[38:7];
    wire DWFAST = bits[39:39];
    wire SINGLE = bits[40:40];
    wire K3 = bits[41:41];
    wire BYPASS = bits[42:42];
    wire WIDE = bits[43:43];
    wire [14:0] SRC = bits[58:44];
    wire [14:0] DST = bits[73:59];
    wire [10:0] IC = bits[84:74];
    wire [10:0] OC = bits[95:85];
    wire [10:0] W = bits[106:96];
    wire [9:0] H = bits[116:107];
    wire [10:0] OW = bits[127:117];
    wire [9:0] OH = bits[137:128];
    wire DECIM = bits[138:138];
    wire [7:0] PAD = bits[146:139];
    typedef enum logic [3:0] {none = 4'd0, max_2x2 = 4'd1, mean_2x2 = 4'd2, max_4x4 = 4'd3, mean_4x4 = 4'd4, left_top_2x2 = 4'd5, right_top_2x2 = 4'd6, left_top_4x4 = 4'd7, mean_2x2_s1 = 4'd8, max_2x2_s1 = 4'd9} POOL_values;
    POOL_values POOL;
    assign POOL = POOL_values'(bits[150:147]);
    wire [1:0] LGS = bits[152:151];
    wire [1:0] LGC = bits[154:153];
    wire OVERLAP = bits[155:155];
    wire [1:0] LGI = bits[157:156];
    wire [14:0] CHSW = bits[172:158];
    wire [3:0] ROWSW = bits[176:173];
    wire [1:0] LGO = bits[178:177];
    wire [14:0] OCHSW = bits[193:179];
    wire [3:0] OROWSW = bits[197:194];
    wire [3:0] SHR_W = bits[201:198];
    wire [3:0] SHR_X = bits[205:202];
    wire [23:0] ARG_W = bits[229:206];
    wire [23:0] ARG_X = bits[253:230];
    wire [35:0] ADDC = bits[289:254];
    wire LOAD_BN = bits[290:290];
    wire LOAD_ACT = bits[291:291];
    wire [31:0] BN_ADDR = bits[323:292];
    wire [31:0] ACT_ADDR = bits[355:324];
    wire [31:0] W_ADDR = bits[387:356];
    wire [7:0] BURST = bits[395:388];
    wire [16:0] LOAD_SIZE = bits[412:396];
    wire [10:0] LOAD_NCH = bits[423:413];
    wire [14:0] CH_BYTES = bits[438:424];
    wire LOAD_W = bits[439:439];
    wire [1:0] LGP = bits[441:440];
    wire [2:0] LGSW = bits[444:442];
    wire [9:0] TR = bits[454:445];
    wire [9:0] TR_LAST = bits[464:455];
    wire [11:0] NG = bits[476:465];
    wire [11:0] GP = bits[488:477];
    wire KEEP = bits[489:489];
    wire [14:0] REPS = bits[504:490];
endmodule

module kpu_job_names (input wire [69:0] bits);
    typedef enum logic [1:0] {activation_table = 2'd0, batch_norm = 2'd1, weights = 2'd2, mark = 2'd3} KIND_values;
    KIND_values KIND;
    assign KIND = KIND_values'(bits[1:0]);
    wire [25:0] BYTES = bits[27:2];
    wire [2:0] SKIP = bits[30:28];
    wire ACT_BANK = bits[31:31];
    wire BN_BANK = bits[32:32];
    wire SW_BANK = bits[33:33];
    wire [14:0] CH_BYTES = bits[48:34];
    wire [9:0] CHANNEL = bits[58:49];
    wire [5:0] SLOT = bits[64:59];
    wire LAST = bits[65:65];
    wire FIRST = bits[66:66];
    wire SUMS = bits[67:67];
    wire WIDE = bits[68:68];
    wire CENTRE = bits[69:69];
endmodule

module kpu_token_names (input wire [28:0] bits);
    wire [6:0] WIDTH = bits[6:0];
    wire [3:0] SLOTS = bits[10:7];
    wire [1:0] SUB = bits[12:11];
    wire [3:0] COUNT = bits[16:13];
    wire [3:0] LINE = bits[20:17];
    typedef enum logic [1:0] {itself = 2'd0, left = 2'd1, right = 2'd2} PLACE_values;
    PLACE_values PLACE;
    assign PLACE = PLACE_values'(bits[22:21]);
    wire ABOVE = bits[23:23];
    wire OUT = bits[24:24];
    wire SHIFT = bits[25:25];
    wire LAST = bits[26:26];
    wire [1:0] WORD = bits[28:27];
endmodule

module kpu_decode_states (input wire [2:0] bits);
    typedef enum logic [2:0] {s_words = 3'd0, s_sizes = 3'd1, s_check = 3'd2, s_plan = 3'd3, s_offer = 3'd4} state_values;
    state_values state;
    assign state = state_values'(bits);
endmodule
bind kpu_decode kpu_decode_states named (.bits(state));

module kpu_planner_states (input wire [3:0] bits);
    typedef enum logic [3:0] {s_idle = 4'd0, s_rows = 4'd1, s_width = 4'd2, s_full_strip = 4'd3, s_last_strip = 4'd4, s_strips = 4'd5, s_blocks = 4'd6, s_compare = 4'd7, s_fit = 4'd8, s_tiles = 4'd9, s_height = 4'd10, s_repetitions = 4'd11, s_entries = 4'd12, s_keep = 4'd13, s_done = 4'd14} state_values;
    state_values state;
    assign state = state_values'(bits);
endmodule
bind kpu_planner kpu_planner_states named (.bits(state));

module kpu_seq_states (input wire [2:0] bits);
    typedef enum logic [2:0] {s_idle = 3'd0, s_setup = 3'd1, s_run = 3'd2, s_wait = 3'd3, s_end = 3'd4, s_size = 3'd5} state_values;
    state_values state;
    assign state = state_values'(bits);
endmodule
bind kpu_seq kpu_seq_states named (.bits(state));

module kpu_fetch_states (input wire [3:0] bits);
    typedef enum logic [3:0] {s_idle = 4'd0, s_act = 4'd1, s_bn = 4'd2, s_mark = 4'd3, s_rep = 4'd4, s_seg = 4'd5, s_len = 4'd6, s_push = 4'd7, s_next = 4'd8, s_burst = 4'd9, s_cross = 4'd10} state_values;
    state_values state;
    assign state = state_values'(bits);
endmodule
bind kpu_fetch kpu_fetch_states named (.bits(state));

bind kpu_core kpu_plan_names planned (.bits(plan));
bind kpu_core kpu_plan_names executing (.bits(layer));
bind kpu_core kpu_job_names job_asked (.bits(job));
bind kpu_core kpu_job_names job_arriving (.bits(job_out));
bind kpu_core kpu_token_names token_fetched (.bits(token));
bind kpu_core kpu_token_names token_used (.bits(wtoken));
