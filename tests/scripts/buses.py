# SPDX-License-Identifier: Apache-2.0
# Power chips and sensors on the buses, a watchdog, the clock.
# prints: \[\] b'\\x00\\x00'
# prints: \(2024, 5, 6, 7, 8
# wrote: peripherals.log: i2c0: 0x34 \[0x27\] <- 20
# wrote: peripherals.log: spi1: <- 68 69
# says: machine.I2C is a stand-in
from machine import I2C, RTC, SPI, WDT

i2c = I2C(I2C.I2C0, freq=100000, scl=24, sda=27)
i2c.writeto_mem(0x34, 0x27, 0x20)
print(i2c.scan(), i2c.readfrom(0x68, 2))
spi = SPI(SPI.SPI1, mode=SPI.MODE_MASTER, baudrate=10000000, bits=8, firstbit=SPI.MSB, sck=28, mosi=29, cs0=27)
spi.write(b"hi", cs=SPI.CS0)
dog = WDT(id=1, timeout=4000)
dog.feed()
rtc = RTC()
rtc.init((2024, 5, 6, 7, 8, 9, 0, 0))
print(rtc.now())
