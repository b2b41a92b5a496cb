"""Laws by which labels become wrong."""
