// One layer after decoding and planning, as a flat bus (bit ranges).
// kpu_decode packs it, the units of the data path pick what they need: plan[`PL_IC].
`ifndef KPU_PLAN_VH
`define KPU_PLAN_VH

`define PL_ERR        4:0       // error bits as in ext_error; nonzero: the layer is skipped
`define PL_INT_EN     5:5     
`define PL_FULL_ADD   6:6     
`define PL_SEND       7:7       // stream the result
`define PL_TOTAL      39:8      // bytes of the stream, minus one
`define PL_DWFAST     40:40     // depthwise streaming path
`define PL_SINGLE     41:41     // one output channel per block, reading the channel of the same number
`define PL_K3         42:42     // 3x3 kernel
`define PL_BYPASS     43:43     // constant weights, nothing fetched
`define PL_WIDE       44:44     // 16-bit weights
`define PL_SRC        59:45     // rows
`define PL_DST        74:60     // rows
`define PL_IC         85:75     // input channels
`define PL_OC         96:86     // output channels
`define PL_W          107:97    // input width after first_stride
`define PL_H          117:108   // input height after first_stride
`define PL_OW         128:118 
`define PL_OH         138:129 
`define PL_DECIM      139:139   // first_stride
`define PL_PAD        147:140   // pad value
`define PL_POOL       151:148 
`define PL_LGS        153:152   // log2 of the stride between windows
`define PL_LGC        155:154   // log2 of the pixels computed per window side
`define PL_OVERLAP    156:156   // pools 8 and 9: windows overlap by one
`define PL_LGI        158:157   // log2 of the input channels per row
`define PL_CHSW       173:159 
`define PL_ROWSW      177:174 
`define PL_LGO        179:178   // log2 of the output channels per row
`define PL_OCHSW      194:180 
`define PL_OROWSW     198:195 
`define PL_SHR_W      202:199 
`define PL_SHR_X      206:203 
`define PL_ARG_W      230:207 
`define PL_ARG_X      254:231 
`define PL_ADDC       290:255   // arg_add times channels
`define PL_LOAD_BN    291:291 
`define PL_LOAD_ACT   292:292 
`define PL_BN_ADDR    324:293 
`define PL_ACT_ADDR   356:325 
`define PL_W_ADDR     388:357 
`define PL_BURST      396:389   // beats minus one
`define PL_LOAD_SIZE  413:397   // bytes from one load to the next
`define PL_LOAD_NCH   424:414   // channels of a load
`define PL_CH_BYTES   439:425   // weight bytes of an output channel
`define PL_LOAD_W     440:440   // fetch weights
`define PL_LGP        442:441   // log2 of the pixel columns
`define PL_LGSW       445:443   // log2 of the strip width in input pixels
`define PL_TR         455:446   // window rows per tile
`define PL_TR_LAST    505:496   // the same in the last, narrower strip
`define PL_NG         467:456   // passes per block: channel groups, twice for 16-bit weights
`define PL_GP         479:468   // passes whose weights are fetched together
`define PL_KEEP       480:480   // weights stay in the buffer for all tiles
`define PL_REPS       495:481   // how often the weights are fetched

`define PLAN_W       506

`endif
