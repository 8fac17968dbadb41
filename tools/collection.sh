#!/bin/sh
# Put community.postgresql into collections/: from Galaxy, or out of the `ansible` bundle where Galaxy is out of reach.
set -eu
bundle="ansible==12.3.0"
if ansible-galaxy collection install --requirements-file requirements.yml --collections-path collections \
    --timeout 20 >/dev/null 2>&1; then
  echo "community.postgresql: from Galaxy"
  exit 0
fi
echo "community.postgresql: Galaxy is out of reach, taking it from the package index ($bundle, 54 MB)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python -m pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" "$bundle"
python - "$scratch" <<'PYTHON'
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as bundle:
    wanted = [name for name in bundle.namelist() if name.startswith("ansible_collections/community/postgresql/")]
    bundle.extractall("collections", wanted)
PYTHON
# Proves that what was taken satisfies requirements.yml.
ansible-galaxy collection install --offline --requirements-file requirements.yml --collections-path collections >/dev/null
echo "community.postgresql: $(ansible-galaxy collection list community.postgresql --collections-path collections 2>/dev/null | awk '/community.postgresql/ {print $2}')"
