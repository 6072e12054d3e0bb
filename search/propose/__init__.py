"""Which trial comes next: spaces, samplers, known starts, limits of size."""
