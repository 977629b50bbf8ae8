# A loop that only sleeps ends.
# options: --no-sleep
# ended by: the script only slept
while True:
    time.sleep_ms(500)
