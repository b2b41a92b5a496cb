"""The version, apart from ``noisybench`` itself, which imports nothing."""

__version__ = "0.5.0"
