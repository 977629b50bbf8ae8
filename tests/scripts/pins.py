# SPDX-License-Identifier: Apache-2.0
# The pin manager: registering, looking up, names, all functions of the chip.
# prints: 24 190 65
# prints: fm.fpioa.GPIOHS3 16
# prints: taken \[Warning\] function is used by fm.fpioa.GPIOHS3\(pin:16\)
# prints: used \[\('fm.fpioa.GPIOHS3', 16\)\]
# prints: led 0
from fpioa_manager import *

print(fm.fpioa.GPIOHS0, fm.fpioa.TIMER0_TOGGLE1, FPIOA.UART1_TX)
fm.register(board_info.BOOT_KEY, fm.fpioa.GPIOHS3)
print(fm.str_function(fm.fpioa.GPIOHS3), fm.get_pin_by_function(fm.fpioa.GPIOHS3))
try:
    fm.register(20, fm.fpioa.GPIOHS3, force=False)
except Exception as error:
    print("taken", error)
print("used", [entry for entry in fm.get_gpio_used() if entry[1] is not None])
fm.register(board_info.LED_R, fm.fpioa.GPIO0)
led = GPIO(GPIO.GPIO0, GPIO.OUT)
led.value(0)
print("led", led.value())
