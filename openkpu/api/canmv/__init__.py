"""CanMV: class ``maix.KPU`` (spec/driver-api.md section 2)."""
