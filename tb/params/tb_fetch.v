// SPDX-License-Identifier: Apache-2.0
// kpu_fetch and kpu_unpack as kpu_core joins them.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "kpu_plan.vh"
`include "kpu_job.vh"

module tb_fetch #(
    parameter LGPES = 4
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               plan_valid,
    output wire               plan_ready,
    input  wire [`PLAN_W-1:0] plan,
    output wire               bn_bank,
    output wire               act_bank,
    output wire               sw_bank,
    output wire               m_axi_arvalid,
    input  wire               m_axi_arready,
    output wire [31:0]        m_axi_araddr,
    output wire [7:0]         m_axi_arlen,
    output wire [2:0]         m_axi_arsize,
    output wire [1:0]         m_axi_arburst,
    input  wire               m_axi_rvalid,
    output wire               m_axi_rready,
    input  wire [63:0]        m_axi_rdata,
    input  wire [1:0]         m_axi_rresp,
    output wire               bus_error,
    output wire [1:0]         marks,
    output wire               act_we,
    output wire               bn_we,
    output wire               table_bank,
    output wire [9:0]         table_index,
    output wire [63:0]        table_data,
    output wire               sw_we,
    output wire               sw_wbank,
    output wire [9:0]         sw_index,
    output wire [29:0]        sw_data,
    output wire               entry_valid,
    input  wire               entry_ready,
    output wire [71:0]        entry
);
    wire job_valid, job_ready, job_out_valid, job_out_ready;
    wire [`JOB_W-1:0] job, job_out;
    kpu_fetch #(.LGPES(LGPES), .ID_W(1)) fetch (
        .clk(clk), .rst(rst), .plan_valid(plan_valid), .plan_ready(plan_ready), .plan(plan), .bn_bank(bn_bank),
        .act_bank(act_bank), .sw_bank(sw_bank), .job_valid(job_valid), .job_ready(job_ready), .job(job),
        .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready), .m_axi_arid(), .m_axi_araddr(m_axi_araddr),
        .m_axi_arlen(m_axi_arlen), .m_axi_arsize(m_axi_arsize), .m_axi_arburst(m_axi_arburst)
    );
    kpu_queue #(.WIDTH(`JOB_W), .LGDEPTH(4)) jobs (
        .clk(clk), .rst(rst), .s_valid(job_valid), .s_ready(job_ready), .s_data(job),
        .m_valid(job_out_valid), .m_ready(job_out_ready), .m_data(job_out)
    );
    kpu_unpack unpack (
        .clk(clk), .rst(rst), .job_valid(job_out_valid), .job_ready(job_out_ready), .job(job_out),
        .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready), .m_axi_rdata(m_axi_rdata),
        .m_axi_rresp(m_axi_rresp), .bus_error(bus_error), .marks(marks), .act_we(act_we), .bn_we(bn_we),
        .table_bank(table_bank), .table_index(table_index), .table_data(table_data), .sw_we(sw_we),
        .sw_bank(sw_wbank), .sw_index(sw_index), .sw_data(sw_data), .entry_valid(entry_valid),
        .entry_ready(entry_ready), .entry(entry)
    );
endmodule

`resetall
