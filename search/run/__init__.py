"""Running trials on Ray Tune: who may go on, what it costs, what is recorded of it."""
