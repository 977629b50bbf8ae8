# SPDX-License-Identifier: Apache-2.0
# A loop that only sleeps ends.
# options: --no-sleep
# ended by: the script only slept
while True:
    time.sleep_ms(500)
