# Kria KV260: configuration full beside the processing system. NOT RUN WITH VIVADO: written from its manuals only.
#
#   vivado -mode batch -source boards/kv260/build.tcl      (from the repository's root; writes build/board/kv260)
set root [file normalize [file join [file dirname [info script]] .. ..]]
set here [file join $root boards kv260]
set out [file join $root build board kv260]
set mhz 150
# PL addresses: the chip's addresses plus 0x6000_0000, inside the window of M_AXI_HPM0_FPD.
set airam 0xA0600000
set registers 0xA0800000

create_project -force kpu $out -part xck26-sfvc784-2LV-c
set_property board_part xilinx.com:kv260_som:part0:1.4 [current_project]
add_files [glob $root/rtl/*.v $root/rtl/{axi,cache,control,conv,lib,output,params,post}/*.v $here/kpu_kv260.v]
set_property include_dirs [file join $root rtl include] [current_fileset]
add_files -fileset constrs_1 $here/memories.xdc
set_property used_in_synthesis true [get_files memories.xdc]
update_compile_order -fileset sources_1

create_bd_design system
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e ps]
apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset 1} $ps
set_property -dict [list \
    CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__MAXIGP0__DATA_WIDTH 64 CONFIG.PSU__USE__M_AXI_GP1 0 \
    CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__SAXIGP2__DATA_WIDTH 64 CONFIG.PSU__USE__IRQ0 1 \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $mhz] $ps
set kpu [create_bd_cell -type module -reference kpu_kv260 kpu]
set down [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect down]
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 2} $down
set up [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect up]
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} $up
set reset [create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset]

set clock [get_bd_pins ps/pl_clk0]
foreach pin {ps/maxihpm0_fpd_aclk ps/saxihp0_fpd_aclk kpu/clk down/aclk up/aclk reset/slowest_sync_clk} {
    connect_bd_net $clock [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/pl_resetn0] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins kpu/rst]
connect_bd_net [get_bd_pins reset/interconnect_aresetn] [get_bd_pins down/aresetn] [get_bd_pins up/aresetn]
connect_bd_net [get_bd_pins kpu/irq] [get_bd_pins ps/pl_ps_irq0]
connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_HPM0_FPD] [get_bd_intf_pins down/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins down/M00_AXI] [get_bd_intf_pins kpu/s_axi]
connect_bd_intf_net [get_bd_intf_pins down/M01_AXI] [get_bd_intf_pins kpu/s_axil]
connect_bd_intf_net [get_bd_intf_pins kpu/m_axi] [get_bd_intf_pins up/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins up/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP0_FPD]
assign_bd_address -offset $airam -range 2M [get_bd_addr_segs kpu/s_axi/*]
assign_bd_address -offset $registers -range 64K [get_bd_addr_segs kpu/s_axil/*]
assign_bd_address [get_bd_addr_segs ps/SAXIGP2/HP0_DDR_LOW]
validate_bd_design
save_bd_design
make_wrapper -files [get_files system.bd] -top -import
set_property top system_wrapper [current_fileset]

set_property -name {STEPS.SYNTH_DESIGN.ARGS.MORE OPTIONS} -value {-max_uram 64} -objects [get_runs synth_1]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
open_run impl_1
report_utilization -hierarchical -file $out/utilization.txt
report_timing_summary -file $out/timing.txt
if {[llength [get_cells -hierarchical -filter {REF_NAME =~ URAM288*}]] != 64} { error "the AI RAM is not in the 64 URAMs" }
