#!/bin/sh
# Lays out one Debian kernel for booting.
#
#   kernels.sh PACKAGE OUT [--tree] MODULE... [--for MODALIAS MODULE...]...
#
# PACKAGE is a kernel meta-package such as linux-image-cloud-amd64. OUT receives vmlinuz, version,
# stage1/*.ko (uncompressed: the named modules and all they need), load-order (their names, one a line,
# each after what it depends on) and, with --tree, lib/modules/VERSION for modprobe at run time.
# Modules behind --for are wanted only where a device's modalias begins with MODALIAS, which stands
# behind their names in load-order.
set -eu

package=$1 out=$2
shift 2
tree_wanted=
if [ "${1:-}" = --tree ]; then tree_wanted=1; shift; fi

image=$(apt-cache depends --important "$package" | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
[ -n "$image" ] || { echo "kernels.sh: $package depends on no linux-image package" >&2; exit 1; }
version=${image#linux-image-}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q "$image"
mkdir -p "$out/stage1"
echo "$image $(dpkg-deb -f ./*.deb Version)" > "$out/version"
dpkg-deb -x ./*.deb tree
rm ./*.deb
# depmod and modprobe look under BASE/lib; a merged-/usr package has usr/lib only.
[ -e tree/lib ] || ln -s usr/lib tree/lib
cp "tree/boot/vmlinuz-$version" "$out/vmlinuz"
modules=$work/tree/lib/modules/$version
depmod -b "$work/tree" "$version"

# modprobe prints every dependency before what needs it ("builtin X" for what the kernel already holds);
# the first mention of each file is its place.
condition=
while [ $# -gt 0 ]; do
  if [ "$1" = --for ]; then condition=$2; shift 2; continue; fi
  modprobe -d "$work/tree" -S "$version" --show-depends "$1" | sed "s/ *$/ $condition/"
  shift
done > wanted
# What two conditions share is listed for both: whichever holds loads it.
awk '$1 == "insmod" && !always[$2] && !seen[$2 " " $3]++ { print $2, $3; if ($3 == "") always[$2] = 1 }' wanted > paths

: > "$out/load-order"
while read -r path condition; do
  file=$(basename "$path")
  case $file in
    *.ko.xz) file=${file%.xz}; xz -dc "$path" > "$out/stage1/$file" ;;
    *.ko.zst) file=${file%.zst}; zstd -qdc "$path" > "$out/stage1/$file" ;;
    *) cp "$path" "$out/stage1/$file" ;;
  esac
  echo "$file${condition:+ $condition}" >> "$out/load-order"
done < paths

[ -n "$tree_wanted" ] || exit 0

# Hardware that no virtual machine is given, and a hypervisor's own parts: never asked for in a guest.
cd "$modules/kernel"
rm -rf arch/x86/kvm drivers/ata drivers/block/drbd drivers/bus/mhi drivers/comedi drivers/cpufreq drivers/edac drivers/firmware \
  drivers/hid drivers/hv drivers/hwtracing drivers/infiniband drivers/input drivers/leds drivers/md/bcache drivers/md/dm-vdo \
  drivers/media drivers/mfd drivers/misc drivers/mmc drivers/net/bonding drivers/net/ethernet drivers/net/hyperv drivers/net/phy \
  drivers/net/vmxnet3 drivers/net/wwan drivers/nvme/target drivers/platform drivers/powercap drivers/pps drivers/scsi/libsas \
  drivers/scsi/mpi3mr drivers/target drivers/thermal drivers/usb drivers/video drivers/watchdog drivers/xen fs/ceph fs/smb \
  net/ceph net/rds net/rxrpc net/sunrpc/xprtrdma net/tipc
depmod -b "$work/tree" "$version"
# modprobe reads the .bin indexes and modules.softdep; the text forms are depmod's own input and output.
cd "$modules"
rm -f build source modules.alias modules.builtin modules.builtin.modinfo modules.dep modules.devname modules.order modules.symbols
mkdir -p "$out/lib/modules"
cp -a "$modules" "$out/lib/modules/$version"
