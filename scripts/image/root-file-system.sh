#!/bin/sh
# Lays out the root file system of the image: the bundle, the locked Node, the shared libraries that it is linked to, and what
# scanners and licences ask for. No shell, no package manager. Runs in the Dockerfile, on Debian, after "npm run build".
#
#   scripts/image/root-file-system.sh FOLDER [BUNDLE]     absolute paths
set -eu

root=${1:?the folder to write to}
cd "$(dirname "$0")/../.."
bundle=${2:-$PWD/dist}
node=$(readlink -f node_modules/.bin/node)
# Of these are the libraries of Node, besides the authorities that NODE_OPTIONS=--use-openssl-ca trusts.
packages='libc6 libgcc-s1 libstdc++6 libatomic1 ca-certificates'

mkdir -p "$root/app" "$root/etc/ssl/certs" "$root/usr/local/bin" "$root/var/lib/dpkg/status.d" "$root/tmp"
chmod 1777 "$root/tmp"

# Source maps stay outside: the bundle does not refer to them.
find "$bundle" -name '*.mjs' -printf '%P\n' | while read -r file; do
  install -D -m 644 "$bundle/$file" "$root/app/$file"
done
install -m 755 "$node" "$root/usr/local/bin/node"
ldd "$node" | grep -o '/[^ ]*' | while read -r library; do
  install -D -m 755 "$library" "$root$library"
done
install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

printf 'nonroot:x:65532:65532:nonroot:/app:/sbin/nologin\n' >"$root/etc/passwd"
printf 'nonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -m 644 /etc/os-release "$root/etc/os-release"

for package in $packages; do
  dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
  install -D -m 644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done
mkdir -p "$root/usr/share/doc/node" "$root/usr/share/doc/aigateway"
install -m 644 "${node%/bin/node}/LICENSE" "$root/usr/share/doc/node/"
install -m 644 LICENSE NOTICE "$root/usr/share/doc/aigateway/"
find "$bundle" -name '*.LEGAL.txt' -exec cat {} + >"$root/usr/share/doc/aigateway/THIRD-PARTY"
