"""Sources, one file each: a frozen dataclass of options that loads a Source."""
