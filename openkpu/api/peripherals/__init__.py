"""What hangs on the chip besides camera and screen: pins, ports, timers, buses, sound, network."""
