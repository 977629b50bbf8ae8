# SPDX-License-Identifier: Apache-2.0
# What nothing can stand in for says so when it is used.
# exit: 2
# says: lvgl.btn is not simulated: graphical interfaces are not
import lvgl as lv

lv.btn(lv.scr_act)
