// SPDX-License-Identifier: Apache-2.0
// Cached AI RAM: the ports of kpu_airam, with the rows in an external memory and the ones in use here.
//
// For boards whose block RAM does not hold 2 MiB. Write-back, write-allocate, lines of one 64-byte row; a line that is made
// by writes is not fetched (cache_lookup says how). Reads are answered in order, after four cycles on a hit;
// while one waits for its line the next ones are looked up and fetched, as many as the core has under way. That, not
// guessing, is the prefetch: the core asks for rows eight ahead (docs/cache.md has the figures).
//
//   rd_*, bus --> cache_lookup --> cache_reads --> data RAM --> rd_rdata, bus
//   wr_*, bus -->      |   `-----> cache_fill  --> data RAM        (m_axi_ar, m_axi_r)
//                      `---------> cache_evict <-- data RAM        (m_axi_aw, m_axi_w, m_axi_b)
//
// Differences a user may notice: rd_rvalid comes later; rd_need names the bytes of a row that matter (only they are worth
// a fill); after reset the tags are emptied, two cycles a set, and changed lines that were not flushed are
// lost. The memory port must be reset together with the core. AI-RAM row 0 is at BASE.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_cache #(
    parameter ROWS = 32768,        // 64-byte rows of AI RAM, a power of two
    parameter LINES = 2048,        // lines kept here, a power of two, WAYS * 2 to ROWS / 2
    parameter WAYS = 2,            // 1, 2 or 4
    parameter WR_BYTES = 16,       // width of wr_data, a power of two up to 64
    parameter ID_W = 4,
    parameter [31:0] BASE = 32'd0  // address of the rows in the external memory, a multiple of 64
) (
    input  wire               clk,
    input  wire               rst,

    input  wire               rd_valid,
    output wire               rd_ready,
    input  wire [14:0]        rd_row,
    input  wire [63:0]        rd_need,   // bytes of the row that the reader uses
    input  wire [2:0]         rd_lane,   // eight bytes of the row, for rd_piece
    input  wire               rd_stream, // a mark that comes back with the row
    output reg                rd_rvalid,
    output reg                rd_rstream,
    output wire [511:0]       rd_rdata,
    output wire [63:0]        rd_piece,

    input  wire               wr_valid,
    output wire               wr_hold,
    input  wire [14:0]        wr_row,
    input  wire [63:0]        wr_be,
    input  wire [WR_BYTES*8-1:0] wr_data,  // repeated over the row

    input  wire               flush,       // pulse: write all changed bytes back
    input  wire               invalidate,  // pulse: forget every line (after the flush, if both come)
    output wire               busy,        // flushing, forgetting, or bytes are on their way to the memory
    output wire               bus_error,   // pulse: the memory answered with an error
    output reg                ev_read,     // events, a cycle late: row reads, those that fetch a line, lines written
    output reg                ev_miss,     //   back, cycles in which the oldest read waits for its line
    output reg                ev_evict,
    output reg                ev_wait,

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
    output wire               s_axi_bvalid,
    input  wire               s_axi_bready,
    output wire [ID_W-1:0] s_axi_bid,
    output wire [1:0]         s_axi_bresp,
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
    output wire               s_axi_rlast,

    output wire               m_axi_awvalid,
    input  wire               m_axi_awready,
    output wire [ID_W-1:0] m_axi_awid,
    output wire [31:0]        m_axi_awaddr,
    output wire [7:0]         m_axi_awlen,
    output wire [2:0]         m_axi_awsize,
    output wire [1:0]         m_axi_awburst,
    output wire               m_axi_wvalid,
    input  wire               m_axi_wready,
    output wire [63:0]        m_axi_wdata,
    output wire [7:0]         m_axi_wstrb,
    output wire               m_axi_wlast,
    input  wire               m_axi_bvalid,
    output wire               m_axi_bready,
    input  wire [ID_W-1:0] m_axi_bid,
    input  wire [1:0]         m_axi_bresp,
    output wire               m_axi_arvalid,
    input  wire               m_axi_arready,
    output wire [ID_W-1:0] m_axi_arid,
    output wire [31:0]        m_axi_araddr,
    output wire [7:0]         m_axi_arlen,
    output wire [2:0]         m_axi_arsize,
    output wire [1:0]         m_axi_arburst,
    input  wire               m_axi_rvalid,
    output wire               m_axi_rready,
    input  wire [ID_W-1:0] m_axi_rid,
    input  wire [63:0]        m_axi_rdata,
    input  wire [1:0]         m_axi_rresp,
    input  wire               m_axi_rlast
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (ROWS < 8 || ROWS > 32768 || (ROWS & (ROWS - 1)) != 0) begin : rule0
            kpu_cache_ROWS_must_be_a_power_of_two_from_8_to_32768 refused ();
        end
        if (WAYS != 1 && WAYS != 2 && WAYS != 4) begin : rule1
            kpu_cache_WAYS_must_be_1_2_or_4 refused ();
        end
        if (LINES < 2 * WAYS || LINES > ROWS / 2 || (LINES & (LINES - 1)) != 0) begin : rule2
            kpu_cache_LINES_must_be_a_power_of_two_from_2_WAYS_to_half_of_ROWS refused ();
        end
        if (WR_BYTES < 1 || WR_BYTES > 64 || (WR_BYTES & (WR_BYTES - 1)) != 0) begin : rule3
            kpu_cache_WR_BYTES_must_be_a_power_of_two_up_to_64 refused ();
        end
        if (ID_W < 1) begin : rule4
            kpu_cache_ID_W_must_be_at_least_1 refused ();
        end
        if ((BASE & 63) != 0) begin : rule5
            kpu_cache_BASE_must_be_a_multiple_of_64 refused ();
        end
    endgenerate

    localparam ROW_BITS = $clog2(ROWS);
    localparam WAY_BITS = $clog2(WAYS);
    localparam SET_BITS = $clog2(LINES) - WAY_BITS;
    localparam LINE_BITS = SET_BITS + WAY_BITS;

    // ------------------------------------------------------------ the sources

    wire        bus_write, bus_read, bus_read_take;
    wire [20:3] bus_waddr, bus_raddr;
    wire [63:0] bus_data;
    wire [7:0]  bus_strb;
    reg         bus_due, bus_there;
    reg [63:0]  bus_piece;

    airam_bus #(.ROWS(ROWS), .ID_W(ID_W)) bus (
        .clk(clk), .rst(rst),
        .w_want(bus_write), .w_done(bus_write_done), .w_addr(bus_waddr), .w_data(bus_data), .w_strb(bus_strb),
        .r_want(bus_read), .r_take(bus_read_take), .r_addr(bus_raddr), .r_there(bus_there), .r_data(bus_piece),
        .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready), .s_axi_awid(s_axi_awid),
        .s_axi_awaddr(s_axi_awaddr), .s_axi_awlen(s_axi_awlen), .s_axi_awsize(s_axi_awsize),
        .s_axi_awburst(s_axi_awburst), .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready),
        .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb), .s_axi_wlast(s_axi_wlast),
        .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready), .s_axi_bid(s_axi_bid), .s_axi_bresp(s_axi_bresp),
        .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready), .s_axi_arid(s_axi_arid),
        .s_axi_araddr(s_axi_araddr), .s_axi_arlen(s_axi_arlen), .s_axi_arsize(s_axi_arsize),
        .s_axi_arburst(s_axi_arburst), .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready),
        .s_axi_rid(s_axi_rid), .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rlast(s_axi_rlast)
    );

    // The core's writes cannot wait, it only stops after wr_hold: two of four places are for those that still come.
    wire                  write_valid;
    wire [ROW_BITS-1:0]   write_row;
    wire [63:0]           write_be;
    wire [WR_BYTES*8-1:0] write_data;
    wire                  write_done, write_room;
    reg [2:0]             writes;
    kpu_queue #(.WIDTH(ROW_BITS + 64 + WR_BYTES * 8), .LGDEPTH(2)) write_queue (
        .clk(clk), .rst(rst), .s_valid(wr_valid), .s_ready(write_room),
        .s_data({wr_row[ROW_BITS-1:0], wr_be, wr_data}), .m_valid(write_valid),
        .m_ready(core_done), .m_data({write_row, write_be, write_data})
    );
    assign wr_hold = writes >= 3'd2;

    // Whose write is looked up; the bus has its turn when the core has none, and keeps it until it is done.
    reg bus_turn;
    reg bus_write_done;  // a cycle late: the cache's decision comes late in its own
    wire core_done = write_done && !bus_turn;

    wire                take_valid, take_ready;
    wire [ROW_BITS-1:0] take_row;
    wire [3:0]          take_note;
    wire [63:0]         take_need;
    kpu_queue #(.WIDTH(ROW_BITS + 68), .LGDEPTH(1)) read_queue (
        .clk(clk), .rst(rst), .s_valid(rd_valid), .s_ready(rd_ready),
        .s_data({rd_row[ROW_BITS-1:0], rd_stream, rd_lane, rd_need}),
        .m_valid(take_valid), .m_ready(take_ready && !bus_read), .m_data({take_row, take_note, take_need})
    );
    assign bus_read_take = take_ready;

    always @(posedge clk) begin
        writes <= writes + {2'd0, wr_valid} - {2'd0, core_done};
        bus_turn <= bus_turn ? !write_done : bus_write && !bus_write_done && !write_valid;
        bus_write_done <= bus_turn && write_done;
        if (rst) begin
            writes <= 3'd0;
            bus_turn <= 1'b0;
            bus_write_done <= 1'b0;
        end
    end

    // -------------------------------------------------------------- the cache

    wire fill_valid, fill_done, ask, ask_room, ask_blocked, evict, evict_room, put, put_room, put_wait, set_used;
    wire [ROW_BITS-1:0] fill_row, ask_row, evict_row;
    wire [3:0] asked, filled;
    wire [4:0] put_note, read_note;  // for the bus, for the stream, which eight bytes
    wire [63:0] evict_mask, line_we;
    wire [511:0] fill_line;
    wire [LINE_BITS-1:0] line, read_line;
    wire read_go, walking, evict_idle, fill_error, evict_error, reads_row, misses, stuck;

    cache_lookup #(.ROW_BITS(ROW_BITS), .SET_BITS(SET_BITS), .WAYS(WAYS), .WAY_BITS(WAY_BITS)) lookup (
        .clk(clk), .rst(rst),
        .fill_valid(fill_valid), .fill_done(fill_done), .fill_row(fill_row),
        .write_valid(bus_turn || write_valid), .write_done(write_done),
        .write_row(bus_turn ? bus_waddr[6+:ROW_BITS] : write_row),
        .write_be(bus_turn ? {56'd0, bus_strb} << {bus_waddr[5:3], 3'b000} : write_be),
        .read_valid(bus_read || take_valid), .read_ready(take_ready),
        .read_row(bus_read ? bus_raddr[6+:ROW_BITS] : take_row),
        .read_need(bus_read ? 64'hFF << {bus_raddr[5:3], 3'b000} : take_need),
        .read_note(bus_read ? {2'b10, bus_raddr[5:3]} : {1'b0, take_note}),
        .flush(flush), .invalidate(invalidate), .busy(walking),
        .line(line), .line_we(line_we), .evict(evict), .evict_room(evict_room && !read_go), .evict_row(evict_row),
        .evict_mask(evict_mask), .ask(ask), .ask_room(ask_room), .ask_row(ask_row), .ask_blocked(ask_blocked),
        .put(put), .put_room(put_room), .put_note(put_note), .put_wait(put_wait), .set_used(set_used),
        .ev_read(reads_row), .ev_read_miss(misses)
    );
    cache_reads #(.LINE_BITS(LINE_BITS), .WAY_BITS(WAY_BITS)) reads (
        .clk(clk), .rst(rst), .put(put), .room(put_room), .put_line(line), .put_note(put_note), .put_wait(put_wait),
        .asked(asked), .filled(filled), .stuck(stuck), .go(read_go),
        .line(read_line), .note(read_note), .query_set(line[LINE_BITS-1:WAY_BITS]), .set_used(set_used)
    );
    cache_fill #(.ROW_BITS(ROW_BITS), .ID_W(ID_W), .BASE(BASE)) fill (
        .clk(clk), .rst(rst), .ask(ask), .room(ask_room), .ask_row(ask_row), .asked(asked), .filled(filled),
        .line_valid(fill_valid), .line_taken(fill_done), .line_row(fill_row), .line(fill_line), .error(fill_error),
        .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready), .m_axi_arid(m_axi_arid),
        .m_axi_araddr(m_axi_araddr), .m_axi_arlen(m_axi_arlen), .m_axi_arsize(m_axi_arsize),
        .m_axi_arburst(m_axi_arburst), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready),
        .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp)
    );
    cache_evict #(.ROW_BITS(ROW_BITS), .ID_W(ID_W), .BASE(BASE)) evictions (
        .clk(clk), .rst(rst), .start(evict), .room(evict_room), .start_row(evict_row), .start_mask(evict_mask),
        .data(rd_rdata), .query_row(ask_row), .pending(ask_blocked), .idle(evict_idle), .error(evict_error),
        .m_axi_awvalid(m_axi_awvalid), .m_axi_awready(m_axi_awready), .m_axi_awid(m_axi_awid),
        .m_axi_awaddr(m_axi_awaddr), .m_axi_awlen(m_axi_awlen), .m_axi_awsize(m_axi_awsize),
        .m_axi_awburst(m_axi_awburst), .m_axi_wvalid(m_axi_wvalid), .m_axi_wready(m_axi_wready),
        .m_axi_wdata(m_axi_wdata), .m_axi_wstrb(m_axi_wstrb), .m_axi_wlast(m_axi_wlast),
        .m_axi_bvalid(m_axi_bvalid), .m_axi_bready(m_axi_bready), .m_axi_bresp(m_axi_bresp)
    );
    assign busy = walking || !evict_idle;
    assign bus_error = fill_error || evict_error;

    // --------------------------------------------------------------- the data

    reg [2:0] lane;
    kpu_ram #(.WIDTH(512), .DEPTH(LINES), .BYTE_ENABLES(1)) data (
        .clk(clk), .we(line_we), .waddr(line),
        .wdata(fill_done ? fill_line : bus_turn ? {8{bus_data}} : {64 / WR_BYTES{write_data}}),
        .re(evict || read_go), .raddr(read_go ? read_line : line), .rdata(rd_rdata)
    );
    assign rd_piece = rd_rdata[64*lane+:64];

    always @(posedge clk) begin
        if (read_go) lane <= read_note[2:0];
        rd_rstream <= read_note[3];
        ev_read <= reads_row;
        ev_miss <= misses;
        ev_evict <= evict;
        ev_wait <= stuck;
        rd_rvalid <= read_go && !read_note[4];
        bus_due <= read_go && read_note[4];
        bus_there <= bus_due;
        bus_piece <= rd_piece;
        if (rst) begin
            rd_rvalid <= 1'b0;
            bus_due <= 1'b0;
            bus_there <= 1'b0;
        end
    end

    wire _unused = &{1'b0, wr_row, rd_row, bus_waddr, bus_raddr, write_room, m_axi_bid, m_axi_rid, m_axi_rlast};
endmodule

`resetall
