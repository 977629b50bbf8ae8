"""The hardware's contract: registers, layer descriptor, AI-RAM layout, parameter tables."""
