#!/bin/sh
# squawk over the SQL of every Alembic lineage, as `alembic upgrade LINEAGE@head --sql` prints it.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for folder in alembic/versions/*/; do
  lineage=$(basename "$folder")
  case "$lineage" in __pycache__) continue ;; esac
  alembic upgrade "$lineage@head" --sql >"$scratch/$lineage.sql" 2>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
done
squawk --config .squawk.toml "$scratch"/*.sql
