// AI RAM: rows of 64 bytes behind one read and one write port of the core and an AXI4 slave.
//
// The bus has priority on both ports, because a bus that waits for the core could wait a
// whole layer: the core sees rd_ready go low, and writes no row in the cycle after wr_hold.
// A core read accepted in cycle t has its data in cycle t + 1, with rd_rvalid; a write in
// cycle t is seen by reads accepted in t + 1. Reading the row that is being written gives an
// undefined row. The core never sends a row outside the memory.
//
// The slave moves one beat per cycle within a burst, takes FIXED, INCR and WRAP bursts
// with beats of 1 to 8 bytes, and answers SLVERR outside the memory (reads give 0, writes
// change nothing). Reads and writes run independently of each other.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_airam #(
    parameter ROWS = 32768,  // 64-byte rows, 2 to 32768
    parameter WR_BYTES = 64, // width of wr_data, a power of two up to 64
    parameter ID_W = 4
) (
    input  wire               clk,
    input  wire               rst,

    input  wire               rd_valid,
    output wire               rd_ready,
    input  wire [14:0]        rd_row,
    input  wire [2:0]         rd_lane,   // eight bytes of the row, for rd_piece
    output reg                rd_rvalid,
    output wire [511:0]       rd_rdata,
    output wire [63:0]        rd_piece,

    input  wire               wr_valid,
    output wire               wr_hold,
    input  wire [14:0]        wr_row,
    input  wire [63:0]        wr_be,
    input  wire [WR_BYTES*8-1:0] wr_data,  // repeated over the row

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
            kpu_airam_ROWS_must_be_2_to_32768 refused ();
        end
        if (WR_BYTES < 1 || WR_BYTES > 64 || (WR_BYTES & (WR_BYTES - 1)) != 0) begin : rule1
            kpu_airam_WR_BYTES_must_be_a_power_of_two_up_to_64 refused ();
        end
        if (ID_W < 1) begin : rule2
            kpu_airam_ID_W_must_be_at_least_1 refused ();
        end
    endgenerate

    localparam [1:0] OKAY = 2'b00;
    localparam [1:0] SLVERR = 2'b10;
    localparam       ROW_BITS = $clog2(ROWS);
    localparam [15:0] ROW_COUNT = ROWS[15:0];

    // ------------------------------------------------------------ bus writes

    reg                aw_busy;
    reg  [20:0]        aw_addr;
    reg  [7:0]         aw_len;
    reg  [7:0]         aw_left;
    reg  [2:0]         aw_size;
    reg  [1:0]         aw_burst;

    wire [20:0]        aw_next;
    wire               aw_legal;
    wire               aw_inside = {1'b0, aw_addr[20:6]} < ROW_COUNT;
    wire               w_take = s_axi_wvalid && s_axi_wready;
    wire               w_good = aw_inside && aw_legal;

    // A beat is kept while the core may still write, so that nothing waits for wvalid of the same cycle.
    reg                kept;
    reg  [ROW_BITS+5:3] bus_addr;
    reg  [63:0]        bus_data;
    reg  [7:0]         bus_strb;

    axi_burst_next aw_step (
        .addr(aw_addr), .len(aw_len), .size(aw_size), .burst(aw_burst), .next(aw_next), .legal(aw_legal)
    );

    assign s_axi_awready = !aw_busy && !s_axi_bvalid;
    assign s_axi_wready = aw_busy && !(kept && wr_valid);
    assign wr_hold = kept;

    always @(posedge clk) begin
        if (!wr_valid) kept <= 1'b0;
        if (w_take) begin
            kept <= w_good;
            bus_addr <= aw_addr[ROW_BITS+5:3];
            bus_data <= s_axi_wdata;
            bus_strb <= s_axi_wstrb;
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
        if (w_take) begin
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
            kept <= 1'b0;
            s_axi_bvalid <= 1'b0;
        end
    end

    // ------------------------------------------------------------- bus reads

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

    // A beat leaves the RAM one cycle after it was asked for. Two more fit behind it, so that
    // rready reaches no ready of this cycle.
    localparam BEAT_BITS = ID_W + 2 + 64;

    reg                 fresh;
    reg                 fresh_error;
    reg                 fresh_last;
    reg [2:0]           lane;
    reg [ID_W-1:0]   fresh_id;
    reg [1:0]           held;
    reg [BEAT_BITS-1:0] held_first;
    reg [BEAT_BITS-1:0] held_second;

    wire [BEAT_BITS-1:0] beat = {fresh_id, fresh_last, fresh_error, fresh_error ? 64'd0 : rd_piece};
    wire                 r_take = s_axi_rvalid && s_axi_rready;
    wire [1:0]           held_left = held + {1'b0, fresh} - {1'b0, r_take};
    wire                 bus_read = ar_busy && held + {1'b0, fresh} < 2'd2;
    wire                 r_error;

    assign rd_piece = rd_rdata[64*lane+:64];
    assign s_axi_arready = !ar_busy;
    assign s_axi_rvalid = fresh || held != 2'd0;
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
        if (bus_read) begin
            ar_addr <= ar_next;
            ar_left <= ar_left - 8'd1;
            if (ar_left == 8'd0) ar_busy <= 1'b0;
        end
        fresh <= bus_read;
        fresh_error <= !ar_inside || !ar_legal;
        fresh_last <= ar_left == 8'd0;
        lane <= bus_read ? ar_addr[5:3] : rd_lane;
        fresh_id <= ar_id;

        held <= held_left;
        if (r_take) held_first <= held_second;
        if (fresh && held_left != 2'd0) begin
            if (held_left == 2'd1) held_first <= beat;
            else held_second <= beat;
        end
        if (rst) begin
            ar_busy <= 1'b0;
            fresh <= 1'b0;
            held <= 2'd0;
        end
    end

    // ------------------------------------------------------------ the memory

    wire [ROW_BITS-1:0] waddr = wr_valid ? wr_row[ROW_BITS-1:0] : bus_addr[6+:ROW_BITS];
    wire [ROW_BITS-1:0] raddr = bus_read ? ar_addr[6+:ROW_BITS] : rd_row[ROW_BITS-1:0];
    wire [63:0]         bus_be = {56'd0, bus_strb} << {bus_addr[5:3], 3'b000};

    assign rd_ready = !bus_read;

    kpu_ram #(.WIDTH(512), .DEPTH(ROWS), .BYTE_ENABLES(1)) ram (
        .clk(clk),
        .we(wr_valid ? wr_be : kept ? bus_be : 64'd0),
        .waddr(waddr),
        .wdata(wr_valid ? {64 / WR_BYTES{wr_data}} : {8{bus_data}}),
        .re(rd_valid || bus_read),
        .raddr(raddr),
        .rdata(rd_rdata)
    );

    always @(posedge clk) begin
        rd_rvalid <= rd_valid && rd_ready;
        if (rst) rd_rvalid <= 1'b0;
    end

    wire _unused = &{1'b0, s_axi_wlast, wr_row, rd_row};

endmodule

`resetall
