"""What a sweep teaches beside its winner: what mattered, and what to be wary of. Read from its record alone."""
