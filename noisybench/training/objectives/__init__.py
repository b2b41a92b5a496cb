"""Objectives: one file each, what a training minimises."""
