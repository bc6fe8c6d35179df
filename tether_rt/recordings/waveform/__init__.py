"""Waveforms: the peaks of a recording, decoded in a process of its own."""
