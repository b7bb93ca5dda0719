"""Frames from files, results into files: the only plugin that talks to PyAV and soundfile."""
