"""The simulated board: settings, counters, files, time, pins and peripherals."""
