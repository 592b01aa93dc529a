#!/bin/sh
# make-releases.sh ROOT OUT: from unpacked Debian packages to release tarballs with sha256sums.txt under the paths of
# GitHub's releases, and releases.txt with a line "component version architecture sha256" for each.
set -eu
root=$1 out=$2
mkdir -p "$out"
# amd64 or arm64, as the releases call it too.
architecture=$(dpkg --print-architecture)

release() { # repository component binary...
    repository=$1 component=$2
    shift 2
    # "prometheus, version 3.5.3+ds (branch: ...": the upstream version is before the plus.
    version=$("$root/$1" --version 2>&1 | sed -n 's/.*version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    name="$component-$version.linux-$architecture"
    folder="$out/$repository/releases/download/v$version"
    mkdir -p "$folder" "/tmp/$name"
    for binary; do
        # Debian's prometheus-node-exporter is the project's node_exporter.
        file=${binary##*/}
        cp "$root/$binary" "/tmp/$name/$(echo "${file#prometheus-}" | tr - _)"
    done
    tar --sort=name --owner=0 --group=0 --mtime=@0 -C /tmp -czf "$folder/$name.tar.gz" "$name"
    (cd "$folder" && sha256sum ./*.tar.gz | sed 's# \./# #' > sha256sums.txt)
    echo "$component $version $architecture $(cut -d' ' -f1 "$folder/sha256sums.txt")" >> "$out/releases.txt"
}

release prometheus/prometheus prometheus usr/bin/prometheus usr/bin/promtool
release prometheus/node_exporter node_exporter usr/bin/prometheus-node-exporter
release prometheus/alertmanager alertmanager usr/bin/prometheus-alertmanager usr/bin/amtool
release prometheus/mysqld_exporter mysqld_exporter usr/bin/prometheus-mysqld-exporter
release prometheus/blackbox_exporter blackbox_exporter usr/bin/prometheus-blackbox-exporter
release Lusitaniae/apache_exporter apache_exporter usr/bin/prometheus-apache-exporter

