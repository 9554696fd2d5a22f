#!/bin/bash
# Unit tests and a sample of the client tests under AddressSanitizer or ThreadSanitizer: run.sh address|thread
#
# Optimised, as debug builds call the standard library's own copies of what touches memory, which are not instrumented.
# Reports go to files; there must be none at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."

sanitizer=$1
case $sanitizer in
    address) name=asan ;;
    thread) name=tsan ;;
    *) echo "usage: $0 address|thread" >&2; exit 2 ;;
esac
scratch=$PWD/.build/$name
reports=$scratch/reports
rm -rf "$reports"
mkdir -p "$reports"

swift build -c release --build-tests -Xswiftc -enable-testing --sanitize=$sanitizer --scratch-path "$scratch" |
    grep -v "Cannot export local symbol"

# jemalloc, which the server asks for statistics, brings an operator new that needs libstdc++'s; leaks are not looked for, as
# what lives as long as the process is not freed.
preload=$(ldconfig -p | awk '/libstdc\+\+\.so\.6 .*x86-64|libstdc\+\+\.so\.6 .*AArch64/ { print $NF; exit }')
export ASAN_OPTIONS="detect_leaks=0:log_path=$reports/report"
export TSAN_OPTIONS="suppressions=$PWD/Tests/sanitizers/thread.supp:log_path=$reports/report:history_size=4"
failed=0
LD_PRELOAD=$preload "$scratch/release/swiftletPackageTests.xctest" --testing-library swift-testing \
    >"$scratch/unit.log" 2>&1 || failed=1
grep -E "^.{0,4}Test run with|failed after|recorded an issue" "$scratch/unit.log" | tail -n 20

# The servers under test are started by this: only they are preloaded.
for binary in swiftlet-server redis-migrate; do
    printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$preload" "$scratch/release/$binary" >"$scratch/$binary"
    chmod +x "$scratch/$binary"
done
# Of each type and of each thread something; without what measures time or memory.
tests=(bad_input bits blocking crash expiries geo hash_expiry hashes hyperloglog import_aof keys lists loading log_files
    main_job migrate order round_trip scans sets silent_losses streams strings times transactions zsets)
paths=("${tests[@]/#/Tests/clients/test_}")
paths=("${paths[@]/%/.py}")
    .venv/bin/python -m pytest -q "${paths[@]}" -p no:cacheprovider \
    >"$scratch/clients.log" 2>&1 || failed=1
tail -n 20 "$scratch/clients.log"

if compgen -G "$reports/*" >/dev/null; then
    head -n 40 "$reports"/*
    echo "$(ls "$reports" | wc -l) reports in $reports"
    exit 1
fi
exit $failed
