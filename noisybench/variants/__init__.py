"""A label column and its truth."""
