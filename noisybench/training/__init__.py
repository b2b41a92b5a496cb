"""A model learns a variant and is watched."""
