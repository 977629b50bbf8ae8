// SPDX-License-Identifier: Apache-2.0
// Flash commands: identify, status, write enable, page program, sector erase, quad enable.
//
// Program and erase are whole operations here: write enable, check that the flash took
// it, the command itself, then status reads until the flash is ready or busy_cycles
// have passed. They are refused before anything is sent unless they lie inside the
// burn window, so a wrong address cannot touch another sector. Quad enable sets bit 1
// of status register 2 (35h, 31h) if it is not set, the same way; a flash that does not
// know these commands answers all ones and is taken as it is. Each command ends with
// one pulse of `finished` together with its error flags; none can wait for ever.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module flash_command (
    input  wire        clk,
    input  wire        rst,

    input  wire        start,
    input  wire [3:0]  op,
    input  wire [8:0]  length,
    input  wire [23:0] address,

    input  wire [24:0] flash_size,
    input  wire [23:0] expect_id,
    input  wire [23:0] burn_first,
    input  wire [24:0] burn_end,
    input  wire [31:0] busy_cycles,
    input  wire [5:0]  page_words,

    output wire        busy,
    output wire        finished,
    output reg         err_no_flash,
    output reg         err_wrong_id,
    output reg         err_timeout,
    output reg         err_protected,
    output reg         err_range,
    output reg         err_page_data,
    output reg         err_unknown,
    output reg  [7:0]  device_status,
    output reg  [23:0] jedec,

    output reg  [7:0]  page_index,   // byte of the page buffer to send next
    input  wire [7:0]  page_byte,

    input  wire        window_active,
    output wire        req_valid,
    input  wire        req_ready,
    output reg  [7:0]  req_opcode,
    output reg         req_addr_en,
    output wire [23:0] req_addr,
    output reg  [1:0]  req_data_kind,
    output reg  [8:0]  req_length,
    input  wire        done,
    output wire        tx_valid,
    input  wire        tx_ready,
    output wire [7:0]  tx_data,
    input  wire        rx_valid,
    input  wire [7:0]  rx_data
);

    localparam [3:0] OP_READ_ID = 4'd1;
    localparam [3:0] OP_READ_STATUS = 4'd2;
    localparam [3:0] OP_WRITE_ENABLE = 4'd3;
    localparam [3:0] OP_WAIT_READY = 4'd4;
    localparam [3:0] OP_PAGE_PROGRAM = 4'd5;
    localparam [3:0] OP_SECTOR_ERASE = 4'd6;
    localparam [3:0] OP_ENABLE_QUAD = 4'd7;

    localparam [1:0] DATA_NONE = 2'd0;
    localparam [1:0] DATA_IN = 2'd1;
    localparam [1:0] DATA_OUT = 2'd2;

    localparam [2:0] IDLE = 3'd0;
    localparam [2:0] CHECK = 3'd1;
    localparam [2:0] ACQUIRE = 3'd2;
    localparam [2:0] REQUEST = 3'd3;
    localparam [2:0] RUN = 3'd4;
    localparam [2:0] FINISHED = 3'd5;

    // Transactions an operation is made of.
    localparam [2:0] STEP_ID = 3'd0;
    localparam [2:0] STEP_ENABLE = 3'd1;
    localparam [2:0] STEP_LATCH = 3'd2;   // status: is the write enable latch set?
    localparam [2:0] STEP_WRITE = 3'd3;   // program, erase or write status register 2
    localparam [2:0] STEP_READY = 3'd4;   // status: still busy?
    localparam [2:0] STEP_QUAD = 3'd5;    // status register 2: is quad enabled?

    reg [2:0]  state;
    reg [2:0]  step;
    reg [3:0]  op_r;
    reg [8:0]  length_r;
    reg [23:0] address_r;
    reg [31:0] waited;
    reg [7:0]  status2;
    reg        written;

    wire programs = op_r == OP_PAGE_PROGRAM;
    wire quad = op_r == OP_ENABLE_QUAD;
    wire writes = programs || quad || op_r == OP_SECTOR_ERASE;
    wire [23:0] first = programs ? address_r : {address_r[23:12], 12'd0};
    wire [24:0] target_end = {1'b0, first} + (programs ? {16'd0, length_r} : 25'd4096);
    wire [9:0]  page_end = {2'b0, address_r[7:0]} + {1'b0, length_r};
    wire out_of_range = first < burn_first || target_end > burn_end || target_end > flash_size
        || (programs && (length_r == 9'd0 || page_end > 10'd256));
    wire too_few = programs && {page_words, 3'b0} < length_r;

    wire wip = device_status[0];
    wire wel = device_status[1];

    assign busy = state != IDLE;
    assign finished = state == FINISHED;
    assign req_valid = state == REQUEST;
    assign req_addr = first;
    assign tx_valid = state == RUN;
    assign tx_data = quad ? status2 | 8'h02 : page_byte;

    always @* begin
        req_addr_en = 1'b0;
        req_data_kind = DATA_IN;
        req_length = 9'd1;
        case (step)
            STEP_ID: begin
                req_opcode = 8'h9F;
                req_length = 9'd3;
            end
            STEP_ENABLE: begin
                req_opcode = 8'h06;
                req_data_kind = DATA_NONE;
            end
            STEP_WRITE: begin
                req_opcode = programs ? 8'h02 : quad ? 8'h31 : 8'h20;
                req_addr_en = !quad;
                req_data_kind = (programs || quad) ? DATA_OUT : DATA_NONE;
                req_length = quad ? 9'd1 : length_r;
            end
            STEP_QUAD: req_opcode = 8'h35;
            default: req_opcode = 8'h05;
        endcase
    end

    always @(posedge clk) begin
        case (state)
            IDLE: if (start) begin
                state <= CHECK;
                op_r <= op;
                length_r <= length;
                address_r <= address;
                page_index <= 8'd0;
                waited <= 32'd0;
                written <= 1'b0;
                err_no_flash <= 1'b0;
                err_wrong_id <= 1'b0;
                err_timeout <= 1'b0;
                err_protected <= 1'b0;
                err_range <= 1'b0;
                err_page_data <= 1'b0;
                err_unknown <= 1'b0;
            end
            CHECK: begin
                state <= ACQUIRE;
                case (op_r)
                    OP_READ_ID: step <= STEP_ID;
                    OP_READ_STATUS, OP_WAIT_READY: step <= STEP_READY;
                    OP_WRITE_ENABLE: step <= STEP_ENABLE;
                    OP_ENABLE_QUAD: step <= STEP_QUAD;
                    OP_PAGE_PROGRAM, OP_SECTOR_ERASE: begin
                        step <= STEP_ENABLE;
                        if (out_of_range || too_few) state <= FINISHED;
                        err_range <= out_of_range;
                        err_page_data <= too_few && !out_of_range;
                    end
                    default: begin
                        err_unknown <= 1'b1;
                        state <= FINISHED;
                    end
                endcase
            end
            ACQUIRE: if (!window_active) state <= REQUEST;
            REQUEST: if (req_ready) state <= RUN;
            RUN: begin
                if (tx_ready) page_index <= page_index + 8'd1;
                if (rx_valid && step == STEP_ID) jedec <= {jedec[15:0], rx_data};
                if (rx_valid && step == STEP_QUAD) status2 <= rx_data;
                if (rx_valid && step != STEP_ID && step != STEP_QUAD) device_status <= rx_data;
                if (done) begin
                    state <= REQUEST;
                    case (step)
                        STEP_ID: begin
                            state <= FINISHED;
                            err_no_flash <= jedec == 24'h000000 || jedec == 24'hFFFFFF;
                            err_wrong_id <= expect_id != 24'd0 && jedec != expect_id;
                        end
                        STEP_ENABLE: begin
                            step <= STEP_LATCH;
                            if (!writes) state <= FINISHED;
                        end
                        STEP_LATCH: begin
                            step <= STEP_WRITE;
                            if (!wel) begin
                                err_protected <= 1'b1;
                                state <= FINISHED;
                            end
                        end
                        STEP_WRITE: begin
                            step <= STEP_READY;
                            written <= 1'b1;
                        end
                        STEP_QUAD: begin
                            step <= STEP_ENABLE;
                            if (status2[1] || written) state <= FINISHED;
                            err_protected <= !status2[1] && written;
                        end
                        default: begin
                            // No part that accepts writes has every status bit set.
                            if (&device_status) begin
                                err_no_flash <= 1'b1;
                                state <= FINISHED;
                            end else if (!wip && quad) step <= STEP_QUAD;
                            else if (!wip || op_r == OP_READ_STATUS) state <= FINISHED;
                            else if (waited >= busy_cycles) begin
                                err_timeout <= 1'b1;
                                state <= FINISHED;
                            end
                        end
                    endcase
                end
            end
            default: state <= IDLE;
        endcase

        if (step == STEP_READY && !(&waited)) waited <= waited + 32'd1;

        if (rst) begin
            state <= IDLE;
            // Visible in registers before the first command.
            device_status <= 8'd0;
            jedec <= 24'd0;
        end
    end

endmodule

`resetall
