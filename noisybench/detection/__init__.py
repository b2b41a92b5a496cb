"""From columns to one suspicion a sample."""
