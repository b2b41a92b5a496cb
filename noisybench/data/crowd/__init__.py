"""Answers of several people: their files, the samples that they belong to, and the labels made of them."""
