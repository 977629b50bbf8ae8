// SPDX-License-Identifier: Apache-2.0
// AXI4 slave for addresses nobody owns: answers every burst with DECERR.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module axi_decerr (
    input  wire        clk,
    input  wire        rst,

    input  wire        s_axi_arvalid,
    output wire        s_axi_arready,
    input  wire [7:0]  s_axi_arlen,
    output reg         s_axi_rvalid,
    input  wire        s_axi_rready,
    output wire [63:0] s_axi_rdata,
    output wire [1:0]  s_axi_rresp,
    output wire        s_axi_rlast,
    input  wire        s_axi_awvalid,
    output wire        s_axi_awready,
    input  wire        s_axi_wvalid,
    output wire        s_axi_wready,
    input  wire        s_axi_wlast,
    output reg         s_axi_bvalid,
    input  wire        s_axi_bready,
    output wire [1:0]  s_axi_bresp
);

    localparam [1:0] DECERR = 2'b11;

    reg [7:0] left;
    reg       writing;

    assign s_axi_arready = !s_axi_rvalid;
    assign s_axi_rdata = 64'd0;
    assign s_axi_rresp = DECERR;
    assign s_axi_rlast = left == 8'd0;
    assign s_axi_awready = !writing && !s_axi_bvalid;
    assign s_axi_wready = writing;
    assign s_axi_bresp = DECERR;

    always @(posedge clk) begin
        if (s_axi_rvalid && s_axi_rready) begin
            left <= left - 8'd1;
            if (s_axi_rlast) s_axi_rvalid <= 1'b0;
        end
        if (s_axi_arvalid && s_axi_arready) begin
            s_axi_rvalid <= 1'b1;
            left <= s_axi_arlen;
        end
        if (s_axi_bready) s_axi_bvalid <= 1'b0;
        if (s_axi_awvalid && s_axi_awready) writing <= 1'b1;
        if (s_axi_wvalid && s_axi_wready && s_axi_wlast) begin
            writing <= 1'b0;
            s_axi_bvalid <= 1'b1;
        end
        if (rst) begin
            s_axi_rvalid <= 1'b0;
            s_axi_bvalid <= 1'b0;
            writing <= 1'b0;
        end
    end

endmodule

`resetall
