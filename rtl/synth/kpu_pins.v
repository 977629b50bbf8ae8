// SPDX-License-Identifier: Apache-2.0
// Pins for an estimate: kpu_core between two shift registers, so that place and route needs three pins.
//
// Every input comes from a register and every output ends in one; the timing report is therefore about the core only.
// Not part of the design.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module kpu_pins #(
    parameter SEGS = 4,  // of kpu_core, as are all parameters
    parameter SEGLEN = 4,
    parameter LPS = 2,
    parameter DEPTH = 128,
    parameter AIRAM_ROWS = 4096,
    parameter WEIGHT_ENTRIES = 2048,
    parameter CACHE_LINES = 0
) (
    input  wire clk,
    input  wire load,
    input  wire in,
    output wire out_bit
);
    // The memory port is behind the others: without a cache its registers have nothing to do and disappear.
    reg [419:0] shift;
    reg [175:0] mem_taken;
    wire [175:0] mem_out;
    reg [280:0] taken;
    wire [280:0] out;
    assign out_bit = taken[280];
    always @(posedge clk) begin
        shift <= {shift[418:0], in};
        mem_taken <= load ? mem_out : {mem_taken[174:0], 1'b0};
        taken <= load ? out : {taken[279:0], mem_taken[175]};
    end

    kpu_core #(
        .SEGS(SEGS), .SEGLEN(SEGLEN), .LPS(LPS), .DEPTH(DEPTH), .AIRAM_ROWS(AIRAM_ROWS),
        .WEIGHT_ENTRIES(WEIGHT_ENTRIES),
        .CACHE_LINES(CACHE_LINES)
    ) core (
        .clk(clk), .rst(shift[0]), .s_axil_awvalid(shift[1]), .s_axil_awaddr(shift[2+:16]),
        .s_axil_wvalid(shift[18]), .s_axil_wdata(shift[19+:64]), .s_axil_wstrb(shift[83+:8]),
        .s_axil_bready(shift[91]), .s_axil_arvalid(shift[92]), .s_axil_araddr(shift[93+:16]),
        .s_axil_rready(shift[109]), .s_axi_awvalid(shift[110]), .s_axi_awid(shift[111+:4]),
        .s_axi_awaddr(shift[115+:21]), .s_axi_awlen(shift[136+:8]), .s_axi_awsize(shift[144+:3]),
        .s_axi_awburst(shift[147+:2]), .s_axi_wvalid(shift[149]), .s_axi_wdata(shift[150+:64]),
        .s_axi_wstrb(shift[214+:8]), .s_axi_wlast(shift[222]), .s_axi_bready(shift[223]), .s_axi_arvalid(shift[224]),
        .s_axi_arid(shift[225+:4]), .s_axi_araddr(shift[229+:21]), .s_axi_arlen(shift[250+:8]),
        .s_axi_arsize(shift[258+:3]), .s_axi_arburst(shift[261+:2]), .s_axi_rready(shift[263]),
        .m_axi_arready(shift[264]), .m_axi_rvalid(shift[265]), .m_axi_rid(shift[266+:4]),
        .m_axi_rdata(shift[270+:64]), .m_axi_rresp(shift[334+:2]), .m_axi_rlast(shift[336]),
        .m_axis_tready(shift[337]), .irq(out[0]), .s_axil_awready(out[1]), .s_axil_wready(out[2]),
        .s_axil_bvalid(out[3]), .s_axil_bresp(out[4+:2]), .s_axil_arready(out[6]), .s_axil_rvalid(out[7]),
        .s_axil_rdata(out[8+:64]), .s_axil_rresp(out[72+:2]), .s_axi_awready(out[74]), .s_axi_wready(out[75]),
        .s_axi_bvalid(out[76]), .s_axi_bid(out[77+:4]), .s_axi_bresp(out[81+:2]), .s_axi_arready(out[83]),
        .s_axi_rvalid(out[84]), .s_axi_rid(out[85+:4]), .s_axi_rdata(out[89+:64]), .s_axi_rresp(out[153+:2]),
        .s_axi_rlast(out[155]), .m_axi_arvalid(out[156]), .m_axi_arid(out[157+:4]), .m_axi_araddr(out[161+:32]),
        .m_axi_arlen(out[193+:8]), .m_axi_arsize(out[201+:3]), .m_axi_arburst(out[204+:2]), .m_axi_rready(out[206]),
        .m_axis_tvalid(out[207]), .m_axis_tdata(out[208+:64]), .m_axis_tkeep(out[272+:8]), .m_axis_tlast(out[280]),
        .m_mem_awready(shift[338]), .m_mem_wready(shift[339]), .m_mem_bvalid(shift[340]), .m_mem_bid(shift[341+:4]),
        .m_mem_bresp(shift[345+:2]), .m_mem_arready(shift[347]), .m_mem_rvalid(shift[348]), .m_mem_rid(shift[349+:4]),
        .m_mem_rdata(shift[353+:64]), .m_mem_rresp(shift[417+:2]), .m_mem_rlast(shift[419]),
        .m_mem_awvalid(mem_out[0]), .m_mem_awid(mem_out[1+:4]), .m_mem_awaddr(mem_out[5+:32]),
        .m_mem_awlen(mem_out[37+:8]), .m_mem_awsize(mem_out[45+:3]), .m_mem_awburst(mem_out[48+:2]),
        .m_mem_wvalid(mem_out[50]), .m_mem_wdata(mem_out[51+:64]), .m_mem_wstrb(mem_out[115+:8]),
        .m_mem_wlast(mem_out[123]), .m_mem_bready(mem_out[124]), .m_mem_arvalid(mem_out[125]),
        .m_mem_arid(mem_out[126+:4]), .m_mem_araddr(mem_out[130+:32]), .m_mem_arlen(mem_out[162+:8]),
        .m_mem_arsize(mem_out[170+:3]), .m_mem_arburst(mem_out[173+:2]), .m_mem_rready(mem_out[175])
    );
endmodule

`resetall
