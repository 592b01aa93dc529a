#!/bin/sh
# Room for Prometheus on a disk that others fill (docs/adr/0026-prometheus-outlives-a-full-disk.md). Sizes are bytes.
#   prometheus_disk.sh start DIRECTORY RESERVE CAP   before it starts: keep or give up the reserve, say how much its samples may take
#   prometheus_disk.sh look DIRECTORY RESERVE        while it runs: start it anew where the reserve is to be given up
set -eu
directory=$2
reserve=$3
file=$directory/reserve
# Says that there is a reserve, to `look`, which may not enter the directory.
mark=${RUNTIME_DIRECTORY:-/run/prometheus}/reserve

free() {
  df --output=avail --block-size=1 "$directory" | tail -n 1
}

if [ "$1" = look ]; then
  if [ -e "$mark" ] && [ "$(free)" -lt "$reserve" ]; then
    echo "The disk of $directory is full: starting Prometheus anew, which gives up its reserve" >&2
    systemctl --no-block try-restart prometheus.service
  fi
  exit 0
fi

if [ "$(free)" -lt "$reserve" ]; then
  rm -f "$file"
elif [ ! -e "$file" ] && [ "$(free)" -gt $((2 * reserve)) ]; then
  fallocate --length "$reserve" "$file"
fi
if [ -e "$file" ]; then : >"$mark"; else rm -f "$mark"; fi
# Where even that is used up the oldest samples go, as by the retention, which comes too late for a start. The names of blocks are in order.
for block in "$directory"/01*/; do
  if [ "$(free)" -ge $((reserve / 2)) ]; then break; fi
  rm -rf "$block"
done

taken=$(du --summarize --block-size=1 --exclude=reserve "$directory" | cut -f 1)
size=$((($(free) + taken) / 2))
# 0 would be no limit.
[ "$size" -ge "$reserve" ] || size=$reserve
[ "$size" -le "$4" ] || size=$4
echo "PROMETHEUS_RETENTION_SIZE=${size}B" >"$RUNTIME_DIRECTORY/retention"
