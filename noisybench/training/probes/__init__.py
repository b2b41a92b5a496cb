"""Probes, one file each: what is asked of the model about every sample."""
