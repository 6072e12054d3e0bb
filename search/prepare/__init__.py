"""What all trials of a sweep share, made before the first: clips, teacher, corpus."""
