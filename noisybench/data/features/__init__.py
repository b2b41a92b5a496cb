"""Features, one file each: a fixed description of every input, which no label decides."""
