#!/bin/bash
# Tries the Debian package where there is no Swift: a bare Debian made by debootstrap, in which it is installed, serves, is
# installed again, and purged. As root. usage: deb.sh PACKAGE
set -euo pipefail
package=$(realpath "$1")
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
root=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf "$root"' EXIT

say() { echo "== $*"; }
inside() { LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }

say "a bare $suite"
mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } | sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p; s/^URIs: *//p' | head -n 1)
mmdebstrap --quiet --variant=apt --include=adduser "$suite" "$root" "${mirror:-http://deb.debian.org/debian}"
mount -t proc proc "$root/proc"
cp "$package" "$root/tmp/swiftlet.deb"

say install
inside apt-get update -q >/dev/null
inside apt-get install -qy /tmp/swiftlet.deb >/dev/null
inside sh -c '! command -v swift && swiftlet-server --version && redis-migrate --version && getent passwd swiftlet'
inside sh -c 'swiftlet-server --check-config /etc/swiftlet/swiftlet.conf'
[ "$(inside stat -c %U:%G:%a /etc/swiftlet/swiftlet.conf /var/lib/swiftlet | xargs)" = "swiftlet:swiftlet:640 swiftlet:swiftlet:750" ]

say "start, PING, stop"
port=$((20000 + RANDOM % 10000))
start() {
    inside mkdir -p /run/swiftlet && inside chown swiftlet /run/swiftlet
    inside setpriv --reuid swiftlet --regid swiftlet --clear-groups \
        swiftlet-server /etc/swiftlet/swiftlet.conf --port $port --daemonize yes
    for _ in $(seq 600); do [ -s "$root/run/swiftlet/swiftlet-server.pid" ] && ask PING | grep -q PONG && return; sleep 0.1; done
    cat "$root/var/log/swiftlet/swiftlet-server.log"
    return 1
}
ask() { exec 3<>/dev/tcp/127.0.0.1/$port && echo "$*" >&3 && head -n 1 <&3 && exec 3>&-; } 2>/dev/null
stop() {
    pid=$(cat "$root/run/swiftlet/swiftlet-server.pid")
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}
start
ask SET k v | grep -q OK
stop
[ -s "$root/var/lib/swiftlet/dump.sqlite" ] && [ ! -e "$root/run/swiftlet/swiftlet-server.pid" ]

say "installed again, with its data"
inside sh -c 'echo "# mine" >> /etc/swiftlet/swiftlet.conf && dpkg -i /tmp/swiftlet.deb >/dev/null && grep -q "# mine" /etc/swiftlet/swiftlet.conf'
start
ask INCR n | grep -q :1
ask EXISTS k | grep -q :1
stop

say remove and purge
inside apt-get remove -qy swiftlet >/dev/null
[ -e "$root/etc/swiftlet/swiftlet.conf" ] && [ -e "$root/var/lib/swiftlet/dump.sqlite" ]
inside dpkg --purge swiftlet >/dev/null
[ ! -e "$root/etc/swiftlet" ] && [ ! -e "$root/var/lib/swiftlet" ] && [ ! -e "$root/usr/bin/swiftlet-server" ]
say good
