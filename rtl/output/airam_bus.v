// SPDX-License-Identifier: Apache-2.0
// AXI4 slave of the AI RAM: bursts become single beats, one per cycle.
//
// Takes FIXED, INCR and WRAP bursts with beats of 1 to 8 bytes and answers SLVERR outside the memory (reads give 0,
// writes change nothing). Reads and writes run independently of each other.
//
// The memory behind it has two ports of its own. A write is offered from registers until `w_done`. A read is asked for by
// `r_want` and taken with `r_take`; the memory answers with `r_there`, in order and after any number of cycles. At most
// two beats are under way or kept here, so that rready reaches no ready of its own cycle.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module airam_bus #(
    parameter ROWS = 32768,  // 64-byte rows, 2 to 32768
    parameter ID_W = 4
) (
    input  wire               clk,
    input  wire               rst,
    // to the memory
    output reg                w_want,
    input  wire               w_done,
    output reg  [20:3]        w_addr,
    output reg  [63:0]        w_data,
    output reg  [7:0]         w_strb,
    output wire               r_want,
    input  wire               r_take,
    output wire [20:3]        r_addr,
    input  wire               r_there,
    input  wire [63:0]        r_data,
    // AXI4
    input  wire               s_axi_awvalid,
    output wire               s_axi_awready,
    input  wire [ID_W-1:0] s_axi_awid,
    input  wire [20:0]        s_axi_awaddr,
    input  wire [7:0]         s_axi_awlen,
    input  wire [2:0]         s_axi_awsize,
    input  wire [1:0]         s_axi_awburst,
    input  wire               s_axi_wvalid,
    output wire               s_axi_wready,
    input  wire [63:0]        s_axi_wdata,
    input  wire [7:0]         s_axi_wstrb,
    input  wire               s_axi_wlast,
    output reg                s_axi_bvalid,
    input  wire               s_axi_bready,
    output reg  [ID_W-1:0] s_axi_bid,
    output reg  [1:0]         s_axi_bresp,
    input  wire               s_axi_arvalid,
    output wire               s_axi_arready,
    input  wire [ID_W-1:0] s_axi_arid,
    input  wire [20:0]        s_axi_araddr,
    input  wire [7:0]         s_axi_arlen,
    input  wire [2:0]         s_axi_arsize,
    input  wire [1:0]         s_axi_arburst,
    output wire               s_axi_rvalid,
    input  wire               s_axi_rready,
    output wire [ID_W-1:0] s_axi_rid,
    output wire [63:0]        s_axi_rdata,
    output wire [1:0]         s_axi_rresp,
    output wire               s_axi_rlast
);

    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (ROWS < 2 || ROWS > 32768) begin : rule0
            airam_bus_ROWS_must_be_2_to_32768 refused ();
        end
        if (ID_W < 1) begin : rule1
            airam_bus_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    localparam [1:0] OKAY = 2'b00;
    localparam [1:0] SLVERR = 2'b10;
    localparam [15:0] ROW_COUNT = ROWS[15:0];

    // ---------------------------------------------------------------- writes

    reg                aw_busy;
    reg  [20:0]        aw_addr;
    reg  [7:0]         aw_len;
    reg  [7:0]         aw_left;
    reg  [2:0]         aw_size;
    reg  [1:0]         aw_burst;

    wire [20:0]        aw_next;
    wire               aw_legal;
    wire               aw_inside = {1'b0, aw_addr[20:6]} < ROW_COUNT;
    wire               w_beat = s_axi_wvalid && s_axi_wready;
    wire               w_good = aw_inside && aw_legal;

    axi_burst_next aw_step (
        .addr(aw_addr), .len(aw_len), .size(aw_size), .burst(aw_burst), .next(aw_next), .legal(aw_legal)
    );

    assign s_axi_awready = !aw_busy && !s_axi_bvalid;
    // A beat is kept until it is written, so that nothing waits for wvalid of the same cycle.
    assign s_axi_wready = aw_busy && !(w_want && !w_done);

    always @(posedge clk) begin
        if (w_done) w_want <= 1'b0;
        if (w_beat) begin
            w_want <= w_good;
            w_addr <= aw_addr[20:3];
            w_data <= s_axi_wdata;
            w_strb <= s_axi_wstrb;
        end
        if (s_axi_bready) s_axi_bvalid <= 1'b0;
        if (s_axi_awvalid && s_axi_awready) begin
            aw_busy <= 1'b1;
            aw_addr <= s_axi_awaddr;
            aw_len <= s_axi_awlen;
            aw_left <= s_axi_awlen;
            aw_size <= s_axi_awsize;
            aw_burst <= s_axi_awburst;
            s_axi_bid <= s_axi_awid;
            s_axi_bresp <= OKAY;
        end
        if (w_beat) begin
            aw_addr <= aw_next;
            aw_left <= aw_left - 8'd1;
            if (!w_good) s_axi_bresp <= SLVERR;
            if (aw_left == 8'd0) begin
                aw_busy <= 1'b0;
                s_axi_bvalid <= 1'b1;
            end
        end
        if (rst) begin
            aw_busy <= 1'b0;
            w_want <= 1'b0;
            s_axi_bvalid <= 1'b0;
        end
    end

    // ----------------------------------------------------------------- reads

    reg                ar_busy;
    reg  [ID_W-1:0] ar_id;
    reg  [20:0]        ar_addr;
    reg  [7:0]         ar_len;
    reg  [7:0]         ar_left;
    reg  [2:0]         ar_size;
    reg  [1:0]         ar_burst;

    wire [20:0]        ar_next;
    wire               ar_legal;
    wire               ar_inside = {1'b0, ar_addr[20:6]} < ROW_COUNT;

    axi_burst_next ar_step (
        .addr(ar_addr), .len(ar_len), .size(ar_size), .burst(ar_burst), .next(ar_next), .legal(ar_legal)
    );

    localparam NOTE_BITS = ID_W + 2;
    localparam BEAT_BITS = NOTE_BITS + 64;

    reg [1:0]           flight;      // beats asked for
    reg [NOTE_BITS-1:0] first_note;  // of the oldest one
    reg [NOTE_BITS-1:0] second_note;
    reg [1:0]           held;        // beats that have come
    reg [BEAT_BITS-1:0] held_first;
    reg [BEAT_BITS-1:0] held_second;

    wire                 take = r_want && r_take;
    wire [NOTE_BITS-1:0] note = {ar_id, ar_left == 8'd0, !ar_inside || !ar_legal};
    wire [BEAT_BITS-1:0] beat = {first_note, first_note[0] ? 64'd0 : r_data};
    wire                 leave = s_axi_rvalid && s_axi_rready;
    wire [1:0]           held_left = held + {1'b0, r_there} - {1'b0, leave};
    wire [1:0]           flight_left = flight - {1'b0, r_there};
    wire                 r_error;

    assign r_want = ar_busy && held + flight < 2'd2;
    assign r_addr = ar_addr[20:3];
    assign s_axi_arready = !ar_busy;
    assign s_axi_rvalid = r_there || held != 2'd0;
    assign {s_axi_rid, s_axi_rlast, r_error, s_axi_rdata} = held != 2'd0 ? held_first : beat;
    assign s_axi_rresp = r_error ? SLVERR : OKAY;

    always @(posedge clk) begin
        if (s_axi_arvalid && s_axi_arready) begin
            ar_busy <= 1'b1;
            ar_id <= s_axi_arid;
            ar_addr <= s_axi_araddr;
            ar_len <= s_axi_arlen;
            ar_left <= s_axi_arlen;
            ar_size <= s_axi_arsize;
            ar_burst <= s_axi_arburst;
        end
        if (take) begin
            ar_addr <= ar_next;
            ar_left <= ar_left - 8'd1;
            if (ar_left == 8'd0) ar_busy <= 1'b0;
        end
        flight <= flight_left + {1'b0, take};
        if (r_there) first_note <= second_note;
        if (take) begin
            if (flight_left == 2'd0) first_note <= note;
            else second_note <= note;
        end
        held <= held_left;
        if (leave) held_first <= held_second;
        if (r_there && held_left != 2'd0) begin
            if (held_left == 2'd1) held_first <= beat;
            else held_second <= beat;
        end
        if (rst) begin
            ar_busy <= 1'b0;
            flight <= 2'd0;
            held <= 2'd0;
        end
    end

    wire _unused = &{1'b0, s_axi_wlast};

endmodule

`resetall
