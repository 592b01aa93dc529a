#!/bin/sh
# Builds the fake `grafana` package: build.sh OUTDIR VERSION writes OUTDIR/grafana_VERSION_all.deb and prints its path.
# Needs dpkg-deb and a writable OUTDIR, nothing else; no root, no network. The same input gives the same bytes.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: build.sh OUTDIR VERSION, for example: build.sh /tmp 13.2.3" >&2
    exit 2
fi
outdir=$1
version=$2
case $version in
[0-9]*.[0-9]*) ;;
*)
    echo "build.sh: VERSION must look like 13.2.3, got '$version'" >&2
    exit 2
    ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

umask 022
cp -R "$here/tree/." "$stage"
mkdir -p "$stage/usr/share/grafana/lib/standin"
cp "$here"/standin/*.py "$stage/usr/share/grafana/lib/standin/"
sed -i "s/@VERSION@/$version/" "$stage/DEBIAN/control"
printf '%s\n' "$version" >"$stage/usr/share/grafana/VERSION"

# Modes do not follow the umask of the checkout.
find "$stage" -type d -exec chmod 755 {} +
find "$stage" -type f -exec chmod 644 {} +
chmod 755 "$stage"/DEBIAN/p* "$stage"/usr/sbin/* "$stage/usr/share/grafana/bin/grafana"
chmod 640 "$stage/etc/grafana/grafana.ini"

: "${SOURCE_DATE_EPOCH:=1767225600}"
export SOURCE_DATE_EPOCH
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$outdir"
package=$outdir/grafana_${version}_all.deb
dpkg-deb --root-owner-group -Zxz --build "$stage" "$package.new" >/dev/null
mv "$package.new" "$package"
printf '%s\n' "$package"
