#!/usr/bin/env bash
# MLflow with a login, on the head of a cluster alone: bash mlflow-head.sh FOLDER [ARTIFACTS [DATABASE]]
#   FOLDER     on a disk that outlives the head: database, logins, and artifacts unless ARTIFACTS names a bucket
#   ARTIFACTS  where plots and models go, e.g. s3://bucket/mlflow
#   DATABASE   of runs, e.g. postgresql+psycopg2://user@host/db (its password in ~/.pgpass); by default SQLite in FOLDER
# Ends when Ray does, because it is a job of Ray's: `ray job logs mlflow` tells what it does.
set -euo pipefail
umask 077
mkdir -p "$1" ~/.mlflow
folder=$(cd "$1" && pwd)
login=$folder/credentials
# Made once: the password in it is the admin's in MLflow's own database of users, which lies beside it. distune's driver
# runs on the head too and reads the same file, so that no job carries a password.
if [ ! -s "$login" ]; then
  password=$(python -c 'import secrets; print(secrets.token_urlsafe(24))')
  printf '[mlflow]\nmlflow_tracking_username = admin\nmlflow_tracking_password = %s\n' "$password" > "$login"
fi
ln -sfn "$login" ~/.mlflow/credentials
MLFLOW_AUTH_ADMIN_PASSWORD=$(sed -n 's/^mlflow_tracking_password = //p' "$login")
MLFLOW_FLASK_SERVER_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_hex(32))')
export MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # evaluations of language models, seven processes waiting for some
cd "$folder" # where MLflow keeps its users
exec mlflow server --app-name basic-auth --host 127.0.0.1 --port 5000 --workers 2 \
  --backend-store-uri "${3:-sqlite:///$folder/mlflow.db}" --artifacts-destination "${2:-$folder/artifacts}"
