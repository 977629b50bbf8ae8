# SPDX-License-Identifier: Apache-2.0
# A loop that does nothing at all ends by the time limit.
# options: --time-limit 1
# ended by: no camera frame and no inference for 1 s
while True:
    pass
