"""Benchmarks: infolake and its peers side by side, on generated data. Run by ``make bench``."""
