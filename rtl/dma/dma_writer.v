// SPDX-License-Identifier: Apache-2.0
// Write side of a DMA channel: a dense byte stream in, bus bursts out.
//
// A burst starts only when all its bytes are here, so a slow source never holds the
// write channel of the interconnect; and only when it lies inside one of the two
// windows, so nothing outside them can be written, whatever the descriptor says. One
// burst is outstanding. `stop` ends after the burst on the bus. `done` pulses when
// the last response has come, so what was written is visible then.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module dma_writer #(
    parameter BURST = 16  // beats of a burst
) (
    input  wire        clk,
    input  wire        rst,

    input  wire        start,
    input  wire [31:0] addr,
    input  wire [23:0] row_bytes,
    input  wire [15:0] rows,
    input  wire [31:0] stride,
    input  wire        fixed,
    input  wire [29:0] window0_base,
    input  wire [29:0] window0_end,
    input  wire [29:0] window1_base,
    input  wire [29:0] window1_end,
    input  wire        stop,
    output wire        on_bus,        // a burst is outstanding or about to start
    output reg         done,
    output reg         error_window,  // pulses
    output reg         error_bus,
    output wire [31:0] error_addr,
    output reg         wrote,         // pulse: wrote_bytes more have been written
    output wire [8:0]  wrote_bytes,

    input  wire        push,          // a word of push_bytes bytes enters the FIFO in front
    input  wire [3:0]  push_bytes,
    input  wire        in_valid,
    output wire        in_ready,
    input  wire [63:0] in_data,

    output reg         m_axi_awvalid,
    input  wire        m_axi_awready,
    output reg  [31:0] m_axi_awaddr,
    output reg  [7:0]  m_axi_awlen,
    output wire [1:0]  m_axi_awburst,
    output reg         m_axi_wvalid,
    input  wire        m_axi_wready,
    output reg  [63:0] m_axi_wdata,
    output reg  [7:0]  m_axi_wstrb,
    output reg         m_axi_wlast,
    input  wire        m_axi_bvalid,
    output wire        m_axi_bready,
    input  wire [1:0]  m_axi_bresp
);
    // Refused: parameters that this module does not support stop elaboration with the rule's name.
    generate
        if (BURST < 2 || BURST > 32 || (BURST & (BURST - 1)) != 0) begin : rule0
            dma_writer_BURST_must_be_a_power_of_two_from_2_to_32 refused ();
        end
    endgenerate

    localparam BYTE_BITS = $clog2(BURST * 8) + 1;
    localparam [1:0] FIXED = 2'b00;
    localparam [1:0] INCR = 2'b01;

    localparam [1:0] IDLE = 2'd0;
    localparam [1:0] CHECK = 2'd1;
    localparam [1:0] DATA = 2'd2;
    localparam [1:0] RESPONSE = 2'd3;

    wire                 burst_valid;
    wire [31:0]          burst_addr;
    wire [BYTE_BITS-1:0] burst_bytes;
    wire [BYTE_BITS-4:0] burst_beats;

    reg  [1:0]           state;
    reg                  inside0;
    reg                  inside1;
    reg  [15:0]          available;  // bytes in front that no burst has claimed
    reg  [2:0]           offset;     // first byte lane of the next beat
    reg  [BYTE_BITS-1:0] left;       // bytes of the burst still to send
    reg  [BYTE_BITS-1:0] size;

    wire enough = {{16-BYTE_BITS{1'b0}}, burst_bytes} <= available;
    wire claim = state == IDLE && burst_valid && enough && !stop;
    wire step = state == CHECK && (inside0 || inside1);

    wire [30:0] first = {1'b0, burst_addr[29:0]};
    wire [30:0] last_end = first + (fixed ? 31'd8 : {{31-BYTE_BITS{1'b0}}, burst_bytes});

    assign on_bus = state != IDLE;
    assign m_axi_awburst = fixed ? FIXED : INCR;
    assign m_axi_bready = state == RESPONSE;
    assign error_addr = error_window ? burst_addr : m_axi_awaddr;
    assign wrote_bytes = {{9-BYTE_BITS{1'b0}}, size};

    dma_walker #(.BURST(BURST)) walker (
        .clk(clk),
        .rst(rst),
        .load(start),
        .addr(addr),
        .row_bytes(row_bytes),
        .rows(rows),
        .stride(stride),
        .fixed(fixed),
        .cancel(stop),
        .burst_valid(burst_valid),
        .burst_addr(burst_addr),
        .burst_bytes(burst_bytes),
        .burst_beats(burst_beats),
        .step(step)
    );

    // ---- unpacker: the next bytes are at `position` of `head`, continuing in the FIFO's word
    reg         head_valid;
    reg  [63:0] head;
    reg  [2:0]  position;

    wire [3:0] lane_space = 4'd8 - {1'b0, offset};
    wire [3:0] count = (left < {{BYTE_BITS-4{1'b0}}, lane_space}) ? left[3:0] : lane_space;
    wire [4:0] taken = {2'b0, position} + {1'b0, count};
    wire       head_used = taken >= 5'd8;
    wire       spans = taken > 5'd8;
    wire       emit = state == DATA && left != {BYTE_BITS{1'b0}} && head_valid && (!spans || in_valid)
                      && (!m_axi_wvalid || m_axi_wready);
    wire [2:0] rotate = offset - position;
    wire [127:0] head_doubled = {head, head} << {rotate, 3'b000};
    wire [127:0] next_doubled = {in_data, in_data} << {rotate, 3'b000};
    wire [3:0] head_bytes = 4'd8 - {1'b0, position} + {1'b0, offset};  // lanes below come from head

    assign in_ready = emit ? head_used : !head_valid;

    reg [63:0] lanes;
    reg [7:0]  strobes;
    integer i;
    always @* begin
        for (i = 0; i < 8; i = i + 1) begin
            lanes[8*i+:8] = (i < {28'd0, head_bytes}) ? head_doubled[64+8*i+:8] : next_doubled[64+8*i+:8];
            strobes[i] = i >= {29'd0, offset} && i < {28'd0, {1'b0, offset} + count};
        end
    end

    always @(posedge clk) begin
        done <= 1'b0;
        error_window <= 1'b0;
        error_bus <= 1'b0;
        wrote <= 1'b0;

        available <= available + (push ? {12'd0, push_bytes} : 16'd0)
            - (claim ? {{16-BYTE_BITS{1'b0}}, burst_bytes} : 16'd0);

        if (m_axi_awready) m_axi_awvalid <= 1'b0;
        if (m_axi_wready) m_axi_wvalid <= 1'b0;

        case (state)
            IDLE: if (claim) begin
                state <= CHECK;
                inside0 <= first >= {1'b0, window0_base} && last_end <= {1'b0, window0_end};
                inside1 <= first >= {1'b0, window1_base} && last_end <= {1'b0, window1_end};
            end
            CHECK: if (inside0 || inside1) begin
                state <= DATA;
                m_axi_awvalid <= 1'b1;
                m_axi_awaddr <= burst_addr;
                m_axi_awlen <= {{11-BYTE_BITS{1'b0}}, burst_beats} - 8'd1;
                offset <= fixed ? 3'd0 : burst_addr[2:0];
                left <= burst_bytes;
                size <= burst_bytes;
            end else begin
                state <= IDLE;
                error_window <= 1'b1;
            end
            DATA: if (left == {BYTE_BITS{1'b0}} && (!m_axi_wvalid || m_axi_wready)
                      && (!m_axi_awvalid || m_axi_awready)) state <= RESPONSE;
            default: if (m_axi_bvalid) begin
                state <= IDLE;
                wrote <= m_axi_bresp == 2'b00;
                error_bus <= m_axi_bresp != 2'b00;
                done <= !burst_valid && m_axi_bresp == 2'b00 && !stop;
            end
        endcase

        if (emit) begin
            m_axi_wvalid <= 1'b1;
            m_axi_wdata <= lanes;
            m_axi_wstrb <= strobes;
            m_axi_wlast <= left == {{BYTE_BITS-4{1'b0}}, count};
            left <= left - {{BYTE_BITS-4{1'b0}}, count};
            offset <= 3'd0;
            position <= taken[2:0];
        end
        if (in_ready) begin
            head <= in_data;
            head_valid <= in_valid;
        end
        if (start) begin
            available <= 16'd0;
            head_valid <= 1'b0;
            position <= 3'd0;
        end

        if (rst) begin
            state <= IDLE;
            available <= 16'd0;
            head_valid <= 1'b0;
            m_axi_awvalid <= 1'b0;
            m_axi_wvalid <= 1'b0;
            done <= 1'b0;
            error_window <= 1'b0;
            error_bus <= 1'b0;
            wrote <= 1'b0;
        end
    end

    wire _unused = &{1'b0, head_doubled[63:0], next_doubled[63:0], taken[4:3]};

endmodule

`resetall
