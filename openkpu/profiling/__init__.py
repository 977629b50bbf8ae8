"""What every layer costs: measured on the RTL, or by the cycle model."""
