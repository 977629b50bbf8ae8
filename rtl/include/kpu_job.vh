// SPDX-License-Identifier: Apache-2.0
// Generated from openkpu/hw/signals.py by `python -m openkpu.hw.generate`; do not edit.
// One contiguous piece of parameters, from kpu_fetch, which asks memory for it, to kpu_unpack, which takes its bytes.
`ifndef KPU_JOB_VH
`define KPU_JOB_VH

`define JOB_KIND         1:0       // 0 activation table, 1 batch norm, 2 weights, 3 mark: a layer's tables have come
`define JOB_BYTES        27:2
`define JOB_SKIP         30:28     // bytes of the first word that come before
`define JOB_ACT_BANK     31:31     // table written
`define JOB_BN_BANK      32:32
`define JOB_SW_BANK      33:33
`define JOB_CH_BYTES     48:34     // weight bytes of every channel in this piece
`define JOB_CHANNEL      58:49     // first output channel
`define JOB_SLOT         64:59     // its place in the block
`define JOB_LAST         65:65     // last piece of its channels
`define JOB_FIRST        66:66     // first piece of its channels
`define JOB_SUMS         67:67     // the weight sums are wanted: first time that the weights are fetched
`define JOB_WIDE         68:68     // 16-bit weights
`define JOB_CENTRE       69:69     // depthwise 1x1 kernel: its weight goes to the centre of the window

`define JOB_W 70

`endif
