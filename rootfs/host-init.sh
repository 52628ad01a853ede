#!/bin/busybox sh
# PID 1 of the emulated host: a machine with KVM and vhost-vsock of its own that has the real machine's user space.
# It enters the real machine's file system, read-only over 9p, and runs one script there.
#
# Shares of QEMU: "hostroot" (the real machine's /, read-only) and "work" (a folder to talk through, at /run/work inside).
# /run/work/run is started with /bin/sh; its exit status is left in /run/work/status and the machine powers off.
# /run/modules has the modules that were loaded, for a test that unloads one.
# /run/work/keep names folders, one a line, that stay visible even if they lie below /tmp or /run (the checkout).

bb=/bin/busybox
root=/hostroot
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

stop() {
  [ -z "$1" ] || $bb echo "emulated host: $1" > /dev/console
  $bb sync
  $bb poweroff -f
}

$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs dev /dev
while read -r module; do
  $bb insmod "$module" || $bb echo "emulated host: can't load $module" > /dev/console
done < /modules/load-order

plan9=trans=virtio,version=9p2000.L,msize=512000
$bb mkdir -p $root /work /kept
$bb mount -t 9p -o $plan9 work /work || stop "no share work"
$bb mount -t 9p -o $plan9,cache=loose,ro hostroot $root || stop "no share hostroot"
kept=0
while IFS= read -r folder; do
  kept=$((kept + 1))
  $bb mkdir /kept/$kept
  $bb mount -o bind "$root$folder" /kept/$kept || stop "no folder $folder"
done < /work/keep
$bb mount -t proc proc $root/proc
$bb mount -t sysfs sysfs $root/sys
$bb mount -t devtmpfs dev $root/dev
$bb mkdir -p $root/dev/pts $root/dev/shm
$bb mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts $root/dev/pts
$bb mount -t tmpfs -o mode=1777 shm $root/dev/shm
$bb mount -t tmpfs -o mode=1777 tmp $root/tmp
$bb mount -t tmpfs -o mode=755 run $root/run
$bb mount -t tmpfs -o mode=1777 vartmp $root/var/tmp
$bb mkdir -p $root/run/modules
$bb mount -o bind /modules $root/run/modules || stop "can't show the modules"
kept=0
while IFS= read -r folder; do
  kept=$((kept + 1))
  $bb mkdir -p "$root$folder" && $bb mount -o bind /kept/$kept "$root$folder" || stop "can't keep $folder"
done < /work/keep
$bb mkdir -p $root/run/work
$bb mount -o move /work $root/run/work || stop "can't show the share work"
$bb ip link set lo up

$bb chroot $root /bin/sh /run/work/run < /dev/null
$bb echo $? > $root/run/work/status
stop ""
