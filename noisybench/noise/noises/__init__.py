"""Noises, one file each: a frozen dataclass of parameters that draws the labels of a variant."""
