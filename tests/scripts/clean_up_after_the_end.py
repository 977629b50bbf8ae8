# SPDX-License-Identifier: Apache-2.0
# A clean-up that fails after the end of the feed does not make the run fail, but is told.
# options: --frames 1
# says: then, in finally, .*NameError
import sensor

sensor.reset()
try:
    while True:
        sensor.snapshot()
finally:
    net.deinit()
