"""Many models on random subsets: memorization, and held-out answers."""
