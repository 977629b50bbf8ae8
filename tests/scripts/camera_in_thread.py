# SPDX-License-Identifier: Apache-2.0
# The camera loop runs in a second thread; the main program only waits.
# options: --frames 3
# ended by: frame limit of 3 reached
import _thread

import lcd
import sensor

lcd.init()
sensor.reset()
sensor.set_framesize(sensor.QVGA)


def worker():
    while True:
        lcd.display(sensor.snapshot())


_thread.start_new_thread(worker, ())
while True:
    time.sleep_ms(20)
