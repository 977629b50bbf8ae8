# SPDX-License-Identifier: Apache-2.0
# An error in a second thread is not lost when the main program goes on to its end.
# exit: 1
# says: ValueError: in the thread
import _thread


def worker():
    raise ValueError("in the thread")


_thread.start_new_thread(worker, ())
time.sleep_ms(300)
