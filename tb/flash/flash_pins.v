// SPDX-License-Identifier: Apache-2.0
// A flash on SPI pins: cocotbext-qspi's JEDEC model, or on Verilator (which does not reproduce the order of
// that model's zero-time events) the C++ model of the native back end.
`timescale 1ns / 1ps

module flash_pins #(
    parameter MEM_DEPTH = 65536,
    parameter DUMMY = 4
) (
    input  wire       present,       // 0: nothing drives the lanes but `absent_level`
    input  wire       absent_level,
    input  wire       spi_cs_n,
    input  wire       spi_sclk,
    input  wire [3:0] spi_io_o,
    input  wire [3:0] spi_io_oe,
    output wire [3:0] spi_io_i
);

`ifdef VERILATOR
    import "DPI-C" function void flash_dpi_open(input int bytes, input int dummy);
    import "DPI-C" function int flash_dpi_step(input longint now, input int cs_n, input int sclk, input int io);

    reg [3:0] lanes;
    initial flash_dpi_open(MEM_DEPTH, DUMMY);
    always @(spi_cs_n or spi_sclk)
        if (present) lanes = 4'(flash_dpi_step($time, 32'(spi_cs_n), 32'(spi_sclk), 32'(spi_io_o | ~spi_io_oe)));
    assign spi_io_i = present ? lanes : {4{absent_level}};
`else
    wire [3:0] io;
    pullup pull_up [3:0] (io);
    assign spi_io_i = present ? io : {4{absent_level}};
    assign io[0] = spi_io_oe[0] ? spi_io_o[0] : 1'bz;
    assign io[1] = spi_io_oe[1] ? spi_io_o[1] : 1'bz;
    assign io[2] = spi_io_oe[2] ? spi_io_o[2] : 1'bz;
    assign io[3] = spi_io_oe[3] ? spi_io_o[3] : 1'bz;

    qspi_flash #(.MEM_DEPTH(MEM_DEPTH), .DUMMY(DUMMY), .PROGRAM_NS(3000), .ERASE_NS(9000)) flash (
        .clk(spi_sclk && present),
        .csb(spi_cs_n || !present),
        .io(io)
    );
`endif

endmodule
