"""Metrics: one way each to hold what a detector says against a truth; a file each."""
