"""One's own tables: how they are written, what their columns hold, and the features made of them."""
