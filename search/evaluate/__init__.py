"""What a student that ships does: on clips, on long recordings, in noise and in rooms."""
