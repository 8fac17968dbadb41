#!/bin/sh
# Run Molecule scenarios one after the other and print the time of each: tools/scenarios.sh default rollback …
set -eu
cd "$(dirname "$0")/.."
hosts() { python tools/hosts.py "$@"; }
case "${1:-}" in
  packages) # Debian packages for the hosts; needs root
    # Nothing is fetched where all is there.
    missing=""
    for program in systemd-nspawn debootstrap ip ssh-keygen openssl; do
      command -v "$program" >/dev/null || missing="$missing $program"
    done
    [ -n "$missing" ] || exit 0
    apt-get update
    exec apt-get install --yes --no-install-recommends systemd-container debootstrap iproute2 openssh-client openssl
    ;;
esac
hosts destroy # one clear sentence where this machine cannot have hosts
passed=""
finish() {
  echo "Scenarios passed:${passed:- none}"
  hosts destroy
  rm -rf /var/cache/consolidation-molecule/scenario
}
trap finish EXIT
trap 'exit 130' INT TERM # without it sh does not call `finish`
for scenario in "$@"; do
  start=$(date +%s)
  molecule test --scenario-name "$scenario"
  time="$scenario	$(($(date +%s) - start)) s"
  echo "Scenario passed: $time"
  passed="$passed
$time"
done
