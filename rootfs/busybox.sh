#!/bin/sh
# Makes the smallest root file system a container can be tried in: Debian's static busybox with every applet
# as a link, and the few files programs ask for.
#
#   busybox.sh OUT
set -eu

out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -q download busybox-static
dpkg-deb -x ./*.deb .

mkdir -p "$out"
cd "$out"
mkdir -p bin dev etc proc root sys tmp usr var/tmp
cp "$work/usr/bin/busybox" bin/busybox
for applet in $(bin/busybox --list); do
  [ "$applet" = busybox ] || ln -s busybox "bin/$applet"
done
ln -s bin sbin
ln -s ../bin usr/bin
ln -s ../bin usr/sbin
chmod 1777 tmp var/tmp
chmod 700 root
printf '%s\n' root:x:0:0:root:/root:/bin/sh daemon:x:1:1:daemon:/:/bin/false nobody:x:65534:65534:nobody:/:/bin/false > etc/passwd
printf '%s\n' root:x:0: daemon:x:1: tty:x:5: nogroup:x:65534: > etc/group
echo 'PRETTY_NAME="BusyBox"' > etc/os-release
