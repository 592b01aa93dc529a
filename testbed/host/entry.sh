#!/bin/sh
# Makes the container's kernel interfaces writable, as a machine's are, and becomes systemd.
# (`docker run --privileged` would do the same, and is not allowed everywhere.)
set -eu
mount -o remount,rw,bind /proc/sys
for mount in /sys/fs/cgroup /sys/fs/cgroup/*; do
    # With cgroup v1 some names are links to a joint hierarchy, mounted once under another name.
    if [ ! -L "$mount" ] && mountpoint -q "$mount"; then
        mount -o remount,rw,bind "$mount"
    fi
done
# As systemd has it on a machine: what it mounts for a service's credentials must reach the service.
mount --make-rshared /
# A key of its own on the first start, like a new instance.
ssh-keygen -A >/dev/null
exec /lib/systemd/systemd
