"""What all trials of a sweep share: views, log-mels and the teacher's answers, built once and read by every trial."""
