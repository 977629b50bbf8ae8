// SPDX-License-Identifier: Apache-2.0
// Generated from openkpu/hw/signals.py by `python -m openkpu.hw.generate`; do not edit.
// What becomes of one AI-RAM row, or of a line outside the image, from kpu_feature_fetch to kpu_window.
`ifndef KPU_TOKEN_VH
`define KPU_TOKEN_VH

`define TOKEN_WIDTH      6:0       // pixels of the line in this word
`define TOKEN_SLOTS      10:7      // 1x1: input channels of the pass, 0 for 3x3
`define TOKEN_SUB        12:11     // first channel's slot in the row
`define TOKEN_COUNT      16:13     // line registers that the row fills
`define TOKEN_LINE       20:17     // first of them; 3x3: 0 above, 1 at, 2 below, 3 more per word
`define TOKEN_PLACE      22:21     // 0 the word itself, 1 its neighbour on the left, 2 on the right
`define TOKEN_ABOVE      23:23     // the line above lies outside the image, too
`define TOKEN_OUT        24:24     // line outside the image: no row comes
`define TOKEN_SHIFT      25:25     // the set's lines move up by one first
`define TOKEN_LAST       26:26     // the set is complete
`define TOKEN_WORD       28:27     // depthwise: 64-byte word of the set that it belongs to

`define TOKEN_W 29

`endif
