// Window former: from AI-RAM rows to the nine inputs of every pixel column.
//
// Two sets of nine row registers: one is used while the other is filled. A register holds a line of up to 64 pixels
// with one neighbour on the left and two on the right; pixels outside the image are already the pad value. A 3x3 set
// takes over two lines of the set before it. `take` at column q gives, one cycle later,
//   win: for P columns the nine taps at q + p * stride (3x3: one channel; 1x1: nine channels), or
//   dww: for every lane the 3x3 window at q + lane (depthwise path).
// Fills one row per cycle, two cycles after its token.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"

module kpu_window #(
    parameter SEGS = 8,     // array segments = most pixel columns
    parameter LANES = 32    // post-processing lanes
) (
    input  wire                clk,
    input  wire                rst,
    input  wire [`PLAN_W-1:0]  layer,
    // tokens and rows, in order
    input  wire                token_valid,
    output wire                token_ready,
    input  wire [41:0]         token,
    input  wire                row_valid,
    output wire                row_ready,
    input  wire [511:0]        row,
    // use
    output wire                set_valid,
    input  wire                take,
    input  wire [6:0]          q,
    input  wire                set_done,   // with the last take of a set
    output reg  [SEGS*72-1:0]  win,
    output reg  [LANES*72-1:0] dww
);
    wire dwfast = layer[`PL_DWFAST];
    wire k3 = layer[`PL_K3];
    wire decim = layer[`PL_DECIM];
    wire [1:0] lgi = layer[`PL_LGI];
    wire [1:0] lgs = layer[`PL_LGS];
    wire [7:0] pad = layer[`PL_PAD];
    integer b, k;

    // Stage 1: decimate, bring the first channel to byte 0, find the bytes beyond the line's end.
    wire t_out = token[24];
    wire [1:0] t_sub = token[12:11];
    wire [6:0] t_width = token[6:0];
    wire [2:0] lgpitch = 3'd6 - {1'b0, lgi} - {2'd0, decim};  // log2 of the bytes from slot to slot
    wire [255:0] even_bytes;
    genvar i;
    generate
        for (i = 0; i < 32; i = i + 1) begin : even
            assign even_bytes[8*i+:8] = row[16*i+:8];
        end
    endgenerate
    wire [511:0] pixels = decim ? {256'd0, even_bytes} : row;
    wire [9:0] t_shift = {5'd0, t_sub, 3'd0} << lgpitch;
    wire [511:0] beyond = {512{1'b1}} << {t_width, 3'd0};

    reg v1, out1;
    reg [26:0] token1;
    reg [511:0] row1, beyond1;
    reg [1:0] full;
    reg wbank, rbank;

    // Stage 2 fills the registers as soon as their set is free.
    wire step2 = v1 && !full[wbank];
    wire step1 = token_valid && (t_out || row_valid) && (!v1 || step2);
    assign token_ready = step1;
    assign row_ready = step1 && !t_out;

    wire u_last = token1[26];
    wire u_shift = token1[25];
    wire u_above = token1[23];
    wire [1:0] u_kind = token1[22:21];
    wire [3:0] u_slot = token1[20:17];
    wire [3:0] u_n = token1[16:13];
    wire [3:0] u_slots = token1[10:7];
    wire [7:0] left_byte = decim ? row1[255:248] : row1[511:504];
    wire [15:0] right_bytes = {token1[6:0] == 7'd1 ? pad : row1[15:8], row1[7:0]};
    wire [511:0] padded = (row1 & ~beyond1) | ({64{pad}} & beyond1);

    // Registers, not a memory: all lines of a set are read at once, so indices are constant wherever possible.
    // Byte 0: left neighbour, 1..64: pixels, 65, 66: right neighbours.
    (* mem2reg *) reg [535:0] line [0:17];
    // A row that holds several channels has 32 bytes or fewer for the second, 16 or fewer for the others.
    wire [255:0] second = lgpitch == 3'd5 ? padded[511:256] : lgpitch == 3'd4 ? {128'd0, padded[255:128]}
        : {192'd0, padded[127:64]};
    wire [127:0] third = lgpitch == 3'd4 ? padded[383:256] : {64'd0, padded[191:128]};
    wire [127:0] fourth = lgpitch == 3'd4 ? padded[511:384] : {64'd0, padded[255:192]};
    // Depthwise strips follow each other over the same lines: the last pixel of every line is kept for the next strip.
    reg [7:0] edge_pixel [0:511];
    reg [7:0] edge1;
    reg edge_known1;
    reg [8:0] line1;
    reg [3:0] nth;
    reg [511:0] own;

    always @(posedge clk) begin
        if (step1) begin
            v1 <= 1'b1;
            out1 <= t_out;
            token1 <= token[26:0];
            edge1 <= edge_pixel[token[41:33]];
            edge_known1 <= token[32];
            line1 <= token[41:33];
            row1 <= pixels >> t_shift;
            beyond1 <= !(k3 || dwfast) ? 512'd0 : !dwfast || lgi == 2'd0 ? beyond
                : lgi == 2'd1 ? {2{beyond[255:0]}} : {4{beyond[127:0]}};
        end else if (step2) begin
            v1 <= 1'b0;
        end

        if (step2) begin
            if (dwfast && !out1 && u_kind == 2'd0) edge_pixel[line1] <= row1[511:504];
            for (b = 0; b < 2; b = b + 1) begin
                if (wbank == b[0]) begin
                    if (u_shift) begin
                        line[9*b] <= line[9*(1-b)+1];
                        line[9*b+1] <= line[9*(1-b)+2];
                    end
                    if (u_above) line[9*b] <= {67{pad}};
                    for (k = 0; k < 9; k = k + 1) begin
                        if (k[3:0] >= u_slot && k[3:0] < u_slot + u_n) begin
                            nth = k[3:0] - u_slot;
                            own = nth == 4'd0 ? padded : nth == 4'd1 ? {256'd0, second}
                                : nth == 4'd2 ? {384'd0, third} : {384'd0, fourth};
                            if (out1) line[9*b+k] <= {67{pad}};
                            else if (u_kind == 2'd0) line[9*b+k] <= {pad, pad, own, edge_known1 ? edge1 : pad};
                            else if (u_kind == 2'd1) line[9*b+k][7:0] <= left_byte;
                            else if (decim) line[9*b+k][8*33+:16] <= right_bytes;
                            else line[9*b+k][8*65+:16] <= right_bytes;
                        end else if (u_slots != 4'd0 && k[3:0] >= u_slots) begin
                            line[9*b+k] <= 536'd0;  // channels that do not exist count as zero
                        end
                    end
                end
            end
            if (u_last) begin
                full[wbank] <= 1'b1;
                wbank <= !wbank;
            end
        end
        if (set_done) begin
            full[rbank] <= 1'b0;
            rbank <= !rbank;
        end
        if (rst) begin
            v1 <= 1'b0;
            full <= 2'b00;
            wbank <= 1'b0;
            rbank <= 1'b0;
        end
    end

    // Use: ten bytes of every line reach all columns, since P * stride is at most 8.
    assign set_valid = full[rbank];
    integer c, t;
    reg [607:0] ext;
    (* mem2reg *) reg [79:0] ten [0:8];
    always @(posedge clk) begin
        if (take && !dwfast) begin
            for (t = 0; t < 9; t = t + 1) begin
                if (t < 3 || !k3) begin
                    ext = {72'd0, rbank ? line[t+9] : line[t]};
                    ten[t] = ext[{q, 3'd0}+:80];
                end
            end
            for (c = 0; c < SEGS; c = c + 1) begin
                for (t = 0; t < 9; t = t + 1) begin
                    if (k3) begin
                        win[72*c+8*t+:8] <= lgs == 2'd0 ? ten[t/3][8*(c+t%3)+:8]
                            : lgs == 2'd1 ? ten[t/3][8*((2*c)%8+t%3)+:8] : ten[t/3][8*((4*c)%8+t%3)+:8];
                    end else begin
                        win[72*c+8*t+:8] <= lgs == 2'd0 ? ten[t][8*(c+1)+:8]
                            : lgs == 2'd1 ? ten[t][8*((2*c)%8+1)+:8] : ten[t][8*((4*c)%8+1)+:8];
                    end
                end
            end
        end
    end

    // Depthwise: the neighbours of a slot's first and last byte belong to other channels, so they are padding.
    integer u, n;
    reg [607:0] dw_ext;
    (* mem2reg *) reg [8*(LANES+2)-1:0] part [0:2];
    reg [6:0] at;
    wire [6:0] pitch_mask = (7'd64 >> lgi) - 7'd1;
    always @(posedge clk) begin
        if (take && dwfast) begin
            for (u = 0; u < 3; u = u + 1) begin
                dw_ext = {72'd0, rbank ? line[u+9] : line[u]};
                part[u] = dw_ext[{q, 3'd0}+:8*(LANES+2)];
            end
            for (n = 0; n < LANES; n = n + 1) begin
                at = q + n[6:0];
                for (u = 0; u < 3; u = u + 1) begin
                    dww[72*n+24*u+:8] <= !k3 ? 8'd0
                        : lgi != 2'd0 && (at & pitch_mask) == 7'd0 ? pad : part[u][8*n+:8];
                    dww[72*n+24*u+8+:8] <= !k3 && u != 1 ? 8'd0 : part[u][8*(n+1)+:8];
                    dww[72*n+24*u+16+:8] <= !k3 ? 8'd0
                        : lgi != 2'd0 && (at & pitch_mask) == pitch_mask ? pad : part[u][8*(n+2)+:8];
                end
            end
        end
    end

    wire _unused = &{1'b0, layer, token[31:27], token1};
endmodule

`resetall
