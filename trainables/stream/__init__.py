"""Long recordings: windows over them, when a detector fires, and how often that is wrong."""
