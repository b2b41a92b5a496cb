"""Files of numbers a sample that other tools wrote: scores, probabilities and training dynamics, and whose each row is."""
