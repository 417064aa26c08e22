#!/bin/sh
# Starts a real S3 server on this machine: Ceph's radosgw over one monitor and one disk in memory, for tests.
#
#     eval "$(sudo infra/radosgw/start.sh)"; pytest tests/integration/test_radosgw.py; sudo infra/radosgw/stop.sh
#
# Needs root and Debian's package `debootstrap`. The first start installs Ceph from Debian's archive into a directory
# of its own (1.1 GB, some minutes); later ones take seconds. Nothing outlives a stop: the disk is memory.
# Prints the variables that the tests want; all else goes to stderr.
set -eu
DIR=${SLIPWAY_RADOSGW_DIR:-/var/tmp/slipway-radosgw}
PORT=${SLIPWAY_RADOSGW_PORT:-7480}
SUITE=${SLIPWAY_RADOSGW_SUITE:-sid}
MIRROR=${SLIPWAY_RADOSGW_MIRROR:-}
KEY=slipwaytest
SECRET=slipwaytestsecret

[ "$(id -u)" = 0 ] || { echo "start.sh: needs root, for it mounts and changes its root directory" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "start.sh: no debootstrap; apt-get install debootstrap" >&2; exit 2; }

inside() { chroot "$DIR" env CEPH_CONF=/ct/ceph.conf "$@" >&2; }

if [ ! -x "$DIR/usr/bin/radosgw" ]; then
    # shellcheck disable=SC2086  # an empty mirror is no argument
    debootstrap --variant=minbase "$SUITE" "$DIR" $MIRROR >&2
    inside apt-get -o Acquire::Check-Valid-Until=false update
    # Configuring the packages fails, for there is no systemd here; their programs run all the same.
    inside env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        radosgw ceph-mon ceph-osd ceph-common || true
    [ -x "$DIR/usr/bin/radosgw" ] || { echo "start.sh: radosgw was not installed, see above" >&2; exit 1; }
fi
if [ -e "$DIR/ct/rgw.pid" ] && kill -0 "$(cat "$DIR/ct/rgw.pid")" 2>/dev/null; then
    echo "start.sh: runs already" >&2
else
    "$(dirname "$0")/stop.sh" >&2
    rm -rf "$DIR/ct"
    mkdir -p "$DIR/ct/mon" "$DIR/ct/osd" "$DIR/ct/rgw"
    mount -t proc proc "$DIR/proc"
    mount --rbind /dev "$DIR/dev"
    mount --make-rslave "$DIR/dev"
    FSID=$(cat /proc/sys/kernel/random/uuid)
    DISK=$(cat /proc/sys/kernel/random/uuid)
    cat > "$DIR/ct/ceph.conf" <<CONF
[global]
fsid = $FSID
mon host = 127.0.0.1:6789
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
osd objectstore = memstore
memstore device bytes = ${SLIPWAY_RADOSGW_BYTES:-4294967296}
osd class dir = $(cd "$DIR" && find usr/lib -type d -name rados-classes | sed 's|^|/|;q')
osd class load list = *
osd class default list = *
run dir = /ct
log file = /ct/\$name.log
pid file = /ct/\$name.pid
admin socket = /ct/\$name.asok
mon data = /ct/mon
osd data = /ct/osd
rgw frontends = beast endpoint=127.0.0.1:$PORT
rgw data = /ct/rgw
CONF
    inside monmaptool --create --add a 127.0.0.1:6789 --fsid "$FSID" /ct/monmap
    inside ceph-mon --mkfs -i a --monmap /ct/monmap
    inside ceph-mon -i a
    inside ceph osd new "$DISK"
    inside ceph-osd -i 0 --mkfs --osd-uuid "$DISK"
    inside ceph-osd -i 0
    inside radosgw-admin user create --uid=slipway --display-name=slipway --access-key=$KEY --secret=$SECRET
    inside radosgw -n client.rgw.a --rgw-data=/ct/rgw --pid-file=/ct/rgw.pid
    for _ in $(seq 60); do
        python3 - "$PORT" <<'PYTHON' 2>/dev/null && break
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=2)
PYTHON
        sleep 1
    done
fi
echo "export SLIPWAY_TEST_S3_ENDPOINT=http://127.0.0.1:$PORT"
echo "export SLIPWAY_TEST_S3_KEY=$KEY SLIPWAY_TEST_S3_SECRET=$SECRET"
