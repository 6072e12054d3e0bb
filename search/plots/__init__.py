"""Plots of a sweep, drawn from its record alone: a file an idea, and their writing as HTML and PNG."""
