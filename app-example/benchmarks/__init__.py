"""Measurements, in pairs and as ratios: machines differ and are shared."""
