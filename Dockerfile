# What a machine boots from: the kernels and a busybox tree (stage kit), a small Debian for containers (stage
# container) and, last, the guest's own root (stage guest). `npm run build` runs it with Docker or buildah, then
# packs the three trees; build/guest has to hold the agent, the addon, berth-init and node by then.

FROM debian:trixie-slim AS debian
# The builder gives the mirrors of its own machine; without them the base image's are used.
ARG DEBIAN_MIRROR=""
ARG SECURITY_MIRROR=""
# Lines of apt.conf the building machine's own apt needs (a proxy, say).
ARG APT_CONF=""
ENV DEBIAN_FRONTEND=noninteractive
COPY rootfs/preferences /etc/apt/preferences.d/berth
RUN uris() { sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null; } \
 && main="${DEBIAN_MIRROR:-$(uris | grep -v security | head -n 1)}" \
 && security="${SECURITY_MIRROR:-$(uris | grep security | head -n 1)}" \
 && rm -rf /etc/apt/sources.list.d/* \
 && printf '%s\n' "$APT_CONF" 'Acquire::Languages "none";' > /etc/apt/apt.conf.d/berth \
 && printf 'deb %s\n' "$main trixie main" "$main trixie-updates main" "$main sid main" \
      ${security:+"$security trixie-security main"} > /etc/apt/sources.list \
 && apt-get -q update

FROM debian AS kernels
RUN apt-get -qy install --no-install-recommends kmod xz-utils zstd
COPY rootfs/kernels.sh /kernels.sh
# The guest's kernel, and what its initramfs loads before the root file system is there.
RUN sh /kernels.sh linux-image-cloud-amd64 /out/guest --tree virtio_pci virtio_mmio virtio_blk erofs \
      vmw_vsock_virtio_transport overlay virtiofs virtio_console virtio_net virtio_rng loop ext4 \
      --for acpi:ACPI0012 nfit nd_pmem --for virtio:d0000001B virtio_pmem nd_pmem \
      --for virtio:d00000008 virtio_scsi sd_mod --for virtio:d00000005 virtio_balloon
# The emulated host's kernel: the cloud kernel has no 9p.
RUN sh /kernels.sh linux-image-amd64 /out/host kvm-amd vhost_vsock vsock_loopback virtio_pci 9pnet_virtio 9p

FROM debian AS busybox
COPY rootfs/busybox.sh /busybox.sh
RUN sh /busybox.sh /out

FROM scratch AS kit
COPY --from=kernels /out /
COPY --from=busybox /out /busybox

FROM debian:trixie-slim AS container
COPY rootfs/prune.sh /prune.sh
RUN sh /prune.sh container

FROM debian AS guest
RUN apt-get -qy install --no-install-recommends crun e2fsprogs iproute2 iptables kmod libstdc++6 util-linux
COPY rootfs/prune.sh /prune.sh
RUN sh /prune.sh guest
COPY --from=kernels /out/guest/lib/modules /usr/lib/modules
COPY build/guest/node /usr/lib/berth/node
COPY build/guest/agent /usr/lib/berth
COPY --chmod=755 rootfs/kata-agent.sh /usr/bin/kata-agent
RUN ln -s ../lib/berth/berth-init /usr/sbin/init \
 && ln -sf ../proc/mounts /etc/mtab && : > /etc/machine-id \
 && NODE_COMPILE_CACHE=/usr/lib/berth/cache /usr/lib/berth/node --random-seed=1 /usr/lib/berth/main.js --warm-up
