"""Images of a source: decoded, read from files and folders of classes, and the broken ones found."""
