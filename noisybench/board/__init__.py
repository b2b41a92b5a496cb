"""Scores held against every truth, and ranked."""
