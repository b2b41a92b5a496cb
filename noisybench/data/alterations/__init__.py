"""Alterations, one file each: a source made from another before any label is flipped."""
