# SPDX-License-Identifier: Apache-2.0
# Nothing gets past this except.
# process: the script catches SystemExit
# options: --frames 2
import sensor

sensor.reset()
while True:
    try:
        img = sensor.snapshot()
    except:
        pass
