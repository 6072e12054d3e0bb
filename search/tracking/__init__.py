"""What MLflow is told, and its UI."""
