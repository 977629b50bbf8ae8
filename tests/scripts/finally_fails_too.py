# SPDX-License-Identifier: Apache-2.0
# The clean-up fails as well because the model was never loaded: the first error decides.
# exit: 3
# says: line 10: KPULoadError: .*nothing is burnt.*; then, in finally, .*line 12: NameError: name 'net'
import KPU as kpu
import sensor

sensor.reset()
try:
    net = kpu.load(0x400000)
finally:
    kpu.deinit(net)
