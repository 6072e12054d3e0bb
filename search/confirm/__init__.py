"""Confirming winners: several seeds, to the end, beside students that learn less from the teacher or nothing."""
