#!/bin/sh
# Ends what start.sh started and unmounts; `stop.sh --purge` also removes the installed Ceph.
set -eu
DIR=${SLIPWAY_RADOSGW_DIR:-/var/tmp/slipway-radosgw}
for name in rgw osd.0 mon.a; do
    file="$DIR/ct/$name.pid"
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    # Only a process whose root is ours: a number from an earlier boot may belong to another by now.
    [ "$(readlink "/proc/$pid/root" 2>/dev/null || true)" = "$(readlink -f "$DIR")" ] || { rm -f "$file"; continue; }
    kill "$pid"
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$file"
done
for place in dev proc; do
    if grep -q " $DIR/$place " /proc/mounts; then umount -R "$DIR/$place"; fi
done
if [ "${1:-}" = --purge ]; then
    if grep -q " $DIR/" /proc/mounts; then
        echo "stop.sh: something is still mounted below $DIR; it was not removed" >&2
        exit 1
    fi
    rm -rf --one-file-system "$DIR"
fi
