// SPDX-License-Identifier: Apache-2.0
// One SPI flash transaction: opcode, address, mode byte, dummy cycles, data.
//
// The opcode always goes out on one lane; address and mode byte use addr_lanes, the
// data data_lanes. Every part but the opcode can be left out, so each JEDEC command
// is one request and no command is known here. A read of length 0 continues until
// `stop`. A byte is read only while rx_room is high; at most two more bytes arrive
// after it falls. `done` pulses when chip select has risen and rested.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spi_sequencer (
    input  wire        clk,
    input  wire        rst,

    input  wire        req_valid,
    output wire        req_ready,
    input  wire [7:0]  req_opcode,
    input  wire        req_addr_en,
    input  wire [23:0] req_addr,
    input  wire [1:0]  req_addr_lanes,
    input  wire        req_mode_en,
    input  wire [7:0]  req_mode,
    input  wire [7:0]  req_dummy,
    input  wire [1:0]  req_data_kind,   // 0 no data, 1 in, 2 out
    input  wire [1:0]  req_data_lanes,
    input  wire [8:0]  req_length,      // bytes; 0 = until stop
    input  wire        stop,
    output wire        done,

    input  wire        tx_valid,
    output wire        tx_ready,
    input  wire [7:0]  tx_data,
    input  wire        rx_room,

    output reg         item_valid,
    input  wire        item_ready,
    output reg  [1:0]  item_kind,
    output reg  [1:0]  item_lanes,
    output reg  [7:0]  item_data,
    output wire        finish,
    input  wire        phy_idle
);

    localparam [1:0] KIND_OUT = 2'd0;
    localparam [1:0] KIND_IN = 2'd1;
    localparam [1:0] KIND_DUMMY = 2'd2;

    localparam [1:0] DATA_IN = 2'd1;

    localparam [2:0] IDLE = 3'd0;
    localparam [2:0] OPCODE = 3'd1;
    localparam [2:0] ADDRESS = 3'd2;
    localparam [2:0] MODE = 3'd3;
    localparam [2:0] DUMMY = 3'd4;
    localparam [2:0] DATA = 3'd5;
    localparam [2:0] FINISH = 3'd6;

    reg [2:0]  phase;
    reg [7:0]  opcode;
    reg        addr_en;
    reg [23:0] addr;
    reg [1:0]  addr_index;
    reg [1:0]  addr_lanes;
    reg        mode_en;
    reg [7:0]  mode;
    reg [7:0]  dummy;
    reg [1:0]  data_kind;
    reg [1:0]  data_lanes;
    reg        endless;
    reg [8:0]  left;

    wire sent = item_valid && item_ready;

    assign req_ready = phase == IDLE;
    assign finish = phase == FINISH;
    assign done = phase == FINISH && phy_idle;
    assign tx_ready = phase == DATA && data_kind != DATA_IN && item_ready;

    wire [2:0] data_phase = (data_kind != 2'd0) ? DATA : FINISH;
    wire [2:0] dummy_phase = (dummy != 8'd0) ? DUMMY : data_phase;
    wire [2:0] mode_phase = mode_en ? MODE : dummy_phase;

    always @* begin
        item_valid = 1'b0;
        item_kind = KIND_OUT;
        item_lanes = addr_lanes;
        item_data = 8'd0;
        case (phase)
            OPCODE: begin
                item_valid = 1'b1;
                item_lanes = 2'd0;
                item_data = opcode;
            end
            ADDRESS: begin
                item_valid = 1'b1;
                item_data = addr[23:16];
            end
            MODE: begin
                item_valid = 1'b1;
                item_data = mode;
            end
            DUMMY: begin
                item_valid = 1'b1;
                item_kind = KIND_DUMMY;
                item_lanes = data_lanes;
                item_data = dummy;
            end
            DATA: begin
                item_lanes = data_lanes;
                if (data_kind == DATA_IN) begin
                    item_valid = rx_room && !(endless && stop);
                    item_kind = KIND_IN;
                end else begin
                    item_valid = tx_valid;
                    item_data = tx_data;
                end
            end
            default: ;
        endcase
    end

    always @(posedge clk) begin
        case (phase)
            IDLE: if (req_valid) begin
                phase <= OPCODE;
                opcode <= req_opcode;
                addr_en <= req_addr_en;
                addr <= req_addr;
                addr_index <= 2'd0;
                addr_lanes <= req_addr_lanes;
                mode_en <= req_mode_en;
                mode <= req_mode;
                dummy <= req_dummy;
                data_kind <= req_data_kind;
                data_lanes <= req_data_lanes;
                endless <= req_length == 9'd0;
                left <= req_length;
            end
            OPCODE: if (sent) phase <= addr_en ? ADDRESS : dummy_phase;
            ADDRESS: if (sent) begin
                addr <= {addr[15:0], 8'd0};
                addr_index <= addr_index + 2'd1;
                if (addr_index == 2'd2) phase <= mode_phase;
            end
            MODE: if (sent) phase <= dummy_phase;
            DUMMY: if (sent) phase <= data_phase;
            DATA: begin
                if (sent) begin
                    left <= left - 9'd1;
                    if (!endless && left == 9'd1) phase <= FINISH;
                end
                if (endless && stop) phase <= FINISH;
            end
            FINISH: if (phy_idle) phase <= IDLE;
            default: phase <= IDLE;
        endcase
        if (rst) phase <= IDLE;
    end

endmodule

`resetall
