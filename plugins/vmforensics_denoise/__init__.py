"""Denoisers, one algorithm a file."""
