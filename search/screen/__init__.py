"""What the terminal shows: progress, the live table, the summary."""
