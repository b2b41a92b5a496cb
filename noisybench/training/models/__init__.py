"""Models, one file each: a function that builds a fresh network."""
