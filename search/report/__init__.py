"""The report of a sweep: one page to send to a colleague, and its Markdown twin, from the record alone."""
