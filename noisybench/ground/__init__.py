"""What every wing stands on, and which knows no label: errors, arrays, digests, random streams, files, options, engines."""
