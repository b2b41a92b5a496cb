"""What is learned from: sources, their inputs, alterations and frozen features."""
