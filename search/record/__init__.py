"""What is known of a sweep and its trials, whatever happens to the driver."""
