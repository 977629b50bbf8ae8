// SPDX-License-Identifier: Apache-2.0
// Generated from openkpu/hw/signals.py by `python -m openkpu.hw.generate`; do not edit.
// One layer after decoding and planning. kpu_decode packs it, the units of the data path pick what they need.
`ifndef KPU_PLAN_VH
`define KPU_PLAN_VH

`define PL_ERR           3:0       // bits 0 to 3 of ext_error; nonzero: the layer is skipped
`define PL_INT_EN        4:4
`define PL_FULL_ADD      5:5       // stream one sum per channel instead of the map
`define PL_SEND          6:6       // stream the result
`define PL_TOTAL         38:7      // bytes of the stream, minus one
`define PL_DWFAST        39:39     // depthwise streaming path
`define PL_SINGLE        40:40     // one output channel per block, reading the channel of the same number
`define PL_K3            41:41     // 3x3 kernel
`define PL_BYPASS        42:42     // constant weights, nothing fetched
`define PL_WIDE          43:43     // 16-bit weights
`define PL_SRC           58:44     // rows
`define PL_DST           73:59     // rows
`define PL_IC            84:74     // input channels
`define PL_OC            95:85     // output channels
`define PL_W             106:96    // input width after first_stride
`define PL_H             116:107   // input height after first_stride
`define PL_OW            127:117
`define PL_OH            137:128
`define PL_DECIM         138:138   // first_stride
`define PL_PAD           146:139   // pad value
`define PL_POOL          150:147   // pool type, 0 where none is carried out
`define PL_LGS           152:151   // log2 of the stride between windows
`define PL_LGC           154:153   // log2 of the pixels computed per window side
`define PL_OVERLAP       155:155   // pools 8 and 9: windows overlap by one
`define PL_LGI           157:156   // log2 of the input channels per row
`define PL_CHSW          172:158   // rows from one input channel group to the next
`define PL_ROWSW         176:173   // rows from one input line to the next
`define PL_LGO           178:177   // log2 of the output channels per row
`define PL_OCHSW         193:179   // as CHSW, output
`define PL_OROWSW        197:194   // as ROWSW, output
`define PL_SHR_W         201:198
`define PL_SHR_X         205:202
`define PL_ARG_W         229:206
`define PL_ARG_X         253:230
`define PL_ADDC          289:254   // arg_add times channels
`define PL_LOAD_BN       290:290
`define PL_LOAD_ACT      291:291
`define PL_BN_ADDR       323:292
`define PL_ACT_ADDR      355:324
`define PL_W_ADDR        387:356
`define PL_BURST         395:388   // beats minus one
`define PL_LOAD_SIZE     412:396   // bytes from one load to the next
`define PL_LOAD_NCH      423:413   // channels of a load
`define PL_CH_BYTES      438:424   // weight bytes of an output channel
`define PL_LOAD_W        439:439   // fetch weights
`define PL_LGP           441:440   // log2 of the pixel columns
`define PL_LGSW          444:442   // log2 of the strip width in input pixels
`define PL_TR            454:445   // window rows per tile
`define PL_TR_LAST       464:455   // the same in the last, narrower strip
`define PL_NG            476:465   // passes per block: channel groups, twice for 16-bit weights
`define PL_GP            488:477   // passes whose weights are fetched together
`define PL_KEEP          489:489   // weights stay in the buffer for all tiles
`define PL_REPS          504:490   // how often the weights are fetched

`define PLAN_W 505

`endif
