"""Nouns: pure values and rules. No I/O, no clock, no SDK."""
