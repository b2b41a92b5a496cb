"""Studies: a question that is answered by many runs, one file each."""
