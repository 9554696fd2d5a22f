#!/bin/bash
# Follows packaging/Containerfile without a container engine, as root: a bare Debian made by mmdebstrap stands for the image, a
# chroot with a namespace of processes for the container. Then the server is process 1, is asked for its health, and is stopped as
# an engine stops it. usage: container.sh PACKAGE
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
package=$(realpath "$1")
root=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf "$root"' EXIT
file=$here/packaging/Containerfile

say() { echo "== $*"; }
inside() { LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
# What follows a word of the Containerfile, line by line.
lines() { sed -n "s/^$1 //p" "$file"; }

suite=$(lines FROM | sed 's/debian:\(.*\)-slim/\1/')
say "FROM a bare $suite"
mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } | sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p; s/^URIs: *//p' | head -n 1)
mmdebstrap --quiet --variant=apt "$suite" "$root" "${mirror:-http://deb.debian.org/debian}"
mount -t proc proc "$root/proc"
cp "$package" "$root/$(lines COPY | cut -d' ' -f2)"
lines RUN | while read -r command; do
    say "RUN $command"
    inside sh -c "$command" >/dev/null
done

# As `--read-only`, a volume and `--user` would have it: only the volume may be written to.
port=$((20000 + RANDOM % 10000))
user=$(lines USER)
mapfile -t entrypoint < <(lines ENTRYPOINT | tr -d '[]"' | tr ',' '\n' | sed 's/^ *//')
start() {
    # The shell that execs the server is process 1 of its namespace: so is the server.
    unshare --pid --fork --kill-child chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups \
        "${entrypoint[@]}" --port "$port" --protected-mode no >"$root/tmp/output" 2>&1 &
    engine=$!
    for _ in $(seq 300); do health && break; sleep 0.1; done
    health || { cat "$root/tmp/output"; exit 1; }
    server=$(pgrep -P "$engine")
    [ "$(awk '/^NSpid/ {print $NF}' "/proc/$server/status")" = 1 ]
}
health() { inside sh -c "$(lines HEALTHCHECK | sed 's/.* CMD //' | sed "s/redis-cli/redis-cli -p $port/")" 2>/dev/null; }
stop() { kill -s "$(lines STOPSIGNAL)" "$server" && { wait "$engine" || true; }; }

say "as process 1: health, a write, $(lines STOPSIGNAL)"
start
inside redis-cli -p "$port" SET k v | grep -q OK
stop
grep -q "bye" "$root/tmp/output"
[ -s "$root$(lines VOLUME)/dump.sqlite" ]
say "another container with the same volume"
start
inside redis-cli -p "$port" GET k | grep -q v
say "killed, as when a limit of memory is reached"
inside redis-cli -p "$port" SET k w | grep -q OK
kill -KILL "$server" && { wait "$engine" || true; }
start
inside redis-cli -p "$port" GET k | grep -q w
stop
say good
