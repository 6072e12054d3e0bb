"""Pages in the browser, served from here: the MLflow UI on a sweep, Optuna's dashboard on its record."""
