# SPDX-License-Identifier: Apache-2.0
# Timers call back in a loop that calls nothing; a one-shot timer calls once; an error in a callback goes on.
# exit: 1
# prints: ticks done with arg
# prints: once 1
# says: ZeroDivisionError
from machine import Timer

state = {"ticks": 0, "once": 0}


def tick(timer):
    state["ticks"] += 1
    state["arg"] = timer.callback_arg()


def once(timer):
    state["once"] += 1
    1 / 0


Timer(Timer.TIMER0, Timer.CHANNEL0, mode=Timer.MODE_ONE_SHOT, period=20, callback=once)
tim = Timer(Timer.TIMER0, Timer.CHANNEL1, mode=Timer.MODE_PERIODIC, period=10, callback=tick, arg="arg", start=False)
tim.start()
while state["ticks"] < 5:
    pass
print("ticks done with", state["arg"])
print("once", state["once"])
tim.stop()
