"""Buckets and folders that nodes exchange things through, and each node's own copies of what lies there."""
