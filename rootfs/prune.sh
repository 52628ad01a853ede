#!/bin/sh
# Takes out of a Debian tree what the image does not need, and everything that differs between two builds
# from the same packages (logs, caches, ids, time stamps inside files).
#
#   prune.sh container   keeps a complete small Debian
#   prune.sh guest       keeps what the agent and its tools use; package management goes too
set -eu

# There only for a mirror that is reached over TLS.
dpkg --purge ca-certificates openssl 2> /dev/null || true

if [ "$1" = guest ]; then
  # Nothing is installed or configured in a guest and nobody logs in. Essential packages need the force; what
  # stays depends on none of these at run time.
  dpkg --purge --force-remove-essential --force-remove-protected --force-depends \
    apt libapt-pkg7.0 sqv debian-archive-keyring login login.defs passwd liblastlog2-2 libsqlite3-0 libsemanage2 libsepol2 \
    libhogweed6t64 libnettle8t64 tzdata diffutils openssl-provider-legacy debconf perl-base 2> /tmp/purge \
    || { cat /tmp/purge >&2; exit 1; }
  rm -rf /boot /home /media /opt /srv /etc/apt /etc/cron* /etc/default /etc/dpkg /etc/init.d /etc/logrotate.d /etc/rc?.d /etc/skel /etc/systemd \
    /usr/games /usr/lib/apt /usr/lib/systemd /usr/lib/udev /usr/lib/x86_64-linux-gnu/gconv /usr/local/games \
    /usr/share/bash-completion /usr/share/debconf /usr/share/initramfs-tools /usr/share/keyrings /usr/share/perl5 /usr/share/polkit-1 \
    /usr/share/zsh /var/backups /var/lib/apt /var/lib/dpkg/info /var/mail /var/spool
fi

find /usr/share/doc -mindepth 1 ! -type d ! -name copyright -delete
find /usr/share/doc -mindepth 1 -type d -empty -delete
rm -rf /usr/share/man/* /usr/share/info/* /usr/share/locale/* /usr/share/bug /usr/share/doc-base /usr/share/lintian
rm -rf /var/cache/* /var/lib/apt/lists/* /var/log/* /tmp/* /var/tmp/* /run/*
rm -f /var/lib/dpkg/*-old /var/lib/dpkg/lock* /var/lib/dpkg/triggers/Lock /var/lib/systemd/catalog/database
rm -f /etc/*- /etc/.pwd.lock /etc/machine-id
# The password's last change is the day of the build.
[ ! -f /etc/shadow ] || sed -i 's/^\([^:]*:[^:]*\):[0-9]*:/\1:0:/' /etc/shadow
rm -f /prune.sh
