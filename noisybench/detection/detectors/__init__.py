"""Detectors, one file each: a reduction of a trace to one suspicion per sample."""
